"""Plugins made for another bench3d, and names that go out of use."""

from __future__ import annotations

import sys
import warnings

import pluggy
import pytest

from bench3d.contracts import BackboneRegistration
from bench3d.plugins import Bench3DDeprecationWarning, HookGoing, deprecated, hookimpl, load_registry
from bench3d.plugins.versions import API_VERSION, show_plainly, working_on

HEAD = "from bench3d.contracts import *\nfrom bench3d.plugins import hookimpl\n@hookimpl\ndef bench3d_register():\n"
ONE = "    return [BackboneRegistration(name='one', summary='', factory='json:dumps'{more})]"
NEWER = API_VERSION + 1


@pytest.fixture(autouse=True)
def unwatched(monkeypatch):
    monkeypatch.setenv("BENCH3D_PLUGIN_SECONDS", "0")


@pytest.mark.parametrize(
    ("source", "state", "reason", "hint"),
    [
        (
            f"bench3d_api = {NEWER}\n{HEAD}    return []",
            "other version",
            f"it was made for version {NEWER} of the plugin API",
            "pip install --upgrade bench3d",
        ),
        (
            f"bench3d_api = 0\n{HEAD}    return []",
            "other version",
            "it was made for version 0 of the plugin API",
            "pip install --upgrade acme",
        ),
        (f"bench3d_api = '1'\n{HEAD}    return []", "left out", "bench3d_api = '1' in acme_plugin", "bench3d_api = 1"),
        (
            "bench3d_api = 1\n" + HEAD + ONE.format(more=", quantum=3"),
            "other version",
            "BackboneRegistration has no field quantum",
            "newer bench3d",
        ),
        (HEAD + ONE.format(more=", sumary='x'"), "left out", "has no field sumary", "Did you mean summary?"),
        (
            HEAD + "    return [TaskRegistration(name='t', summary='', factory='a:b')]",
            "left out",
            "TaskRegistration needs dataset.",
            "Give dataset",
        ),
        (
            "from bench3d.contracts import OracleRegistration",
            "other version",
            "has no OracleRegistration in bench3d.contracts",
            "newer bench3d",
        ),
        (
            HEAD.replace("register", "regster") + "    return []",
            "left out",
            "no hook bench3d_regster",
            "bench3d_register?",
        ),
    ],
)
def test_a_plugin_made_for_another_bench3d_gets_a_sentence_and_a_next_step(install, source, state, reason, hint):
    install("acme", source)
    (failure,) = load_registry().failures
    assert (failure.plugin, failure.state, failure.version) == ("acme", state, "1.0")
    assert reason in failure.reason and hint in failure.hint
    assert "Error" not in failure.reason and "\n" not in failure.reason


def test_of_a_plugin_only_the_registration_that_was_made_for_another_contract_is_left_out(install):
    other = f", BackboneRegistration(name='two', summary='', factory='json:dumps', api={NEWER})]"
    install("acme", HEAD + ONE.format(more=", api=1")[:-1] + other)
    registry = load_registry()
    assert registry.find("backbone", "one").api == 1
    assert "two" not in registry.names("backbone")
    (failure,) = registry.failures
    assert failure.reason.startswith(f"the backbone two was made for version {NEWER} of the backbone contract")


def test_a_registration_states_which_contracts_are_served():
    assert BackboneRegistration.oldest_contract <= BackboneRegistration.contract


def test_a_deprecation_is_told_once_per_plugin_and_thing():
    def old(what):
        deprecated(what, since="0.2", until="0.3", replacement="new_way")

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for plugin in ("tiny_a", "tiny_b"):
            with working_on(plugin):
                old("old_way")
                old("old_way")
                old("older_way")
        old("old_way")  # outside: the module that called is charged
    assert [str(t.message).split(",")[0] for t in told] == [
        "Plugin tiny_a uses old_way",
        "Plugin tiny_a uses older_way",
        "Plugin tiny_b uses old_way",
        "Plugin tiny_b uses older_way",
        f"Plugin {__name__.partition('.')[0]} uses old_way",
    ]
    assert {t.category for t in told} == {Bench3DDeprecationWarning}
    assert str(told[0].message).endswith("which is going since bench3d 0.2 and gone in 0.3: use new_way.")


def test_a_deprecated_hook_names_the_plugin_that_implements_it(monkeypatch, capsys):
    class Hooks:
        @pluggy.HookspecMarker("bench3d")(
            warn_on_impl=HookGoing("bench3d_old", since="0.2", until="0.3", replacement="bench3d_new")
        )
        def bench3d_old(self): ...

    class Mine:
        @hookimpl
        def bench3d_old(self):
            return 1

    manager = pluggy.PluginManager("bench3d")
    manager.add_hookspecs(Hooks)
    others = []
    monkeypatch.setattr(warnings, "showwarning", lambda message, category, *more: others.append(category))
    with warnings.catch_warnings():
        show_plainly()
        with working_on("acme"):
            manager.register(Mine())
        warnings.warn("not ours", UserWarning, stacklevel=1)
    assert capsys.readouterr().err == (
        "Plugin acme uses bench3d_old, which is going since bench3d 0.2 and gone in 0.3: use bench3d_new.\n"
    )
    assert others == [UserWarning]
    assert "acme" not in sys.modules

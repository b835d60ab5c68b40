"""Grid files: what they expand to, worked out by hand; what they refuse, with file and field; those that ship."""

from __future__ import annotations

import itertools
import subprocess
import sys
from textwrap import dedent

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench3d.errors import UnknownNameError, UsageError
from bench3d.grid.expand import Overrides, expand
from bench3d.grid.files import read_grid, shipped
from bench3d.plugins import load_registry
from bench3d.runner import plan_run
from bench3d.runner.spec import spec_values


@pytest.fixture
def grid(tmp_path):
    """Writes a grid file and reads it: grid(text, name="g")."""

    def write(text, name="g"):
        path = tmp_path / f"{name}.yaml"
        path.write_text(dedent(text), encoding="utf-8")
        return read_grid(str(path))

    return write


def told(cells):
    """What tells each cell from the others, as one line."""
    return [" ".join([cell.part, *cell.varied.values()]).strip() for cell in cells]


def test_a_small_grid_worked_out_by_hand(grid):
    cells = expand(
        grid(
            """
            summary: small
            base: {seeds: [0, 1], set: {adapter.points: 10}}
            parts:
              raw:
                backbones: [hog, {name: dinov2, weights: random, label: untrained, set: {grid: 16}}]
                tasks: spair71k
                protocols: [dift, "sd-*"]
                exclude: [{backbone: untrained, protocol: dift}, {backbone: hog, seed: 1}]
              fitted:
                backbones: dinov2
                adapters: [none, smoothap-lora, common3d]
                tasks: spair71k
                seeds: 0
                vary: {adapter.rank: [1, 2]}
            """
        )
    )
    # Raw dinov2 has no rank: its two cells are one. In order of backbones, adapters, vary, protocols, seeds.
    assert told(cells) == [
        "raw hog none dift 0",
        "raw hog none sd-dino 0",
        "raw untrained none sd-dino 0",
        "raw untrained none sd-dino 1",
        "fitted dinov2 none sd-dino 0",
        "fitted dinov2 smoothap-lora 1 sd-dino 0",
        "fitted dinov2 smoothap-lora 2 sd-dino 0",
        "fitted dinov2 common3d sd-dino 0",
    ]
    assert cells[2].spec.settings == {"backbone": {"grid": 16}} and cells[2].spec.weights == "random"
    assert cells[5].spec.settings == {"adapter": {"points": 10, "rank": 1}}
    last = cells[7].spec  # the short form, as on the command line; the adapter's settings do not concern it
    assert (last.adapter, last.shape_model, last.settings) == ("none", "common3d", {})
    assert cells[0].varied == {"backbone": "hog", "adapter": "none", "protocol": "dift", "seed": "0"}


def test_categories_are_those_that_the_data_of_a_cell_know(grid):
    text = """
        synthetic: true
        backbones: hog
        shape_models: [none, common3d]
        tasks: [pascal3d-pose, spair71k, multiview-equivariance]
        set: {data.categories: "car, couch"}
        categories: each
        exclude: {shape_model: common3d, task: "*equi*"}
    """
    cells = expand(grid(text))
    found = [(c.spec.shape_model, c.spec.task, c.spec.categories) for c in cells]
    # SPair-71k has no couches, the renderings no categories. Raw poses cannot be had: that is the plan's to say.
    assert found == [
        ("none", "pascal3d-pose", ("car",)),
        ("none", "pascal3d-pose", ("couch",)),
        ("none", "spair71k", ("car",)),
        ("none", "multiview-equivariance", ()),
        ("common3d", "pascal3d-pose", ("car",)),
        ("common3d", "pascal3d-pose", ("couch",)),
        ("common3d", "spair71k", ("car",)),
    ]
    together = expand(grid(text.replace("categories: each", "categories: [chair, car]")))
    assert [c.spec.categories for c in together][1:3] == [("chair", "car"), ()]
    each = expand(grid(text.replace("categories: each", "categories: {each: [chair, car]}")))
    assert [c.spec.categories for c in each][2:5] == [("chair",), ("car",), ()]


def test_presets_go_to_what_has_them_and_an_entry_of_its_own_goes_first(grid):
    cells = expand(
        grid(
            """
            backbones: dinov2
            adapters: [none, smoothap-lora]
            shape_models: [none, {name: common3d, preset: released, set: {blend: 0.5}}]
            tasks: spair71k
            presets: [quick, paper]
            set: {shape.blend: 0.1}
            """
        )
    )
    assert [c.spec.settings for c in cells] == [
        {},
        {"shape": {"preset": "released", "blend": 0.5}},
        {"adapter": {"preset": "quick"}},
        {"adapter": {"preset": "paper"}},
        {"adapter": {"preset": "quick"}, "shape": {"preset": "released", "blend": 0.5}},
        {"adapter": {"preset": "paper"}, "shape": {"preset": "released", "blend": 0.5}},
    ]


def test_data_settings_go_to_the_cells_whose_data_sets_have_them(grid):
    cells = expand(grid("""
        backbones: dinov2
        shape_models: [none, common3d]
        tasks: spair71k
        vary: {data.reference: [r0, r1]}
    """))  # fmt: skip
    assert [c.spec.settings for c in cells] == [{}, {"data": {"reference": "r0"}}, {"data": {"reference": "r1"}}]
    # pf-willow has a setting `pairs` too: of a twin it says how many there are, for every data set.
    twins = expand(
        grid("{synthetic: true, backbones: hog, tasks: [spair71k, pf-willow], set: {data.pairs: 5}}", "twins")
    )
    assert [c.spec.settings for c in twins] == [{"data": {"pairs": 5}}] * 2


def test_included_grids_come_after_and_equal_cells_once(grid):
    grid("{backbones: [hog, rgb], tasks: spair71k}", "other")
    cells = expand(grid("{backbones: noise, tasks: spair71k, parts: null, include: ./other.yaml}"))
    assert told(cells) == ["noise", "other hog", "other rgb"]
    assert told(expand(grid("{backbones: rgb, tasks: spair71k, include: ./other.yaml}", "two"))) == ["rgb", "other hog"]
    with pytest.raises(UsageError, match=r"three\.yaml, include: the grid includes itself"):
        grid("{include: ./three.yaml}", "three")


TWO = """
    base: {tasks: [spair71k, pf-pascal]}
    parts:
      a: {backbones: [hog, dinov2], adapters: [none, smoothap-lora], categories: each, synthetic: true}
      b: {backbones: mae, protocols: sd-dino}
"""


def test_what_the_user_gives_goes_first(grid, tmp_path):
    read = grid(TWO)
    asked = Overrides(
        results=tmp_path, weights="random", seeds=(3,), limit=5, protocols=("geo*",), categories=("car",),
        settings={"adapter": {"rank": "8"}, "backbone": {"layer": "2"}}, on=("dinov2-b",), parts=("a",),
    )  # fmt: skip
    cells = expand(read, asked)
    assert [(c.spec.adapter, c.spec.task, c.spec.settings) for c in cells] == [
        ("none", "spair71k", {"backbone": {"layer": "2"}}),
        ("none", "pf-pascal", {"backbone": {"layer": "2"}}),
        ("smoothap-lora", "spair71k", {"backbone": {"layer": "2"}, "adapter": {"rank": "8"}}),
        ("smoothap-lora", "pf-pascal", {"backbone": {"layer": "2"}, "adapter": {"rank": "8"}}),
    ]
    for spec in (c.spec for c in cells):
        assert (spec.backbone, spec.protocol, spec.categories, spec.seed) == ("dinov2-b", "geoaware", ("car",), 3)
        assert (spec.results, spec.weights, spec.limit, spec.synthetic) == (tmp_path, "random", 5, True)
    only = expand(read, Overrides(backbones=("mae", "h*"), tasks=("pf-*",), adapters=("none",), categories=("car",)))
    assert told(only) == ["a hog mef", "b mae sd-dino"]


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (Overrides(backbones=("hgo",)), "no backbone hgo. Did you mean hog"),
        (Overrides(on=("hgo",)), "no backbone named hgo. Did you mean hog"),
        (Overrides(settings={"adapter": {"rnak": 3}}), "--set adapter.rnak: .*Did you mean adapter.rank"),
        (Overrides(settings={"shape": {"blend": 3}}), "nothing here has settings of the scope shape"),
        (Overrides(categories=("crr",)), "--category: there is no category crr. Did you mean car"),
        (Overrides(parts=("b",), backbones=("hog",)), "Leave one of the filters out"),
        (Overrides(protocols=("grid32",)), "holds no runs"),
    ],
)
def test_what_the_user_gives_wrongly(grid, overrides, words):
    with pytest.raises(UsageError, match=words):
        expand(grid(TWO), overrides)


RUNS = "backbones: hog\ntasks: spair71k\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("backbones: [hog, hgo]\ntasks: spair71k", "g.yaml, backbones: There is no backbone named hgo. .*hog"),
        ("backbones: 'dino3*'\ntasks: spair71k", "backbones: dino3\\* matches no backbone. Did you mean dinov2"),
        ("backbones: 'timm:*'\ntasks: spair71k", "the family timm: knows no list. Write timm:NAME"),
        ("backbones: hog\ntasks: spair-71k", "tasks: There is no task named spair-71k. Did you mean spair71k"),
        ("parts: {p: {backbones: hog, tasks: spair71k, adapters: smooth}}", "parts.p.adapters: .*smoothap-lora"),
        (RUNS + "protocols: [dift, paper-msk]", "protocols: none of the tasks has a protocol paper-msk"),
        (
            "backbones: hog\ntasks: {name: spair71k, protocols: dfit}",
            "spair71k has no protocol dfit. Did you mean dift",
        ),
        (RUNS + "shape_models: common3d\npresets: quik", "presets: there is no preset quik here. Did you mean quick"),
        (RUNS + "shape_models: {name: common3d, preset: quik}", "common3d has no preset quik. Did you mean quick"),
        (RUNS + "categories: [crr]", "categories: there is no category crr. Did you mean car"),
        (RUNS + "vary: {backbone.gird: [1]}", "vary.backbone.gird: there is no such setting. .*backbone.grid"),
        (RUNS + "set: {backbon.grid: 1}", "set: backbon.grid: there is no scope backbon .perhaps backbone"),
        (RUNS + "exclude: {backbone: rgb}", "exclude: condition 1 excludes nothing"),
        (RUNS + "exclude: {bakbone: hog}", "condition 1: there is nothing called bakbone. Did you mean backbone"),
        (RUNS + "exclude: {backbone: hog}", "holds no runs"),
        (RUNS + "adapters: common3d\nshape_models: uop", "shape_models: .*no shape-model named uop"),
        ("backbones: {name: hog, preset: quick}\ntasks: spair71k", "hog has no preset; that is of a adapter or"),
        ("backbones: {name: '*', label: all}\ntasks: spair71k", "the label all stands for"),
        ("backbone: hog\ntasks: spair71k", "g.yaml, backbone: there is no such key. Did you mean backbones"),
        ("parts: {p: {backbones: hog, tsks: a}}", "parts.p.tsks: .*Did you mean tasks"),
        ("backbones: [hog, {nme: a}]\ntasks: spair71k", "backbones.1.nme: there is no such key. Did you mean name"),
        ("backbones: hog", "g.yaml: tasks is missing"),
        (RUNS + "seeds: [0, x]", "seeds.1 = 'x'"),
        (RUNS + "seeds: -1", "seeds"),
        (RUNS + "limit: 0", "limit = 0"),
        (RUNS + "set: {data.seed: 2020-01-01}", "set.data.seed"),
        (RUNS + "backbones: rgb", "the key backbones stands there twice"),
        (RUNS + "parts: {p: {backbones: hog, tasks: spair71k}}", "beside `parts` it says nothing"),
        ("[1, 2]", "must be a mapping"),
        ("a: [", "no valid YAML"),
        ("x: !!python/object/apply:os.system [exit]", "no valid YAML"),
        ("summary: nothing", "holds no runs"),
    ],
)
def test_a_mistake_is_named_with_file_and_field(grid, text, words):
    with pytest.raises(UsageError, match=words) as caught:
        expand(grid(text))
    assert "g.yaml" in caught.value.message


def test_unknown_grids(tmp_path):
    with pytest.raises(UnknownNameError, match=r"no grid named dmeo\. Did you mean demo"):
        read_grid("dmeo")
    with pytest.raises(UsageError, match="There is no grid file"):
        read_grid(str(tmp_path / "none.yaml"))


NAMES = {"backbone": ["hog", "rgb", "noise"], "task": ["spair71k", "pf-pascal", "multiview-equivariance"]}
several = {key: st.lists(st.sampled_from(names), min_size=1, unique=True) for key, names in NAMES.items()}
seeds = st.lists(st.integers(0, 3), min_size=1, max_size=3, unique=True)
grids = st.lists(st.integers(8, 12), min_size=1, max_size=3, unique=True)
value = st.sampled_from(["hog", "r*", "*"])
conditions = st.lists(
    st.fixed_dictionaries(
        {}, optional={"backbone": value, "task": st.sampled_from(["*p*", "spair71k"]), "seed": seeds}
    ),
    max_size=2,
)


def matched(text, pattern):
    """Globs with no more than stars at the ends."""
    bare = pattern.strip("*")
    return bare in text if pattern.startswith("*") else text.startswith(bare) if pattern.endswith("*") else text == bare


def left_out(cell, condition):
    backbone, _, task, seed = cell
    return (
        ("backbone" not in condition or matched(backbone, condition["backbone"]))
        and ("task" not in condition or matched(task, condition["task"]))
        and ("seed" not in condition or seed in condition["seed"])
    )


@settings(deadline=None, max_examples=60)
@given(several["backbone"], several["task"], seeds, grids, conditions)
def test_cells_are_the_product_less_what_is_excluded(tmp_path_factory, backbones, tasks, seeds, grids, exclude):
    import yaml

    product = list(itertools.product(backbones, grids, tasks, seeds))
    left = [cell for cell in product if not any(left_out(cell, c) for c in exclude)]
    path = tmp_path_factory.mktemp("grid") / "g.yaml"
    lists = {"backbones": backbones, "tasks": tasks, "seeds": seeds, "vary": {"backbone.grid": grids}}
    path.write_text(yaml.safe_dump({**lists, "exclude": exclude}), encoding="utf-8")
    # A condition that is never the first to leave something out is a mistake in the file.
    first = [next((n for n, c in enumerate(exclude) if left_out(cell, c)), None) for cell in product]
    if not left or set(range(len(exclude))) - set(first):
        with pytest.raises(UsageError):
            expand(read_grid(str(path)))
        return
    cells = expand(read_grid(str(path)))
    found = [(c.spec.backbone, c.spec.settings["backbone"]["grid"], c.spec.task, c.spec.seed) for c in cells]
    assert found == left
    assert len({str(spec_values(c.spec)) for c in cells}) == len(cells)
    assert len({str(sorted(c.varied.items())) for c in cells}) == len(cells)


@pytest.mark.parametrize("name", [name for name, _ in shipped()])
def test_every_shipped_grid_can_be_planned(name, tmp_path):
    cells = expand(read_grid(name), Overrides(results=tmp_path, data=tmp_path))
    assert len({(c.part, *c.varied.items()) for c in cells}) == len(cells)
    plans = [plan_run(cell.spec) for cell in cells]
    known = [p.identity for p in plans if p.identity is not None]
    assert len(set(known)) == len(known)
    if all(cell.spec.synthetic for cell in cells):
        assert len(known) == len(cells), "without data or weights of others, every run is known beforehand"
    else:
        assert all(p.problem is not None for p in plans), "this folder holds no data"


def test_the_grids_that_are_promised():
    counts = {name: len(expand(read_grid(name))) for name, _ in shipped()}
    assert counts["smoke"] >= 60
    assert counts["iclr25-comparison"] == 5 * 2 * (2 * 2 + 2 + 1 + 1)  # equivariance, PF-PASCAL, pose, tracking
    references, seven, twenty, spair = 5, 7, 20, 6  # of SPair-71k's categories six have videos
    of_table = {
        3: 2 * seven * references,  # Common3D, UOP3D
        5: (1 + references) * spair,  # raw, Common3D
        6: 5 * 2 * seven * references + (1 + 3 * references) * spair,  # five variants; of keypoints raw and three
        8: 2 * seven * references + seven,  # ZSP of the first reference alone
        9: 2 * twenty * references + twenty,
        10: 2 * twenty * references,
    }
    assert {n: counts[f"cvpr25-table{n}"] for n in of_table} == of_table
    shared = 2 * seven * references  # the whole Common3D of table 6 is that of table 8, and of table 3
    assert counts["cvpr25-tables"] == sum(of_table.values()) - shared
    embedded = [c.spec for name in ("smoke", "demo") for c in expand(read_grid(name))]
    backbones = load_registry().registrations("backbone")
    weightless = {r.name for r in backbones if r.weights is None or r.weights.shipped}
    assert all(s.synthetic and (s.weights == "random" or s.backbone in weightless) for s in embedded)


def test_a_thousand_cells_in_no_time_and_no_torch(tmp_path):
    path = tmp_path / "big.yaml"
    path.write_text(
        "{synthetic: true, backbones: [dinov2, mae, clip, deit, hog], tasks: spair71k, protocols: '*', "
        "categories: each, adapters: [none, smoothap-lora], seeds: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]}"
    )
    code = (
        "import sys, time; t = time.perf_counter(); from bench3d.grid.files import read_grid; "
        "from bench3d.grid.expand import expand; n = len(expand(read_grid(sys.argv[1]))); "
        "assert n == 5 * 2 * 5 * 3 * 10, n; assert 'torch' not in sys.modules; print(time.perf_counter() - t)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 3.0

"""The root of the command line: the commands, plugin commands, and errors turned into sentences and exit codes."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from bench3d import __version__
from bench3d.cli import (
    adapter,
    cache,
    catalog,
    completion,
    data,
    doctor,
    features,
    grid,
    leaderboard,
    matrix,
    plugin,
    predict,
    reproduce,
    results,
    runs,
    shape,
)
from bench3d.cli.output import DebugOption, State, console, print_error, set_up_logging
from bench3d.contracts import CommandRegistration
from bench3d.errors import Bench3DError
from bench3d.machine import set_thread_counts
from bench3d.plugins import load_registry
from bench3d.plugins.names import resolve
from bench3d.plugins.versions import show_plainly

INTERRUPTED = 130
UNEXPECTED = 70

EPILOG = """\b
Exit codes:
    0  done                            4  weights missing or unfit
    1  another error, in one sentence  5  a plugin is broken
    2  wrong option, name or value     6  results cannot be written
    3  data missing or broken         70  an error inside bench3d; 130 interrupted
\b
Example: bench3d run --backbone hog --adapter common3d --task pascal3d-pose --synthetic
"""


class Root(TyperGroup):
    """The command group: adds plugin commands, and turns every error into one sentence and an exit code."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The host's commands, then the plugins'."""
        own = super().list_commands(ctx)
        return own + [n for n in load_registry().names("command") if n not in own]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A host's command, else a plugin's, whose code is imported only when it runs."""
        own = super().get_command(ctx, cmd_name)
        if own is not None and ctx.resilient_parsing:  # a shell asks for completions
            completion.attach(own)
        if own is not None or cmd_name not in load_registry().names("command"):
            return own
        registration = load_registry().get("command", cmd_name)
        assert isinstance(registration, CommandRegistration)
        return _plugin_command(registration)

    def invoke(self, ctx: Any) -> Any:
        """Runs the command; what it raises ends as a sentence on standard error."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise typer.Exit(_interrupted()) from error
        except Exception as error:
            if isinstance(error, (typer.Exit, typer.Abort)) or hasattr(error, "format_message"):
                raise  # typer's own way of leaving, and its usage errors
            raise typer.Exit(_report(error, ctx.ensure_object(State).debug)) from error


def _plugin_command(registration: CommandRegistration) -> Any:
    shell = typer.Typer(add_completion=False)
    anything = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}

    @shell.command(registration.name, help=registration.summary, context_settings=anything)
    def forward(ctx: typer.Context) -> None:
        target = resolve(registration.factory, f"command {registration.name}")
        if not isinstance(target, typer.Typer):
            single = typer.Typer(add_completion=False)
            single.command()(target)
            target = single
        command = typer.main.get_command(target)
        # Not command.main(): that would swallow an interruption and the exit code.
        with command.make_context(registration.name, list(ctx.args), parent=ctx.parent) as inner:
            command.invoke(inner)

    return typer.main.get_command(shell)


def _interrupted() -> int:
    console(stderr=True).print(
        "\nInterrupted. Finished fits and runs are kept, and a fit goes on from its last saved state: run it again.",
        style="yellow",
    )
    return INTERRUPTED


def _report(error: Exception, debug: bool) -> int:
    """Prints an error and gives its exit code."""
    if isinstance(error, BrokenPipeError):
        # The reader (head, less) has gone: nothing is wrong, and the interpreter must not complain at its own flush.
        sys.stdout = open("/dev/null", "w", encoding="utf-8")  # noqa: SIM115
        return 0
    if debug:
        sys.stderr.write("".join(traceback.format_exception(error)))
    if isinstance(error, Bench3DError):
        print_error(error)
        return error.exit_code
    what = " ".join(str(error).split())
    unexpected = Bench3DError(
        f"bench3d failed unexpectedly ({type(error).__name__}: {what[:300]}).",
        None if debug else "Run with --debug for the traceback.",
    )
    print_error(unexpected)
    return UNEXPECTED


app = typer.Typer(
    name="bench3d",
    cls=Root,
    help="Benchmark for the 3D-awareness of foundation-model features.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _print_version(value: bool) -> None:
    if value:
        typer.echo(f"bench3d {__version__}")
        raise typer.Exit


@app.callback()
def root(
    ctx: typer.Context,
    debug: DebugOption = False,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and leave.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Benchmark for the 3D-awareness of foundation-model features."""
    set_up_logging(debug)
    show_plainly()
    if ctx.invoked_subcommand not in ("doctor", "plugin"):  # which show them at length
        for sentence in load_registry().sentences():
            print(f"{sentence} See `bench3d doctor`.", file=sys.stderr)


catalog.register(app)
matrix.register(app)
doctor.register(app)
data.register(app)
runs.register(app)
predict.register(app)
shape.register(app)
features.register(app)
cache.register(app)
adapter.register(app)
grid.register(app)
plugin.register(app)
results.register(app)
leaderboard.register(app)
reproduce.register(app)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command line and returns its exit code. Prints; raises nothing."""
    set_thread_counts()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        app(args=list(arguments) if arguments is not None else None, obj=State())
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else 0
    return 0


def run() -> None:
    """The console script `bench3d`."""
    sys.exit(main())

"""Errors a user can meet: one sentence, a next step, and the exit code the command line returns."""

from __future__ import annotations


class Bench3DError(Exception):
    """Base of every error that is shown to the user without a traceback.

    Args:
        message: one sentence that says what is wrong, naming file and field where there is one.
        hint: the next step for the user.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message} {self.hint}"


class UsageError(Bench3DError):
    """A wrong option, name, key or value on the command line or in a preset."""

    exit_code = 2


class UnknownNameError(UsageError):
    """A name that no plugin has registered."""


class DataError(Bench3DError):
    """A data set, image, annotation or mesh is missing or broken."""

    exit_code = 3


class WeightsError(Bench3DError):
    """Weights or a checkpoint cannot be had or do not fit."""

    exit_code = 4


class PluginError(Bench3DError):
    """A plugin is broken, collides with another or breaks its contract."""

    exit_code = 5


class OutputError(Bench3DError):
    """Results cannot be written: no permission, no space."""

    exit_code = 6


class CapabilityError(UsageError):
    """A model lacks what a task asks for."""

"""Errors that a user can mend. Each says what was found, where, and what to do; none shows a traceback.

The command line prints ``str(error)`` and exits with ``error.exit_code``. ``--debug`` shows the traceback.
"""

from __future__ import annotations

from collections.abc import Sequence


class RLHFError(Exception):
    """A mistake outside the code: in a recipe, a data file, the environment. Exit code 2."""

    exit_code = 2


class Problems(RLHFError):
    """Several mistakes found in one reading, reported together, one line each; ``mend`` is a line for all of them."""

    def __init__(self, problems: Sequence[str], *, mend: str = "") -> None:
        if not problems:
            raise ValueError("Problems needs at least one problem")
        self.problems = tuple(problems)
        self.mend = mend
        super().__init__("\n".join([*self.problems, *([mend] if mend else [])]))


class MissingComponent(RLHFError):
    """A plugin or an optional package that is asked for is not installed. Exit code 3."""

    exit_code = 3


class GateFailed(RLHFError):
    """A measured figure is under the bound the user asked for. Exit code 4."""

    exit_code = 4


class TrainingStopped(RLHFError):
    """An invariant broke while training (a NaN, a start value that cannot be). Nothing of that step is saved."""

    exit_code = 5


class ShapeError(ValueError):
    """Two tensors that belong together do not fit: names both arguments and both shapes."""

    def __init__(self, first: str, first_shape: Sequence[int], second: str, second_shape: Sequence[int]) -> None:
        super().__init__(f"{first} has shape {tuple(first_shape)}, but {second} has shape {tuple(second_shape)}")

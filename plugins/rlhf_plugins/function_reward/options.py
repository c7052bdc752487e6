"""Options of the ``python`` reward."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Literal

from pydantic import field_serializer, field_validator
from pydantic.json_schema import SkipJsonSchema

from rlhf_core.contract.options import Options

_PATH = re.compile(r"^(?P<module>.+):(?P<name>[A-Za-z_]\w*)$")


class FunctionOptions(Options):
    function: str | SkipJsonSchema[Callable[..., Any]]
    """`module:function` or `file.py:function`, relative to the recipe's folder; from Python a function itself."""

    takes: Literal["auto", "text", "completions"] = "auto"
    """`text`: (prompt: str, completion: str) -> float. `completions`: (list of Completion) -> list of floats. `auto`:
    by the number of parameters without a default, two or one."""

    @field_validator("function")
    @classmethod
    def _is_a_path(cls, function: str | Callable[..., Any]) -> str | Callable[..., Any]:
        if isinstance(function, str) and not _PATH.match(function):
            raise ValueError("must look like 'module:function' or 'my_reward.py:function'")
        return function

    @field_serializer("function")
    def _by_path(self, function: str | Callable[..., Any]) -> str:
        """A function is written into the run by its path; ``__main__`` and lambdas cannot be read back from there."""
        if isinstance(function, str):
            return function
        named = function if hasattr(function, "__qualname__") else type(function)
        return f"{named.__module__}:{named.__qualname__}"

"""From ``module:function`` or ``file.py:function`` to the function."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from rlhf_core.contract.errors import RLHFError


def load_function(path: str, folder: str) -> Callable[..., Any]:
    """Raises: RLHFError naming the path, what was found there instead, and the functions there are."""
    where, _, name = path.rpartition(":")
    try:
        module = _from_file(where, folder) if where.endswith(".py") else _from_module(where, folder)
    except RLHFError as error:
        raise RLHFError(f"reward function {path}: {error}") from error
    except Exception as error:
        raise RLHFError(f"reward function {path}: {where} fails to import: {type(error).__name__}: {error}") from error
    function = getattr(module, name, None)
    if not callable(function):
        own = [key for key, value in vars(module).items() if _is_own(module, value) and not key.startswith("_")]
        found = "is not a function" if hasattr(module, name) else "is not there"
        there = f"there are {', '.join(own)}" if own else "there is no function at all"
        raise RLHFError(f"reward function {path}: {name!r} {found}; {there}")
    return cast("Callable[..., Any]", function)


def _is_own(module: ModuleType, value: object) -> bool:
    return callable(value) and getattr(value, "__module__", None) == module.__name__


def _from_file(where: str, folder: str) -> ModuleType:
    file = Path(folder, Path(where).expanduser()).resolve()
    if not file.is_file():
        raise RLHFError(f"there is no file {file}")
    spec = importlib.util.spec_from_file_location(file.stem, file)
    if spec is None or spec.loader is None:
        raise RLHFError(f"{file} is not a Python file")
    _search(str(file.parent))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _from_module(where: str, folder: str) -> ModuleType:
    # The `rlhf` command, unlike `python -m`, does not look into the working folder by itself.
    _search(str(Path(folder).resolve()))
    _search(str(Path.cwd()))
    try:
        return importlib.import_module(where)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{where}.".startswith(f"{error.name}."):
            raise
        raise RLHFError(
            f"no module {error.name!r} in {Path(folder).resolve()}, {Path.cwd()} or the environment; "
            "a file is given as my_reward.py:function"
        ) from error


def _search(folder: str) -> None:
    """At the end of the search path, for good: a function may import its neighbours only when it is called."""
    if folder not in sys.path:
        sys.path.append(folder)

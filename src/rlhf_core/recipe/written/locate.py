"""Where recipes and embedded resources are."""

from __future__ import annotations

import difflib
from importlib.resources import files
from pathlib import Path
from typing import Final

from rlhf_core.contract.errors import RLHFError

RES_PREFIX: Final = "res:"
DEFAULT_RECIPE: Final = "quickstart"


def recipe_names() -> list[str]:
    """Names of the recipes that are installed with the package."""
    return sorted(path.stem for path in _configs().glob("*.yaml"))


def recipe_path(name: str, *, folder: Path | None = None) -> Path:
    """The file of a recipe, by name (``puns``) or by path (``my.yaml``, ``runs/mine/recipe.yaml``).

    Args:
        folder: where a relative path starts; the working folder by default.
    Raises: RLHFError with a near name and the names there are.
    """
    path = Path(name).expanduser()
    path = folder / path if folder is not None else path
    if path.is_file():
        return path
    if path.suffix in (".yaml", ".yml") or len(Path(name).parts) > 1:
        raise RLHFError(f"recipe {name}: no such file in {folder or Path.cwd()}{_near_file(path)}")
    names = recipe_names()
    if name in names:
        return _configs() / f"{name}.yaml"
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise RLHFError(f"no recipe {name!r}{hint}; there are {', '.join(names) or 'none'}, or give the path of a file")


def resource_path(name: str) -> str:
    """The folder or file behind ``res:NAME``; other names unchanged.

    Raises: RLHFError naming what is embedded.
    """
    if not name.startswith(RES_PREFIX):
        return name
    root = Path(str(files("rlhf_core.res")))
    path = root / name.removeprefix(RES_PREFIX)
    if not path.exists():
        there = sorted(f"{RES_PREFIX}{path.name}" for path in root.iterdir() if path.is_dir() and path.name[0] != "_")
        raise RLHFError(f"{name}: nothing of that name is embedded; there are {', '.join(there) or 'none'}")
    return str(path)


def is_installed(folder: Path) -> bool:
    """Whether it is the folder of the recipes that come with the package."""
    return folder.resolve() == _configs().resolve()


def _near_file(path: Path) -> str:
    there = [file.name for file in path.parent.glob("*.y*ml")] if path.parent.is_dir() else []
    near = difflib.get_close_matches(path.name, there, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _configs() -> Path:
    return Path(str(files("rlhf_core.configs")))

"""Named input files: ``files: {labels: FILE}`` at the top of a recipe, ``file:labels`` wherever a path belongs."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rlhf_core.contract.errors import Problems

from .locate import RES_PREFIX, is_installed, resource_path
from .node import Node
from .problems import Findings

_REFERENCE: Final = re.compile(r"file:([\w-]+)")
_GIVEN: Final = re.compile(r"([\w-]+)=(.+)", re.DOTALL)


@dataclass(frozen=True)
class InputFile:
    """A file that a recipe reads by name.

    Args:
        path: absolute, whether it is there or not.
        place: where the path was written: ``shakespeare.yaml:22:3``, or the flag.
        source: where the file is published; empty where the recipe does not say.
    """

    name: str
    path: Path
    place: str
    source: str

    def problem(self) -> str | None:
        """What to do when the file is not there; None when it is."""
        if self.path.exists():
            return None
        fetch = f"; take it from {self.source}" if self.source else ""
        if self.place.startswith("--"):
            return f"{self.place}: no such file: {self.path}{fetch}"
        return f"{self.place}: {self.name}: no such file: {self.path}{fetch}; name yours by --data {self.name}=PATH"


def require(files: Sequence[InputFile]) -> None:
    """Raises: Problems with every file that is not there and where to get it."""
    problems = [problem for file in files if (problem := file.problem()) is not None]
    if problems:
        raise Problems(problems)


def told_apart(given: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Every ``--data``: the ``NAME=PATH`` of named files, and the others, which say no name."""
    named, bare = dict[str, str](), list[str]()
    for text in given:
        found = _GIVEN.fullmatch(text)
        if found is None or Path(text).expanduser().exists():
            bare.append(text)
        else:
            named[found[1]] = found[2]
    return named, bare


def with_given(recipe: Node, given: Mapping[str, str], bare: Sequence[str] = ()) -> Node:
    """The recipe with other paths for its named files.

    Args:
        given: paths by name.
        bare: paths without a name, for a recipe that reads a single file.
    Raises: Problems naming the files there are.
    """
    files = recipe.get("files") or Node({}, recipe.place)
    names = [name for name, _ in files.items()]
    problems = [_no_such_name(name, path, names) for name, path in given.items() if name not in names]
    if bare and len(names) != 1:
        problems += [_needs_a_name(path, names) for path in bare]
    elif len(bare) > 1:
        problems.append(f"--data {' --data '.join(bare)}: the recipe reads one file, {names[0]}; name one")
    if problems:
        raise Problems(problems)
    given = {**given, names[0]: bare[0]} if bare else given
    for name, path in given.items():
        place = f"--data {name}"
        source = files.get(name, "source")
        entry = {"path": Node(path, place)} | ({"source": source} if source else {})
        files = files.with_value(name, Node(entry, place))
    return recipe.with_value("files", files) if given else recipe


def _no_such_name(name: str, path: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"--data {name}={path}: the recipe reads no file of that name{hint}; {_there(names)}"


def _needs_a_name(path: str, names: Sequence[str]) -> str:
    if names:
        return f"--data {path}: which of its files? {_there(names)}, such as --data {names[0]}={path}"
    return f"--data {path}: {_there(names)}; --set reaches its sources, such as stages.NAME.data.sources.0.path=FILE"


def _there(names: Sequence[str]) -> str:
    return f"it reads {', '.join(names)}" if names else "the recipe has no named files"


def spelled_out(recipe: Node) -> Node:
    """The tree with ``{labels: PATH}`` written as ``{labels: {path: PATH}}``."""
    files = recipe.get("files")
    for name, entry in files.items() if files is not None else ():
        if isinstance(entry.value, str) and files is not None:
            files = files.with_value(name, Node({"path": entry}, entry.place, entry.folder))
    return recipe.with_value("files", files) if files is not None else recipe


def input_files(recipe: Node) -> dict[str, InputFile]:
    """By name, of a tree that is spelled out. What is not written as it should be is left to the schema to tell."""
    files = recipe.get("files")
    found = {}
    for name, entry in files.items() if files is not None else ():
        path, source = entry.get("path"), entry.get("source")
        if path is not None and isinstance(path.value, str):
            said = str(source.value) if source is not None else ""
            found[name] = InputFile(name, _absolute(path), path.place, said)
    return found


def with_paths(recipe: Node, files: Mapping[str, InputFile], findings: Findings) -> Node:
    """The tree with every ``file:NAME`` replaced by the path of that file."""
    if isinstance(recipe.value, dict):
        return Node({key: with_paths(child, files, findings) for key, child in recipe.items()}, *_rest(recipe))
    if isinstance(recipe.value, list):
        return Node([with_paths(child, files, findings) for _, child in recipe.each()], *_rest(recipe))
    name = referred(recipe.value)
    if name is None:
        return recipe
    if name in files:
        return Node(str(files[name].path), *_rest(recipe))
    near = difflib.get_close_matches(name, files, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    there = f"there are {', '.join(files)}" if files else f"the recipe has none: files: {{{name}: PATH}}"
    findings.add(recipe.place, f"{recipe.value}: no such name in files{hint}; {there}")
    return recipe


def used_in(section: Node, files: Mapping[str, InputFile]) -> tuple[InputFile, ...]:
    """The named files whose paths stand in a section after :func:`with_paths`."""
    there = set(_texts(section.plain()))
    return tuple(file for file in files.values() if str(file.path) in there)


def referred(value: object) -> str | None:
    """The NAME of ``file:NAME``; None for everything else, URLs of files among it."""
    found = _REFERENCE.fullmatch(value) if isinstance(value, str) else None
    return found[1] if found else None


def _absolute(path: Node) -> Path:
    """Beside the recipe that names it, else in the working folder; of an installed recipe in the working folder."""
    if str(path.value).startswith(RES_PREFIX):
        return Path(resource_path(path.value))
    relative = Path(path.value).expanduser()
    if path.folder is not None and not is_installed(path.folder) and (path.folder / relative).exists():
        return (path.folder / relative).absolute()
    return relative.absolute()


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for child in value.values() if isinstance(value, dict) else value:
            yield from _texts(child)


def _rest(node: Node) -> tuple[str, Path | None, bool]:
    return node.place, node.folder, node.whole

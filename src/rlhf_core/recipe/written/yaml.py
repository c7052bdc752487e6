"""YAML with line and column of every key, and YAML that people can read."""

from __future__ import annotations

import datetime
import io
import re
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from rlhf_core.contract.errors import RLHFError

from .node import Node


def load(path: Path) -> Node:
    """The file as a tree of nodes, each with ``path:line:column`` of its key.

    Raises: RLHFError naming the place when it is no readable YAML mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise RLHFError(f"{path}:{line}: not UTF-8 (byte {error.start}); save the recipe as UTF-8") from error
    except OSError as error:
        raise RLHFError(f"{path}: cannot be read: {error.strerror}") from error
    document = _parse(text, str(path))
    if not isinstance(document, CommentedMap):
        found = "nothing" if document is None else "a list" if isinstance(document, list) else repr(document)
        raise RLHFError(f"{path}:1:1: a recipe is a mapping of keys to values; found {found}")
    return _node(document, str(path), f"{path}:1:1", path.resolve().parent)


def parse_value(text: str, place: str) -> Any:
    """The right-hand side of ``--set key=value``, as YAML reads it: ``1.0e-3``, ``null``, ``[a, b]``, plain text.

    Raises: RLHFError naming the flag.
    """
    value = _parse(text, place, kind="safe") if text.strip() else ""
    return str(value) if isinstance(value, datetime.date) else value


def dump(value: object) -> str:
    """Plain values as block YAML, in the order of their keys."""
    writer = YAML(typ="safe", pure=True)
    writer.default_flow_style = False
    writer.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    writer.width = 110
    stream = io.StringIO()
    writer.dump(value, stream)
    return stream.getvalue()


def _parse(text: str, name: str, kind: str = "rt") -> Any:
    try:
        return YAML(typ=kind, pure=True).load(text)
    except DuplicateKeyError as error:
        key = re.search(r'key "([^"]*)"', str(error.problem))
        raise RLHFError(f"{_at(error, name)}: {key[1] if key else 'a key'}: stands here twice; keep one") from error
    except MarkedYAMLError as error:
        raise RLHFError(f"{_at(error, name)}: not valid YAML: {_first_line(error.problem or error.context)}") from error
    except YAMLError as error:
        raise RLHFError(f"{name}: not valid YAML: {_first_line(str(error))}") from error


def _at(error: MarkedYAMLError, name: str) -> str:
    mark = error.problem_mark or error.context_mark
    return f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name


def _first_line(text: object) -> str:
    return str(text).strip().splitlines()[0] if str(text).strip() else "unreadable"


def _node(value: Any, file: str, place: str, folder: Path) -> Node:
    if isinstance(value, CommentedMap):
        children = {str(key): _node(value[key], file, _place(file, value.lc.key(key)), folder) for key in value}
        return Node(children, place, folder)
    if isinstance(value, CommentedSeq):
        items = [_node(item, file, _place(file, value.lc.item(i)), folder) for i, item in enumerate(value)]
        return Node(items, place, folder)
    return Node(_scalar(value), place, folder)


def _place(file: str, position: tuple[int, int]) -> str:
    line, column = position
    return f"{file}:{line + 1}:{column + 1}"


def _scalar(value: Any) -> Any:
    """ruamel's scalars remember their spelling; only the value is of interest here."""
    for plain in (bool, int, float, str):
        if isinstance(value, plain):
            return plain(value)
    return str(value) if isinstance(value, datetime.date) else value

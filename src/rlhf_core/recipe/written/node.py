"""A tree of values that remember where they were written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

from rlhf_core.contract.components import KINDS

Keys: TypeAlias = tuple[str | int, ...]

NAMING_KEYS = (*(kind for kind in KINDS if kind not in ("trainer", "dataset")), "source")
"""The keys that name a component with its options beside them."""

ALTERNATIVES = (("epochs", "steps"), ("steps", "epochs"), ("fraction", "sources"), ("sources", "fraction"))
"""(old, new): giving the new key takes the old one away, since only one of the two may stand."""


@dataclass(frozen=True)
class Node:
    """A value of a recipe.

    Args:
        value: a dict or list of nodes, or a plain scalar.
        place: ``puns.yaml:12:5`` of its key, or the flag that gave it (``--set trainer.beta``).
        folder: relative paths in it start here; None for the working directory.
        whole: nothing is laid under it: it replaces a section instead of changing keys of it.
    """

    value: Any
    place: str
    folder: Path | None = None
    whole: bool = False

    def plain(self) -> Any:
        """The value with nothing but plain Python in it."""
        if isinstance(self.value, dict):
            return {key: child.plain() for key, child in self.value.items()}
        if isinstance(self.value, list):
            return [child.plain() for child in self.value]
        return self.value

    def get(self, *keys: str | int) -> Node | None:
        """The node at the end of the way, or None."""
        node: Node | None = self
        for key in keys:
            node = node._child(key) if node is not None else None
        return node

    def nearest(self, keys: Keys) -> Node:
        """The deepest node on the way that is there: the place to name for a missing or unknown key."""
        node = self
        for key in keys:
            child = node._child(key)
            if child is None:
                break
            node = child
        return node

    def items(self) -> Iterator[tuple[str, Node]]:
        yield from self.value.items() if isinstance(self.value, dict) else ()

    def each(self) -> Iterator[tuple[int, Node]]:
        yield from enumerate(self.value) if isinstance(self.value, list) else ()

    def with_value(self, key: str, child: Node) -> Node:
        """A mapping with one key set. Its own place stays."""
        return replace(self, value={**self.value, key: child})

    def without(self, *keys: str) -> Node:
        return replace(self, value={key: child for key, child in self.items() if key not in keys})

    def _child(self, key: str | int) -> Node | None:
        if isinstance(self.value, dict):
            return self.value.get(key)
        if isinstance(self.value, list) and isinstance(key, int) and 0 <= key < len(self.value):
            child: Node = self.value[key]
            return child
        return None


def node_of(value: object, place: str, folder: Path | None = None) -> Node:
    """A plain value as a tree in which everything was written at ``place``."""
    if isinstance(value, Mapping):
        return Node({str(key): node_of(child, place, folder) for key, child in value.items()}, place, folder)
    if isinstance(value, list | tuple):
        return Node([node_of(child, place, folder) for child in value], place, folder)
    return Node(value, place, folder)


def merge(base: Node | None, over: Node | None) -> Node | None:
    """``over`` upon ``base``, mappings key by key, everything else replaced.

    A section that names another component starts afresh, since the old one's options do not fit the new one
    (``path`` stays: it is the model's, not the backbone's).
    """
    if base is None or over is None:
        return over if base is None else base
    if over.whole or not (isinstance(base.value, dict) and isinstance(over.value, dict)):
        return over
    merged = dict(_kept(base, over))
    for key, child in over.items():
        lower = merged.get(key)
        merged[key] = merge(lower, child) or child
    return Node(merged, over.place, over.folder, whole=base.whole)


def _kept(base: Node, over: Node) -> Iterator[tuple[str, Node]]:
    if any(_renamed(base.get(naming), over.get(naming)) for naming in NAMING_KEYS):
        return ((key, child) for key, child in base.items() if key == "path")
    given = {key for key, child in over.items() if child.value is not None}
    replaced = {old for old, new in ALTERNATIVES if new in given}
    return ((key, child) for key, child in base.items() if key not in replaced)


def _renamed(old: Node | None, new: Node | None) -> bool:
    """Whether both are names, and different ones. A stage's ``reward:`` is a section and no name."""
    if old is None or new is None or not (isinstance(old.value, str) and isinstance(new.value, str)):
        return False
    return old.value != new.value

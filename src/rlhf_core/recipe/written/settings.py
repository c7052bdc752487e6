"""What the command line says of a recipe: ``--set a.b=c`` and the friendly flags, laid over its tree."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

from rlhf_core.contract.errors import Problems, RLHFError

from . import yaml
from .node import Keys, Node, merge, node_of

ROOT_KEYS: Final = ("stages", "evaluate", "name", "summary")
"""First keys of ``--set`` that speak of the whole recipe even where a stage is chosen."""


Settings: TypeAlias = Mapping[str, Any] | Sequence[str]
"""Options by dotted keys, as values or as typed."""


def as_typed(settings: Settings) -> tuple[str, ...]:
    """``key=value`` of each."""
    if isinstance(settings, Mapping):
        return tuple(f"{key}={json.dumps(value)}" for key, value in settings.items())
    return tuple(settings)


def with_settings(recipe: Node, settings: Sequence[str], *, stage: str | None = None) -> Node:
    """The recipe with each ``key=value`` laid over it.

    Args:
        stage: the stage whose keys bare ones are (``trainer.beta``); None for keys of the whole recipe.
    Raises: Problems with every setting that cannot be applied.
    """
    problems = []
    for setting in settings:
        key, equals, text = setting.partition("=")
        place = f"--set {key}"
        try:
            if not equals or not key.strip():
                raise RLHFError(f"--set {setting}: write KEY=VALUE, such as --set trainer.beta=0.2")
            value = node_of(yaml.parse_value(text, place), place)
            recipe = with_value(recipe, keys_of(recipe, key, stage), value)
        except RLHFError as error:
            problems.append(str(error))
    if problems:
        raise Problems(problems)
    return recipe


def with_value(recipe: Node, keys: Keys, value: Node) -> Node:
    """The tree with ``value`` laid over what is at ``keys``; mappings on the way are made where there are none.

    Raises: RLHFError when a key on the way holds no mapping.
    """
    if not keys:
        return merge(recipe, value) or value
    first, rest = keys[0], keys[1:]
    if isinstance(recipe.value, list):
        if not isinstance(first, int) or not 0 <= first < len(recipe.value):
            raise RLHFError(f"{value.place}: {first!r} is not one of the {len(recipe.value)} items (0 is the first)")
        items = [with_value(child, rest, value) if i == first else child for i, child in recipe.each()]
        return Node(items, recipe.place, recipe.folder)
    if recipe.value is not None and not isinstance(recipe.value, dict):
        raise RLHFError(f"{value.place}: {first!r} is not a key of {recipe.value!r}, which is a plain value")
    inner: Node = value
    for key in reversed(rest):
        inner = Node({str(key): inner}, value.place)
    child = recipe.get(first)
    if child is not None and rest:
        inner = with_value(child, rest, value)
        return recipe.with_value(str(first), inner)
    # Through merge, so that naming another component or `steps` in place of `epochs` does what it does in a file.
    over = Node({str(first): inner}, recipe.place, recipe.folder)
    return merge(Node(recipe.value or {}, recipe.place, recipe.folder), over) or over


def stage_names(recipe: Node) -> list[str]:
    """Names of the stages as far as they can be told: ``name``, else ``algo``."""
    stages = recipe.get("stages")
    rows = [node for _, node in stages.each()] if stages else []
    named = [row.get("name") or row.get("algo") for row in rows]
    return [str(node.value) if node else f"stages[{i}]" for i, node in enumerate(named)]


def stage_index(recipe: Node, name: str, place: str) -> int:
    """Raises: RLHFError with a near name and the names there are."""
    names = stage_names(recipe)
    if name in names:
        return names.index(name)
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise RLHFError(f"{place}: the recipe has no stage {name!r}{hint}; there are {', '.join(names)}")


def keys_of(recipe: Node, key: str, stage: str | None, *, flag: str = "--set") -> Keys:
    """The way to a dotted key, stages by their places.

    Args:
        stage: the stage whose key a bare one is (``trainer.beta``); None for keys of the whole recipe.
        flag: that gave it, for messages.
    Raises: RLHFError for a stage that is not there.
    """
    parts: list[str | int] = [int(part) if part.isdigit() else part for part in key.strip().split(".")]
    if stage is not None and parts[0] not in ROOT_KEYS:
        return ("stages", stage_index(recipe, stage, f"{flag} {key}"), *parts)
    if parts[0] == "stages" and len(parts) > 1 and isinstance(parts[1], str):
        return ("stages", stage_index(recipe, parts[1], f"{flag} {key}"), *parts[2:])
    return tuple(parts)

"""Recipes on recipes: what a file extends is laid beneath it, and stages given by name go into the list beneath."""

from __future__ import annotations

import difflib
from pathlib import Path

from rlhf_core.contract.errors import Problems, RLHFError

from . import yaml
from .locate import recipe_path
from .node import Node, merge
from .settings import stage_names


def load(config: str) -> Node:
    """The recipe of that name or path with everything it extends beneath it. Each value keeps its own file's place.

    Raises: RLHFError when one of them is not there, is not readable, has no name of its own, or extends itself.
    """
    return _load(recipe_path(config), ())


def lay(base: Node | None, over: Node) -> Node:
    """``over`` upon ``base``, key by key; ``stages`` as a mapping by name changes stages of the list beneath.

    Raises: Problems naming the stages that are not there.
    """
    stages = over.get("stages")
    if stages is not None and isinstance(stages.value, dict):
        beneath = base.get("stages") if base is not None else None
        if base is None or beneath is None or not isinstance(beneath.value, list):
            raise RLHFError(
                f"{stages.place}: stages by name change those of a recipe beneath, and there is none: "
                "say extends: RECIPE, or write a list"
            )
        over = over.with_value("stages", _changed(beneath, stages, stage_names(base)))
    return merge(base, over) or over


def _load(path: Path, above: tuple[Path, ...]) -> Node:
    over = yaml.load(path)
    extends = over.get("extends")
    if extends is None:
        return over
    chain = (*above, path.resolve())
    beneath = _beneath(extends)
    if beneath.resolve() in chain:
        circle = " → ".join(file.name for file in (*chain[chain.index(beneath.resolve()) :], beneath))
        raise RLHFError(f"{extends.place}: extends goes in a circle: {circle}")
    if over.get("name") is None:
        raise RLHFError(
            f"{over.place}: name is missing: a recipe that extends another has its own, since its runs go to runs/NAME"
        )
    return lay(_load(beneath, chain), over.without("extends"))


def _beneath(extends: Node) -> Path:
    """The file that is extended: one beside the file that says so, else a recipe by name."""
    if not isinstance(extends.value, str):
        raise RLHFError(f"{extends.place}: extends = {extends.value!r}: must be the name or the file of one recipe")
    try:
        return recipe_path(extends.value, folder=extends.folder)
    except RLHFError as error:
        raise RLHFError(f"{extends.place}: extends: {error}") from None


def _changed(beneath: Node, stages: Node, names: list[str]) -> Node:
    rows = dict(zip(names, (row for _, row in beneath.each()), strict=True))
    problems = []
    for name, change in stages.items():
        if name in rows:
            rows[name] = merge(rows[name], change) or change
            continue
        near = difflib.get_close_matches(name, names, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        problems.append(f"{change.place}: no stage {name!r} in the recipe beneath{hint}; there are {', '.join(names)}")
    if problems:
        raise Problems(problems)
    return Node(list(rows.values()), beneath.place, beneath.folder)

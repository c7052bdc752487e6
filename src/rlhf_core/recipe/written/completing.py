"""A recipe's tree with everything in its place: shared sections under each stage, names given, paths absolute."""

from __future__ import annotations

from pathlib import Path

from .files import referred
from .locate import RES_PREFIX, resource_path
from .node import Node, merge
from .schema import SHARED
from .sections import STAGE_PREFIX
from .settings import stage_names


def complete(recipe: Node) -> Node:
    """The tree with the shared sections laid under each stage, names given, and paths made absolute."""
    stages = recipe.get("stages")
    if stages is None or not isinstance(stages.value, list):
        return recipe
    shared = Node({key: node for key, node in recipe.items() if key in SHARED}, recipe.place, recipe.folder)
    completed = []
    for (_, stage), name in zip(stages.each(), stage_names(recipe), strict=True):
        if isinstance(stage.value, dict):
            named = stage if stage.get("name") else stage.with_value("name", Node(name, stage.place))
            stage = _anchored(merge(Node(shared.value, stage.place, stage.folder), named) or named)
        completed.append(stage)
    recipe = recipe.with_value("stages", Node(completed, stages.place, stages.folder))
    evaluate = recipe.get("evaluate")
    if evaluate is not None and isinstance(evaluate.value, dict):
        recipe = recipe.with_value("evaluate", _anchored(evaluate))
    return recipe


def without_shared(recipe: Node) -> Node:
    """Shared sections are checked where they arrive, in the stages; those may complete them."""
    return recipe.without(*(key for key in SHARED if key != "seed"))


def _anchored(section: Node) -> Node:
    """Paths of data files and of a model folder made absolute, each from the folder of the file that names it."""
    data, model = section.get("data"), section.get("model")
    if data is not None and isinstance(data.value, dict):
        validation = data.get("validation")
        if validation is not None and isinstance(validation.value, dict):
            data = data.with_value("validation", _anchored_sources(validation))
        section = section.with_value("data", _anchored_sources(data))
    path = model.get("path") if model is not None else None
    if model is not None and path is not None and isinstance(path.value, str) and path.folder is not None:
        beside = path.folder / path.value
        if path.value and not path.value.startswith((RES_PREFIX, STAGE_PREFIX)) and beside.is_dir():
            section = section.with_value("model", model.with_value("path", Node(str(beside), path.place)))
    return section


def _anchored_sources(data: Node) -> Node:
    sources = data.get("sources")
    if sources is None:
        return data
    anchored = []
    for _, source in sources.each():
        path = source.get("path")
        if path is not None and isinstance(path.value, str):
            if referred(path.value) is not None:
                absolute = path.value
            elif path.value.startswith(RES_PREFIX):
                absolute = resource_path(path.value)
            else:
                absolute = str(((path.folder or Path.cwd()) / Path(path.value).expanduser()).absolute())
            source = source.with_value("path", Node(absolute, path.place, path.folder))
        anchored.append(source)
    return data.with_value("sources", Node(anchored, sources.place, sources.folder))

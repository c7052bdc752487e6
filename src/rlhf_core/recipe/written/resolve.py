"""From a recipe's name to validated stages: names found, shared sections laid under, every default filled in."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from rlhf_core.registry.catalog import Catalog

from .completing import complete, without_shared
from .extending import lay, load
from .files import input_files, spelled_out, with_paths
from .node import Node
from .problems import Findings, validate
from .reader import Reader
from .resolved import Recipe
from .schema import RecipeOptions
from .sections import SectionReader


def read(configs: Sequence[str]) -> Node:
    """The recipe of that name or path on what it extends; further ones are laid over it, key by key.

    Raises: RLHFError when one is not there or not readable.
    """
    recipe: Node | None = None
    for config in configs:
        recipe = lay(recipe, load(config))
    assert recipe is not None, "at least one config"
    return recipe


def resolve(
    recipe: Node, catalog: Catalog, *, stages: Collection[str] | None = None, evaluate: bool = True
) -> Recipe:  # fmt: skip
    """Validate and complete a recipe.

    Args:
        stages: names of the stages whose components are wanted, with what they need; all by default. The rest of the
            recipe is checked for unknown keys and wrong types, but may name components that are not installed.
        evaluate: whether the components of the evaluation are wanted.
    Raises: Problems (MissingComponent when that is all there is) with one line per mistake, all at once.
    """
    findings = Findings()
    recipe = spelled_out(recipe)
    files = input_files(recipe)
    whole = with_paths(complete(recipe), files, findings)
    options = validate(without_shared(whole), RecipeOptions, findings, owner="the recipe")
    reader = Reader(whole, options, SectionReader(catalog, findings), files)
    reader.check_references()
    wanted = reader.closure(reader.names if stages is None else stages)
    # Sections are read even where the rest is wrong, so that all mistakes are told at once.
    read_stages = [reader.stage(index) for index, name in enumerate(reader.names) if name in wanted]
    evaluation = reader.evaluation() if evaluate else None
    findings.stop_if_any()
    assert options is not None, "what is wrong with it would have been found"
    complete_stages = tuple(stage for stage in read_stages if stage is not None)
    return Recipe(options.name, complete_stages, evaluation, options.evaluate)

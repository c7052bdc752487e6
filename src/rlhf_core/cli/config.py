"""`rlhf config`: recipes, listed, shown, checked; and their schema for editors."""

from __future__ import annotations

import json

import click

from .main import Setup
from .tables import print_columns


@click.group("config")
def command() -> None:
    """List, show and check recipes."""


@command.command("list")
def list_command() -> None:
    """The recipes that come with the package."""
    from rlhf_core.recipe.written.extending import load
    from rlhf_core.recipe.written.locate import recipe_names
    from rlhf_core.recipe.written.settings import stage_names

    rows = []
    for name in recipe_names():
        recipe = load(name)
        summary = recipe.get("summary")
        rows.append((name, " → ".join(stage_names(recipe)), str(summary.value) if summary else ""))
    print_columns(rows)


@command.command("show")
@click.argument("recipe", metavar="NAME|FILE")
@click.option("--resolved", is_flag=True, help="Every default filled in.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Lay a value over the recipe.")
@click.pass_obj
def show(setup: Setup, recipe: str, resolved: bool, settings: tuple[str, ...]) -> None:
    """Print a recipe as it is written, or as it resolves."""
    from rlhf_core.recipe.written import yaml
    from rlhf_core.recipe.written.locate import recipe_path
    from rlhf_core.recipe.written.resolve import read, resolve
    from rlhf_core.recipe.written.settings import with_settings

    if not (resolved or settings):
        click.echo(recipe_path(recipe).read_text("utf-8"), nl=False)
        return
    click.echo(yaml.dump(resolve(with_settings(read([recipe]), settings), setup.catalog).plain()), nl=False)


@command.command("check")
@click.argument("recipes", metavar="NAME|FILE...", nargs=-1, required=True)
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Lay a value over the recipe.")
@click.pass_obj
def check(setup: Setup, recipes: tuple[str, ...], settings: tuple[str, ...]) -> None:
    """Tell everything that is wrong with recipes."""
    from rlhf_core.recipe.written.resolve import read, resolve
    from rlhf_core.recipe.written.settings import with_settings

    for recipe in recipes:
        found = resolve(with_settings(read([recipe]), settings), setup.catalog)
        click.echo(f"{recipe}: fine ({', '.join(stage.name for stage in found.stages)})")


@command.command("schema")
@click.pass_obj
def schema(setup: Setup) -> None:
    """Print the JSON schema of recipes, with the options of every installed component."""
    from rlhf_core.recipe.written.jsonschema import recipe_schema

    click.echo(json.dumps(recipe_schema(setup.catalog), indent=2))

"""`rlhf run`: a whole recipe."""

from __future__ import annotations

from pathlib import Path

import click

from .main import Setup


@click.command("run")
@click.argument("recipes", metavar="NAME|FILE...", nargs=-1, required=True)
@click.option("--output", metavar="FOLDER", help="The folder of its runs.  [default: runs/NAME]")
@click.option("--data", multiple=True, metavar="NAME=PATH", help="One of its input files; PATH alone where it has one.")
@click.option("--seed", type=int, help="Of every stage that has none of its own.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Such as stages.dpo.trainer.beta=0.2.")
@click.pass_obj
def command(
    setup: Setup,
    recipes: tuple[str, ...],
    output: str | None,
    data: tuple[str, ...],
    seed: int | None,
    settings: tuple[str, ...],
) -> int:
    """Run a recipe: stages in order, then their evaluation, then the report.

    Stages that are finished are reused, one that was stopped goes on, and one whose options or data changed is trained
    anew beside the old one. Several recipes are laid over each other.
    """
    from rlhf_core.recipe.files import told_apart, with_given
    from rlhf_core.recipe.pipeline import Session, run_recipe
    from rlhf_core.recipe.resolve import read, resolve
    from rlhf_core.recipe.settings import with_settings

    from .progress import listeners
    from .results import print_evaluations

    given = [*settings, *([f"seed={seed}"] if seed is not None else [])]
    written = with_given(read(recipes), *told_apart(data))
    recipe = resolve(with_settings(written, given), setup.catalog)
    root = Path(output) if output else Path("runs") / recipe.name
    result = run_recipe(recipe, Session(setup.catalog, root, setup.command, click.echo, listeners))
    if result.stopped is not None:
        click.echo(f"stopped in {result.stopped}; all is saved. Go on with\n  {setup.command}")
        return 130
    print_evaluations(result.evaluations)
    click.echo(f"report: {result.page}")
    return 0

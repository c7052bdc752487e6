"""`rlhf run`: a whole recipe."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .main import Setup
from .processes import run_together, started_together, unheard

if TYPE_CHECKING:
    from rlhf_core.recipe.written.resolved import Recipe


@click.command("run")
@click.argument("recipes", metavar="NAME|FILE...", nargs=-1, required=True)
@click.option("--output", metavar="FOLDER", help="The folder of its runs.  [default: runs/NAME]")
@click.option("--data", multiple=True, metavar="NAME=PATH", help="One of its input files; PATH alone where it has one.")
@click.option("--seed", type=int, help="Of every stage that has none of its own.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Such as stages.dpo.trainer.beta=0.2.")
@click.option(
    "--procs", type=click.IntRange(min=1), default=1, show_default=True, help="Processes that train together."
)
@click.option("--dry-run", is_flag=True, help="One step of each stage; tell what they take; keep nothing.")
@click.pass_obj
def command(
    setup: Setup,
    recipes: tuple[str, ...],
    output: str | None,
    data: tuple[str, ...],
    seed: int | None,
    settings: tuple[str, ...],
    procs: int,
    dry_run: bool,
) -> int:
    """Run a recipe: stages in order, then their evaluation, then the report.

    Stages that are finished are reused, one that was stopped goes on, and one whose options or data changed is trained
    anew beside the old one. Several recipes are laid over each other.
    """
    if procs > 1 and not dry_run and not started_together():
        return run_together(setup.words, procs)
    from rlhf_core.recipe.written.files import told_apart, with_given
    from rlhf_core.recipe.written.resolve import read, resolve
    from rlhf_core.recipe.written.settings import with_settings

    given = [*settings, *([f"seed={seed}"] if seed is not None else [])]
    written = with_given(read(recipes), *told_apart(data))
    recipe = resolve(with_settings(written, given), setup.catalog)
    root = Path(output) if output else Path("runs") / recipe.name
    if dry_run:
        rehearse(setup, recipe, root)
        return 0
    # Only now: a mistake in the recipe is told before torch takes its seconds to load.
    from rlhf_core.recipe.pipeline import Session, run_recipe
    from rlhf_core.training.world import joined

    from .asking import watched
    from .progress import listeners
    from .results import print_evaluations

    with joined() as world, watched() as asked:
        tell = click.echo if world.first else unheard
        result = run_recipe(recipe, Session(setup.catalog, root, setup.command, tell, listeners, asked=asked))
        if not world.first:
            return 0
    if result.stopped is not None:
        click.echo(f"stopped in {result.stopped}; all is saved. Go on with\n  {setup.command}")
        return 130
    print_evaluations(result.evaluations)
    click.echo(f"report: {result.page}")
    return 0


def rehearse(setup: Setup, recipe: Recipe, root: Path) -> None:
    """Each stage on what is finished of the others, then what the evaluation's judge will be asked."""
    from rlhf_core.recipe.measuring.questions import evaluation_questions
    from rlhf_core.recipe.rehearsal.dryrun import dry_run_stage, finished_runs

    from .dryrun import question_facts, show
    from .tables import print_columns

    runs, reports = finished_runs(recipe.stages, root, setup.catalog, click.echo), {}
    for stage in recipe.stages:
        found = dry_run_stage(stage, setup.catalog, runs)
        reports[stage.name] = found.reports["validation"]
        show(found)
        click.echo("")
    questions = evaluation_questions(recipe, setup.catalog, reports)
    if questions is not None:
        click.echo("evaluation")
        print_columns(list(question_facts(questions)), indent="  ")

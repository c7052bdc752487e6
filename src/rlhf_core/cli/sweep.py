"""`rlhf sweep`: a recipe over a grid of options and seeds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .main import Setup

if TYPE_CHECKING:
    from rlhf_core.recipe.sweeps.sweep import SweepResult


@click.command("sweep")
@click.argument("recipes", metavar="NAME|FILE...", nargs=-1, required=True)
@click.option(
    "--grid", multiple=True, metavar="KEY=V1,V2,...", required=True,
    help="An option and its values, such as stages.ppo.trainer.kl_coef=.02,.1,.2; several make all combinations.",
)  # fmt: skip
@click.option("--seeds", default="0", show_default=True, metavar="S1,S2,...", help="Each point once per seed.")
@click.option("--stage", metavar="NAME", help="Sweep this stage alone; bare keys of --grid are its.")
@click.option("--output", metavar="FOLDER", help="The folder of its runs, as for `rlhf run`.  [default: runs/NAME]")
@click.option("--data", multiple=True, metavar="NAME=PATH", help="One of its input files, as for `rlhf run`.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="For all points, as for `rlhf run`.")
@click.pass_obj
def command(
    setup: Setup, recipes: tuple[str, ...], grid: tuple[str, ...], seeds: str, stage: str | None, output: str | None,
    data: tuple[str, ...], settings: tuple[str, ...],
) -> int:  # fmt: skip
    """Run a recipe at each point of a grid, for each seed, and compare what comes out.

    \b
    rlhf sweep quickstart --grid stages.dpo.trainer.beta=.05,.1,.2 --seeds 0,1,2
    rlhf sweep quickstart --stage ppo --grid trainer.kl_coef=.02,.2 --grid training.learning_rate=1e-4,3e-4

    Stages that no point changes are trained once and shared; the seeds are those of the others. A point that fails is
    told, and the others go on. The same command goes on with a sweep that was stopped. Table, frontier of score against
    KL, samples and alarms are in sweep/sweep.html of the folder, the numbers in sweep.json beside it.
    """
    from rlhf_core.recipe.sweeps.grid import axes_of, plan
    from rlhf_core.recipe.written.files import told_apart, with_given
    from rlhf_core.recipe.written.resolve import read
    from rlhf_core.recipe.written.settings import with_settings

    recipe = with_settings(with_given(read(recipes), *told_apart(data)), settings)
    planned = plan(recipe, setup.catalog, axes_of(grid), seed_numbers(seeds), stage=stage)
    root = Path(output) if output else Path("runs") / planned.recipe
    # Only now, as in `rlhf run`.
    from rlhf_core.recipe.pipeline import Session
    from rlhf_core.recipe.sweeps.sweep import run_plan

    from .asking import watched
    from .progress import listeners

    with watched() as asked:
        result = run_plan(planned, Session(setup.catalog, root, setup.command, click.echo, listeners, asked=asked))
    if result.stopped:
        click.echo(f"stopped; all is saved. Go on with\n  {setup.command}")
        return 130
    return tell_end(result)


def seed_numbers(text: str) -> list[int]:
    """Raises: click.BadParameter for what is not a list of whole numbers."""
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise click.UsageError(f"--seeds {text}: write whole numbers, such as --seeds 0,1,2") from None


def tell_end(result: SweepResult) -> int:
    """The table, what failed, and where the page is. Returns: the exit code; a failed point has one."""
    from .results import seed_cell
    from .tables import print_table

    table = result.table
    names = dict.fromkeys(name for row in table for name in row["metrics"])
    rows = [[name, *(seed_cell(row["metrics"].get(name)) for row in table)] for name in names]
    columns = ["metric", *(f"{row['setting']} ({row['seeds']})" for row in table)]
    print_table(columns, rows, title="means over (so many) seeds with 95 % intervals")
    for failed in result.failed:
        click.echo(f"failed: {failed.point.name}: {failed.error}", err=True)
    click.echo(f"report: {result.page}")
    return max((failed.exit_code for failed in result.failed), default=0)

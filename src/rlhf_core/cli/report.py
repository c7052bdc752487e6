"""`rlhf report`: the page, written anew."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("report")
@click.option("--run", "run_", metavar="RUN", help="A run, or the folder of a recipe's runs.  [default: the newest]")
def command(run_: str | None) -> None:
    """Write report.html from what the run has now."""
    from rlhf_core.recipe.reporting import write_page, write_run_page
    from rlhf_core.store.run import RunFolder

    folder = Path(run_) if run_ else None
    stages = [] if folder is None or RunFolder(folder).exists else RunFolder.list(folder)
    if folder is not None and stages:
        runs = {run.name: run for run in stages if "~" not in run.name}
        click.echo(write_page(folder, folder.name, runs, command=f"rlhf report --run {folder}"))
    else:
        click.echo(write_run_page(RunFolder.open(run_) if run_ else RunFolder.newest()))

"""`rlhf report`: a page of a run, of a recipe's runs, or of runs side by side."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("report")
@click.argument("runs", metavar="[RUN]...", nargs=-1)
@click.option("--run", "run_", metavar="RUN", help="The same as the argument.")
@click.option("--output", metavar="FILE", help="The page's place.  [default: report.html, or comparison.html]")
def command(runs: tuple[str, ...], run_: str | None, output: str | None) -> None:
    """Write the page of what a run has now; of several runs, compare them.

    \b
    rlhf report                        the newest run
    rlhf report runs/quickstart        all stages of a recipe
    rlhf report runs/a runs/b runs/c   curves overlaid, settings that differ, the same prompts side by side
    """
    from rlhf_core.recipe.reporting import comparison_place, write_comparison, write_place
    from rlhf_core.store.run import RunFolder

    places = [*runs, *([run_] if run_ else [])]
    page = Path(output) if output else None
    if len(places) > 1:
        folders = [RunFolder.open(place) for place in places]
        click.echo(write_comparison(folders, page or comparison_place(folders)))
    else:
        click.echo(write_place(places[0] if places else str(RunFolder.newest().path), page))

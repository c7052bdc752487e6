"""`rlhf report`: a page of a run, of a recipe's runs, or of runs side by side; or one that follows a run."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("report")
@click.argument("runs", metavar="[RUN]...", nargs=-1)
@click.option("--run", "run_", metavar="RUN", help="The same as the argument.")
@click.option("--output", metavar="FILE", help="The page's place.  [default: report.html, or comparison.html]")
@click.option("--watch", is_flag=True, help="Serve the page to this machine's browser and follow the run.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="With --watch.  [default: a free one]")
def command(runs: tuple[str, ...], run_: str | None, output: str | None, watch: bool, port: int) -> None:
    """Write the page of what a run has now; of several runs, compare them.

    \b
    rlhf report                        the newest run
    rlhf report runs/quickstart        all stages of a recipe
    rlhf report runs/a runs/b runs/c   curves overlaid, settings that differ, the same prompts side by side
    rlhf report --watch runs/a         curves and samples while it trains
    """
    from rlhf_core.store.run import RunFolder

    places = [*runs, *([run_] if run_ else [])] or [str(RunFolder.newest().path)]
    if watch:
        follow(places, port)
    else:
        write(places, Path(output) if output else None)


def write(places: list[str], page: Path | None) -> None:
    from rlhf_core.recipe.pages.reporting import comparison_place, write_comparison, write_place
    from rlhf_core.store.run import RunFolder

    if len(places) > 1:
        folders = [RunFolder.open(place) for place in places]
        click.echo(write_comparison(folders, page or comparison_place(folders)))
    else:
        click.echo(write_place(places[0], page))


def follow(places: list[str], port: int) -> None:
    """Until Ctrl-C."""
    from rlhf_core.contract.errors import RLHFError
    from rlhf_core.recipe.pages.watching import watch

    if len(places) > 1:
        raise click.UsageError("--watch follows one run, or the folder of a recipe's runs")
    try:
        server = watch(places[0], port, lambda line: click.echo(line, err=True))
    except OSError as error:
        raise RLHFError(f"--port {port}: {error.strerror}; choose another, or leave it out") from error
    with server:
        try:
            click.echo(f"{server.url} follows {places[0]}; Ctrl-C ends it")
            server.serve_forever(poll_interval=0.2)
        except KeyboardInterrupt:
            click.echo("no longer followed; the run is as it was")

"""`rlhf runs`: what has been trained."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .tables import print_columns, print_table

if TYPE_CHECKING:
    from rlhf_core.store.run import RunFolder


@click.group("runs")
def command() -> None:
    """List, show and compare runs."""


@command.command("list")
@click.option("--root", default="runs", show_default=True, help="The folder to look in.")
def list_command(root: str) -> None:
    """All runs, the newest last."""
    from rlhf_core.store.run import RunFolder

    runs = RunFolder.list(Path(root))
    if not runs:
        click.echo(f"no runs in {root}/")
        return
    rows = []
    for run in runs:
        info = run.info
        steps = f"{info.get('step', 0)}/{info.get('steps', '?')}"
        created = str(info.get("created", ""))[:16].replace("T", " ")
        rows.append((str(run.path), str(info.get("algo", "")), run.status, steps, _last(run, "validation"), created))
    print_columns([("run", "algo", "status", "steps", "held out", "made (UTC)"), *rows])


@command.command("show")
@click.argument("run_", metavar="RUN")
def show(run_: str) -> None:
    """One run: where it comes from, what it learnt from, how it went, where things are."""
    from rlhf_core.store.run import RunFolder

    run = RunFolder.open(run_)
    info = run.info
    facts = {key: info.get(key) for key in ("status", "algo", "from", "seed", "step", "steps", "best_step", "command")}
    facts |= {"created": info.get("created"), "error": info.get("error"), "first": _first(run), "last": _last(run)}
    for split, report in (info.get("data") or {}).items():
        facts[f"{split} data"] = f"{report['kept']} of {report['read']} rows kept, {report['truncated']} cut"
    facts |= {"model": run.model if run.model.is_dir() else None, "recipe": run.recipe, "report": run.report}
    print_columns([(name, str(value)) for name, value in facts.items() if value is not None])
    for name, evaluation in _evaluations(run).items():
        from .results import print_summary

        click.echo(f"\nevaluation {name}" + (f" against {evaluation['baseline']}" if evaluation["baseline"] else ""))
        print_summary(
            evaluation["summary"], evaluation["notes"], evaluation["baseline"], evaluation.get("warnings", ())
        )


@command.command("compare")
@click.argument("runs", metavar="RUN RUN...", nargs=-1, required=True)
def compare(runs: tuple[str, ...]) -> None:
    """Runs side by side: the options that differ, the last held-out metrics, shared evaluations."""
    from rlhf_core.recipe.differences import differing_settings
    from rlhf_core.store.run import RunFolder

    folders = [RunFolder.open(run) for run in runs]
    columns = ["", *(str(folder.path) for folder in folders)]
    print_table(columns, [[key, *values] for key, values in differing_settings(folders).items()], title="options")
    held_out = [_row(folder, "validation") for folder in folders]
    metrics = dict.fromkeys(name for row in held_out for name in row if name not in _HEAD and not name.endswith("_se"))
    rows = [[name, *(shown(row, name) for row in held_out)] for name in metrics]
    print_table(columns, rows, title="last held-out metrics")
    evaluations = [(folder.newest_evaluation() or {}).get("summary", []) for folder in folders]
    measured = [{row["name"]: row for row in summary} for summary in evaluations]
    names = list(dict.fromkeys(name for rows in measured for name in rows))
    if names:
        from .results import cell

        print_table(
            columns, [[name, *(cell(rows.get(name)) for rows in measured)] for name in names], title="evaluation"
        )


_HEAD = ("step", "records", "seconds", "split")


def _row(run: RunFolder, split: str, index: int = -1) -> dict[str, Any]:
    rows = [row for row in run.metrics() if row.get("split") == split]
    return rows[index] if rows else {}


def _first(run: RunFolder) -> str:
    return _numbers(_row(run, "validation", 0))


def _last(run: RunFolder, split: str = "validation") -> str:
    return _numbers(_row(run, split))


def _numbers(row: dict[str, Any]) -> str:
    wanted = [name for name in ("loss", "score", "accuracy", "kl_k1") if row.get(name) is not None]
    return "  ".join(f"{name} {row[name]:.4g}" for name in wanted)


def shown(row: Mapping[str, Any], name: str) -> str:
    """A metric with its 95 % interval where its standard error was written."""
    value, error = row.get(name), row.get(f"{name}_se")
    if not isinstance(value, int | float):
        return str(value or "")
    return f"{value:.4g}" if error is None else f"{value:.4g} ± {1.96 * error:.2g}"


def _evaluations(run: RunFolder) -> dict[str, Any]:
    return {name: run.evaluation(name) for name in run.evaluation_names()}

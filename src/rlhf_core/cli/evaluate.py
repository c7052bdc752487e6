"""`rlhf evaluate`: measure a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from .main import Setup

if TYPE_CHECKING:
    from rlhf_core.evaluation.result import EvaluationResult


OF_A_JUDGE = ("judge_model", "base_url", "protocol", "max_usd", "no_budget", "probes")


class WithCalibrate(click.Group):
    """`rlhf evaluate` with its options measures; `rlhf evaluate calibrate` reads a file of ratings."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in self.commands:
            raise click.UsageError(f"{args[0]}: a run is named by --run {args[0]}", ctx)
        return super().resolve_command(ctx, args)


@click.group("evaluate", cls=WithCalibrate, invoke_without_command=True)
@click.option("--run", "runs", multiple=True, metavar="RUN", help="The run; several are ranked by the judge.")
@click.option("--baseline", metavar="RUN|MODEL|base", help="What to compare with, prompt by prompt.")
@click.option("--judge", metavar="NAME", help="Also ask a judge, such as chatgpt.")
@click.option("--judge-model", metavar="NAME", help="The judge's model.")
@click.option("--base-url", metavar="URL", help="The judge's server.")
@click.option("--protocol", metavar="NAME|FILE", help="What the judge is told, such as pun or general.")
@click.option("--max-usd", type=float, metavar="DOLLARS", help="What the judge may cost; it stops before that.")
@click.option("--no-budget", is_flag=True, help="Ask a judge whose price is not known.")
@click.option("--probes", type=int, metavar="N", help="Known-wrong completions mixed in: how many fool the judge?")
@click.option(
    "--fail-under", "gates", multiple=True, metavar="METRIC=VALUE", help="Exit with 4 if it is less; may be repeated."
)
@click.option(
    "--evaluator", "evaluators", multiple=True, metavar="NAME", help="In place of the recipe's; may be repeated."
)
@click.option(
    "--config", metavar="NAME|FILE", help="Recipe whose `evaluate` section is used.  [default: the run's own]"
)
@click.option("--data", metavar="FILE|NAME", help="Prompts, in place of the recipe's.")
@click.option("--samples", "n", type=int, help="Completions per prompt.")
@click.option("--temperature", type=float, help="Of the completions.")
@click.option("--limit", type=int, help="At most so many prompts.")
@click.option("--seed", type=int, help="Of the completions and of the intervals.")
@click.option("--name", metavar="NAME", help="Of the files in the run's evaluation/.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Such as judge.concurrency=8.")
@click.pass_context
def command(ctx: click.Context, /, **given: Any) -> int | None:
    """Measure a run, alone or against a baseline; without a judge everything is offline.

    \b
    rlhf evaluate
    rlhf evaluate --run runs/mine --baseline base
    rlhf evaluate --run runs/mine --baseline runs/sft --judge chatgpt --max-usd 2
    rlhf evaluate --run runs/sft --run runs/dpo --run runs/ppo --judge chatgpt
    rlhf evaluate calibrate --ratings ratings.csv --judge chatgpt
    """
    if ctx.invoked_subcommand is None:
        return measure(ctx.obj, given)
    typed = [name for name in given if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE]
    if typed:
        raise click.UsageError(f"the options of {ctx.invoked_subcommand} stand behind it", ctx)
    return None


def measure(setup: Setup, given: dict[str, Any]) -> int:
    """One run, or several."""
    if len(given["runs"]) > 1:
        return rank(setup, given)
    from rlhf_core.recipe import api

    from .asking import watched
    from .results import print_summary

    gates = [gate(text) for text in given["gates"]]
    with watched() as asked:
        run = api.evaluate(
            next(iter(given["runs"]), None), judge=given["judge"], baseline=given["baseline"], config=given["config"],
            data=given["data"], evaluators=given["evaluators"] or None, name=given["name"], set=settings_of(given),
            tell=click.echo, asked=asked, catalog=setup.catalog,
        )  # fmt: skip
    click.echo(f"{run.path}: {len({row.group for row in run.result.samples})} prompts")
    summary = [row.to_json() for row in run.result.summary]
    print_summary(summary, run.result.notes, given["baseline"], run.result.warnings)
    click.echo(f"kept in {run.folder.evaluations / run.name}.json, .jsonl, .csv and .md")
    click.echo(f"report: {run.report}")
    require_gates(run.result, gates)
    return 0


def rank(setup: Setup, given: dict[str, Any]) -> int:
    """Several runs, each with each."""
    if given["judge"] is None or given["baseline"] is not None or given["gates"]:
        raise click.UsageError("several --run are ranked by a judge: give --judge, and no --baseline or --fail-under")
    from rlhf_core.recipe import api

    from .asking import watched
    from .results import print_ranking

    with watched() as asked:
        ranking = api.rank(
            given["runs"], judge=given["judge"], config=given["config"], data=given["data"], set=settings_of(given),
            tell=click.echo, asked=asked, catalog=setup.catalog,
        )  # fmt: skip
    print_ranking(ranking)
    return 0


def gate(text: str) -> tuple[str, float]:
    """``METRIC=VALUE`` as the two. Raises: click.UsageError."""
    metric, _, value = text.rpartition("=")
    try:
        return metric.strip() or _no_metric(text), float(value)
    except ValueError:
        raise click.UsageError(f"--fail-under {text}: write METRIC=VALUE, such as puns/pun=0.2") from None


def _no_metric(text: str) -> str:
    raise ValueError(text)


def require_gates(result: EvaluationResult, gates: Sequence[tuple[str, float]]) -> None:
    """Raises: GateFailed for figures below their bound, all at once; RLHFError for a metric that was not measured."""
    from rlhf_core.contract.errors import GateFailed, RLHFError

    low = []
    for metric, least in gates:
        try:
            value = result[metric].estimate.value
        except KeyError as error:
            raise RLHFError(f"--fail-under {metric}={least:g}: {error.args[0]}") from None
        if value is None or value < least:
            low.append(f"{metric} is {'not defined' if value is None else f'{value:.4g}'}, under {least:g}")
    if low:
        raise GateFailed("; ".join(low))


def protocol_of(given: str | None) -> str | None:
    """What is typed is relative to where it is typed; a recipe's own path to the recipe."""
    from pathlib import Path

    return given if given is None or not Path(given).is_file() else str(Path(given).resolve())


def settings_of(given: dict[str, Any]) -> list[str]:
    """The friendly flags as settings of the section, `--set` behind them."""
    flags = {
        "sampling.n": given["n"],
        "sampling.temperature": given["temperature"],
        "data.limit": given["limit"],
        "seed": given["seed"],
        "judge.model": given["judge_model"],
        "judge.base_url": given["base_url"],
        "judge.protocol": protocol_of(given["protocol"]),
        "judge.max_usd": given["max_usd"],
        "judge.no_budget": given["no_budget"] or None,
        "probes": given["probes"],
    }
    given_alone = [key for key in OF_A_JUDGE if given[key]]
    if given["judge"] is None and given_alone:
        raise click.UsageError(f"--{given_alone[0].replace('_', '-')} belongs to a judge: add --judge chatgpt")
    return [*(f"{key}={value}" for key, value in flags.items() if value is not None), *given["settings"]]


@command.command("calibrate")
@click.option("--ratings", required=True, metavar="FILE", help="CSV or JSON lines: item, rater, rating.")
@click.option("--judge", "judges", multiple=True, metavar="RATER", help="A rater that is no person; may be repeated.")
@click.option("--tie", "ties", multiple=True, metavar="RATING", help="A rating that names no side; may be repeated.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the intervals.")
def calibrate(ratings: str, judges: tuple[str, ...], ties: tuple[str, ...], seed: int) -> None:
    """Tell who agrees with whom in a file of ratings: people with each other, and judges with people.

    Columns: item, rater and rating; and maybe prompt, first and second (the ratings that name what was shown so).
    """
    from pathlib import Path

    from rlhf_core.recipe.people.ratings import rating_statistics

    from .results import print_figures

    print_figures(rating_statistics(Path(ratings), judges=judges, ties=ties, seed=seed))

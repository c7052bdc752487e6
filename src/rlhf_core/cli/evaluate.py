"""`rlhf evaluate`: measure a run."""

from __future__ import annotations

from typing import Any

import click

from .main import Setup


@click.command("evaluate")
@click.option("--run", "run_", metavar="RUN", help="The run.  [default: the newest]")
@click.option("--baseline", metavar="RUN|MODEL|base", help="What to compare with, prompt by prompt.")
@click.option("--judge", metavar="NAME", help="Also ask a judge, such as chatgpt.")
@click.option("--judge-model", metavar="NAME", help="The judge's model.")
@click.option("--base-url", metavar="URL", help="The judge's server.")
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
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Such as judge.max_pairs=100.")
@click.pass_obj
def command(setup: Setup, /, **given: Any) -> int:
    """Measure a run, alone or against a baseline; without a judge everything is offline.

    \b
    rlhf evaluate
    rlhf evaluate --run runs/mine --baseline base
    rlhf evaluate --run runs/mine --baseline runs/sft --judge chatgpt
    """
    from rlhf_core.recipe import api

    from .results import print_summary

    run = api.evaluate(
        given["run_"], judge=given["judge"], baseline=given["baseline"], config=given["config"], data=given["data"],
        evaluators=given["evaluators"] or None, name=given["name"], set=settings_of(given), tell=click.echo,
        catalog=setup.catalog,
    )  # fmt: skip
    click.echo(f"{run.path}: {len({row.group for row in run.result.samples})} prompts")
    print_summary([row.to_json() for row in run.result.summary], run.result.notes, given["baseline"])
    click.echo(f"kept in {run.folder.evaluations / run.name}.json and .jsonl")
    click.echo(f"report: {run.report}")
    return 0


def settings_of(given: dict[str, Any]) -> list[str]:
    """The friendly flags as settings of the section, `--set` behind them."""
    flags = {
        "sampling.n": given["n"],
        "sampling.temperature": given["temperature"],
        "data.limit": given["limit"],
        "seed": given["seed"],
        "judge.model": given["judge_model"],
        "judge.base_url": given["base_url"],
    }
    if given["judge"] is None and (given["judge_model"] or given["base_url"]):
        raise click.UsageError("--judge-model and --base-url belong to a judge: add --judge chatgpt")
    return [*(f"{key}={value}" for key, value in flags.items() if value is not None), *given["settings"]]

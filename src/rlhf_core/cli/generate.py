"""`rlhf generate`: let a run answer."""

from __future__ import annotations

import sys

import click

from .main import Setup


@click.command("generate")
@click.argument("prompts", metavar="PROMPT...", nargs=-1)
@click.option("--run", "run_", metavar="RUN", help="The run.  [default: the newest]")
@click.option("--samples", "n", type=int, help="Answers per prompt.")
@click.option("--temperature", type=float, help="0 takes the likeliest token.")
@click.option("--max-new-tokens", type=int, help="Length limit.")
@click.option("--top-k", type=int, help="Draw among the k likeliest tokens only.")
@click.option("--top-p", type=float, help="Draw among the likeliest tokens that hold this share only.")
@click.option("--stop", multiple=True, help="End an answer with this string, too; repeatable.")
@click.option("--seed", type=int, default=0, show_default=True, help="Another seed, another answer.")
@click.pass_obj
def command(
    setup: Setup, prompts: tuple[str, ...], run_: str | None, n: int | None, temperature: float | None,
    max_new_tokens: int | None, top_k: int | None, top_p: float | None, stop: tuple[str, ...], seed: int,
) -> None:  # fmt: skip
    """Answer prompts; without one, those on standard input, one per line.

    \b
    rlhf generate --run runs/mine "make a pun about pianos"
    """
    from rlhf_core.contract.errors import RLHFError
    from rlhf_core.recipe.handle import Run
    from rlhf_core.store.run import RunFolder

    asked = list(prompts)
    if not asked and not sys.stdin.isatty():
        asked = [line.rstrip("\n") for line in sys.stdin if line.strip()]
    if not asked:
        raise RLHFError('no prompt: rlhf generate "make a pun about pianos"')
    run = Run(run_ or RunFolder.newest().path, catalog=setup.catalog)
    given = {
        "n": n, "temperature": temperature, "max_new_tokens": max_new_tokens, "top_k": top_k, "top_p": top_p,
        "stop": list(stop) or None,
    }  # fmt: skip
    sampling = {key: value for key, value in given.items() if value is not None}
    answers = run.generate(asked, seed=seed, **sampling)
    per_prompt = len(answers) // len(asked)
    for number, answer in enumerate(answers):
        if len(asked) > 1 and number % per_prompt == 0:
            click.echo(f"{asked[number // per_prompt]}:")
        click.echo(f"  {answer}" if len(asked) > 1 else answer)

"""`rlhf data`: what a stage learns from, token by token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from .main import Setup

if TYPE_CHECKING:
    from rlhf_core.recipe.rehearsal.preview import ShownRow


@click.group("data")
def command() -> None:
    """Show records with the tokens that are trained on."""


@command.command("show")
@click.option("--algo", metavar="NAME", help="The trainer; with --stage and --config as in `rlhf train`.")
@click.option("--config", "configs", multiple=True, metavar="NAME|FILE", help="Recipe.  [default: quickstart]")
@click.option("--stage", metavar="NAME", help="The recipe's stage.")
@click.option("--model", metavar="NAME|FOLDER", help="Base model, for its tokenizer.")
@click.option("--data", multiple=True, metavar="FILE|NAME", help="Data in place of the stage's, as in `rlhf train`.")
@click.option("--split", type=click.Choice(["train", "validation"]), default="train", show_default=True)
@click.option("--rows", "count", type=int, default=3, show_default=True, help="So many records.")
@click.option("--skip", type=int, default=0, show_default=True, help="After so many.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Such as template.chat=true.")
@click.pass_obj
def show(setup: Setup, /, **given: Any) -> None:
    """Print records as the stage sees them: [tokens in brackets] are trained on, the others are context.

    \b
    rlhf data show --algo sft --data my.jsonl
    """
    from rlhf_core.recipe.choosing import Wish, choose
    from rlhf_core.recipe.rehearsal.preview import preview
    from rlhf_core.recipe.written.locate import DEFAULT_RECIPE

    from .train import data_of

    data, files = data_of(given["data"])
    wish = Wish(
        algo=given["algo"], stage=given["stage"], configs=given["configs"] or (DEFAULT_RECIPE,), model=given["model"],
        data=data, files=files, start="base", settings=given["settings"],
    )  # fmt: skip
    choice = choose(wish, setup.catalog)
    shown = preview(choice.recipe.stage(choice.name), setup.catalog, split=given["split"])
    for line in shown.report:
        click.echo(line)
    for row in shown.rows[given["skip"] : given["skip"] + given["count"]]:
        click.echo("")
        print_row(row)


def print_row(row: ShownRow) -> None:
    click.echo(row.record_id)
    click.echo("  " + "|".join(_visible(piece) for piece in row.prompt))
    for completion in row.completions:
        click.echo("  " + "".join(f"[{click.style(_visible(piece), fg='green')}]" for piece in completion))


def _visible(piece: str) -> str:
    return piece.replace("\n", "\\n").replace("\t", "\\t")

"""`rlhf export`: one plain model."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("export")
@click.option("--run", "run_", metavar="RUN", help="The run, or a model folder.  [default: the newest]")
@click.option("--output", required=True, metavar="FOLDER", help="Where to write it; must not be in use.")
@click.option("--dtype", type=click.Choice(["float32", "float16", "bfloat16"]), default="float32", show_default=True)
@click.option("--license", "licence", metavar="NAME", help="For the model card, such as mit.  [default: unknown]")
def command(run_: str | None, output: str, dtype: str, licence: str | None) -> None:
    """Merge a run's adapter into its base and write one plain model with its tokenizer.

    Loads with AutoModelForCausalLM.from_pretrained(FOLDER), without peft and without this package. Its README.md is a
    model card: what was measured, with intervals, what it learnt from, how it was made.
    """
    from rlhf_core.contract.errors import RLHFError
    from rlhf_core.policy.loading import merge
    from rlhf_core.recipe.lending import model_folder
    from rlhf_core.recipe.pages.carding import CARD, card_of, run_of
    from rlhf_core.store.atomic import replace_folder
    from rlhf_core.store.run import RunFolder

    place = Path(output)
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise RLHFError(f"{place}: the folder is in use; choose another --output")
    source = model_folder(run_ or str(RunFolder.newest().path), Path.cwd())
    if not Path(source).is_dir():
        raise RLHFError(f"{source}: no such run or model folder; see `rlhf runs list`")

    def write(folder: Path) -> None:
        merge(source, folder)
        if dtype != "float32":
            _convert(folder, dtype)
        if (run := run_of(Path(source))) is not None:
            (folder / CARD).write_text(card_of(run, folder, licence=licence), "utf-8")

    replace_folder(place, write)
    click.echo(f"model = AutoModelForCausalLM.from_pretrained({str(place)!r})")
    click.echo(f"tokenizer = AutoTokenizer.from_pretrained({str(place)!r})")


def _convert(folder: Path, dtype: str) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype))
    model.save_pretrained(folder)

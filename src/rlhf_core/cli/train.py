"""`rlhf train`: one stage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from .main import Setup
from .processes import run_together, started_together, unheard


@click.command("train", add_help_option=False)
@click.option("--algo", metavar="NAME", help="The trainer: sft, reward, dpo, ppo, pretrain or a plugin's.")
@click.option("--config", "configs", multiple=True, metavar="NAME|FILE", help="Recipe; several go over each other.")
@click.option("--stage", metavar="NAME", help="The recipe's stage, where --algo fits several.")
@click.option("--model", metavar="NAME|FOLDER", help="Base model: a folder, a hub name or res:NAME.")
@click.option(
    "--data",
    multiple=True,
    metavar="FILE|NAME",
    help="Training data: a file, ORG/NAME on the hub or a plugin's data set. NAME=PATH: an input file of the recipe.",
)
@click.option("--reward", metavar="NAME|FUNCTION|RUN", help="What scores: a reward, module:function, or a run.")
@click.option("--from", "start", metavar="base|RUN", help="What to start from.")
@click.option("--output", metavar="FOLDER", help="The run's folder.  [default: runs/STAGE-DATE-TIME]")
@click.option("--steps", type=int, help="Batches to train on.")
@click.option("--epochs", type=float, help="Passes over the data, in place of --steps.")
@click.option("--batch-size", type=int, help="Rows per batch.")
@click.option("--batch-tokens", metavar="N|auto", help="Most tokens in one forward pass; auto: what fits and is fast.")
@click.option("--learning-rate", type=float, help="Peak learning rate.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), help="Where to train.")
@click.option("--seed", type=int, help="Of everything drawn at random.")
@click.option("--paranoid", is_flag=True, default=None, help="Check every invariant at every batch and evaluation.")
@click.option(
    "--track", multiple=True, metavar="NAME", help="Also send metrics to a tracker: tensorboard, wandb, trackio."
)
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Any option, such as trainer.beta=0.2.")
@click.option(
    "--procs", type=click.IntRange(min=1), default=1, show_default=True, help="Processes that train together."
)
@click.option("--dry-run", is_flag=True, help="Load all, take one step, tell what the training takes; keep nothing.")
@click.option("--resume", is_flag=False, flag_value="", metavar="RUN", help="Go on with a run that was stopped.")
@click.option("-h", "--help", "show_help", is_flag=True, help="Show this, and the options of --algo.")
@click.pass_context
def command(ctx: click.Context, /, **given: Any) -> int:
    """Train one stage of a recipe, and first whatever it needs that is not finished.

    \b
    rlhf train --algo dpo
    rlhf train --algo dpo --config puns --set trainer.beta=0.2 --model gpt2 --data pairs.jsonl --output runs/mine
    rlhf train --algo dpo --dry-run
    rlhf train --algo ppo --help
    rlhf train --resume runs/mine
    """
    setup: Setup = ctx.obj
    if given["show_help"]:
        show_help(ctx, setup, given["algo"])
        return 0
    if given["procs"] > 1 and not given["dry_run"] and not started_together():
        return run_together(setup.words, given["procs"])
    if given["resume"] is not None:
        if given["dry_run"]:
            raise click.UsageError("--dry-run is for a training that has not begun; leave --resume out")
        return resume(setup, given)
    return train(setup, given)


def show_help(ctx: click.Context, setup: Setup, algo: str | None) -> None:
    """The command's own help; with an algo its options and those of the loop."""
    click.echo(ctx.get_help())
    if algo is None:
        click.echo("\n`rlhf train --algo NAME --help` shows the options of one; `rlhf plugins` what there is.")
        return
    from rlhf_core.training.options import TrainingOptions

    from .options import options_table

    found = setup.catalog.find("trainer", algo)
    click.echo(f"\n{found.component.name}: {found.component.summary}")
    click.echo(f"\nOptions of {found.component.name} (--set trainer.NAME=VALUE)")
    options_table(found.options_class())
    click.echo("\nOptions of the training (--set training.NAME=VALUE)")
    options_table(TrainingOptions)


def train(setup: Setup, given: dict[str, Any]) -> int:
    from rlhf_core.recipe.choosing import choose, wish_of
    from rlhf_core.recipe.written.locate import DEFAULT_RECIPE

    loop = {key: given[key] for key in ("steps", "epochs", "batch_size", "learning_rate", "device", "paranoid")}
    data, files = data_of(given["data"])
    if given["batch_tokens"] is not None:
        given["settings"] = (*given["settings"], f"training.micro_batch_tokens={given['batch_tokens']}")
    asked = {
        "config": given["configs"] or (DEFAULT_RECIPE,), "data": data, "files": files, "set": given["settings"],
        **{key: given[key] for key in ("stage", "model", "reward", "start", "seed", "track")},
        **{key: value for key, value in loop.items() if value is not None},
    }  # fmt: skip
    choose(wish_of(given["algo"], **asked), setup.catalog)  # tells a mistake before torch takes its seconds to load
    from rlhf_core.recipe import api
    from rlhf_core.training.world import joined

    from .progress import listeners

    asked["output"] = given["output"]
    if given["dry_run"]:
        from .dryrun import show

        show(api.dry_run(given["algo"], tell=click.echo, catalog=setup.catalog, **asked))
        return 0
    with joined() as world:
        run = api.train(
            given["algo"], tell=click.echo if world.first else unheard, observers=listeners, catalog=setup.catalog,
            command=setup.command, **asked,
        )  # fmt: skip
        return tell_end(run) if world.first else 0


def data_of(given: Sequence[str]) -> tuple[str | None, dict[str, str]]:
    """The stage's data and the recipe's named files, out of every ``--data``."""
    from rlhf_core.recipe.written.files import told_apart

    files, bare = told_apart(given)
    if len(bare) > 1:
        raise click.UsageError(f"--data names the stage's data once; found {' and '.join(bare)}")
    return (bare[0] if bare else None), files


def resume(setup: Setup, given: dict[str, Any]) -> int:
    from rlhf_core.recipe import api
    from rlhf_core.training.world import joined

    from .progress import listeners

    place = given["resume"] or given["output"]
    if not place:
        raise click.UsageError("--resume needs the run: rlhf train --resume RUN")
    settings = [*given["settings"], *(["training.paranoid=true"] if given["paranoid"] else [])]
    with joined() as world:
        run = api.resume(
            place, set=settings, tell=click.echo if world.first else unheard, observers=listeners,
            catalog=setup.catalog, command=setup.command,
        )  # fmt: skip
        return tell_end(run) if world.first else 0


def tell_end(run: Any) -> int:
    """Where the results are; after Ctrl-C the command that goes on. Returns: the exit code."""
    if run.status != "finished":
        click.echo(f"stopped at step {run.info.get('step')} of {run.info.get('steps')}; all is saved. Go on with")
        click.echo(f"  {run.folder.resume_command()}")
        return 130
    click.echo(f"model:  {run.folder.model}")
    for line in loading_lines(run):
        click.echo(f"        {line}")
    click.echo(f"report: {run.report}")
    return 0


def loading_lines(run: Any) -> list[str]:
    """The two lines of Python by which others load the model."""
    from rlhf_core.contract.identity import ADAPTER_FILE, read_identity

    model = run.folder.model
    if (model / ADAPTER_FILE).is_file():
        base = read_identity(model)["base"].get("path")
        return [
            f"base = AutoModelForCausalLM.from_pretrained({base!r})",
            f"model = PeftModel.from_pretrained(base, {str(model)!r})",
        ]
    if (model / "config.json").is_file():
        return [
            f"model = AutoModelForCausalLM.from_pretrained({str(model)!r})",
            f"tokenizer = AutoTokenizer.from_pretrained({str(model)!r})",
        ]
    return []

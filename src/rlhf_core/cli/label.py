"""`rlhf label`: people compare, and what their labels say."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Any

import click

from .main import Setup

ASK = "RUN"
_HELP = ("-h", "--help")


class WithRun(click.Group):
    """`rlhf label RUN` beside `rlhf label stats`: what names no command is the run to label."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        asks = args and args[0] not in self.commands and args[0] not in _HELP
        return super().parse_args(ctx, [ASK, *args] if asks else args)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return super().get_command(ctx, cmd_name) or self.commands[ASK]


store_option = click.option("--store", metavar="FILE", help="The labels.  [default: runs/labels.sqlite]")


@click.group("label", cls=WithRun)
def command() -> None:
    """Let people compare a run with a baseline, blind; and tell what their labels are worth.

    \b
    rlhf label runs/mine --baseline base --rater ana
    rlhf label stats runs/mine
    rlhf label export runs/mine --output pairs.jsonl
    """


@command.command(ASK)
@click.argument("run_", metavar="RUN")
@click.option("--baseline", metavar="RUN|MODEL|base", help="What to compare with.  [default: the newest evaluation's]")
@click.option("--evaluation", metavar="NAME", help="The evaluation that gives the pairs.  [default: the newest]")
@click.option("--rater", metavar="NAME", help="Who labels.  [default: the name you are logged in by]")
@click.option("--items", type=click.IntRange(1), default=50, show_default=True, help="Pairs for this rater.")
@click.option(
    "--shared", type=click.IntRange(0), default=20, show_default=True, help="Of them, such as all raters get."
)
@click.option("--repeats", type=click.IntRange(0), default=5, show_default=True, help="Asked again, the sides swapped.")
@click.option(
    "--select", "selection", type=click.Choice(["random", "uncertain"]), default="random", show_default=True,
    help="Random to evaluate; uncertain first to train.",
)  # fmt: skip
@click.option("--by", metavar="METRIC", help="With --select uncertain: its small differences.  [default: a score]")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the order and of the sides.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Of the page.  [default: a free one]")
@store_option
@click.pass_obj
def ask(setup: Setup, /, run_: str, rater: str | None, port: int, store: str | None, **given: Any) -> None:
    """Ask a person on a page.

    It is served to this machine alone. Ctrl-C ends it, and the same command goes on.

    \b
    rlhf label runs/mine --baseline base --rater ana
    rlhf label runs/mine --baseline runs/sft --select uncertain --items 200
    """
    from rlhf_core.recipe.people.labelling import Request, label_set, open_session
    from rlhf_core.store.labels import DEFAULT_LABELS, SQLiteLabels
    from rlhf_core.store.run import RunFolder

    run = RunFolder.open(run_)
    labels = SQLiteLabels(Path(store) if store else DEFAULT_LABELS)
    way = {name: given.pop(name) for name in ("items", "shared", "repeats")}
    chosen = label_set(run, Request(**given), labels, tell=click.echo, catalog=lambda: setup.catalog)
    serve(open_session(labels, chosen, rater if rater is not None else getpass.getuser(), **way), port)


def serve(session: Any, port: int) -> None:
    """Until Ctrl-C."""
    from rlhf_core.contract.errors import RLHFError
    from rlhf_core.report.labelling import LabelPage

    try:
        server = LabelPage(session, port)
    except OSError as error:
        raise RLHFError(f"--port {port}: {error.strerror}; choose another, or leave it out") from error
    with server:
        try:
            now = session.now()
            click.echo(f"{server.url} asks {session.rater}, {now['done']} of {now['total']} done; Ctrl-C ends it")
            server.serve_forever(poll_interval=0.2)
        except KeyboardInterrupt:
            now = session.now()
            click.echo(f"{now['done']} of {now['total']} done, kept in {session.store.path}")


@command.command("stats")
@click.argument("run_", metavar="[RUN]", required=False)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the intervals.")
@store_option
def stats(run_: str | None, seed: int, store: str | None) -> None:
    """Tell who agrees with whom.

    People with each other and with themselves, and judges with people; of a run, or of all.
    """
    from rlhf_core.recipe.people.verdicts import label_statistics
    from rlhf_core.store.labels import DEFAULT_LABELS, SQLiteLabels

    from .results import print_figures

    labels = SQLiteLabels.existing(Path(store) if store else DEFAULT_LABELS)
    print_figures(label_statistics(labels, run_, seed=seed))


@command.command("export")
@click.argument("run_", metavar="[RUN]", required=False)
@click.option("--output", required=True, metavar="FILE", help="JSON lines of prompt, chosen, rejected.")
@store_option
def export(run_: str | None, output: str, store: str | None) -> None:
    """Write preference pairs.

    `rlhf train --algo dpo --data FILE` and `--algo reward` take them as they are.
    """
    from rlhf_core.recipe.people.verdicts import export_pairs
    from rlhf_core.store.labels import DEFAULT_LABELS, SQLiteLabels

    done = export_pairs(SQLiteLabels.existing(Path(store) if store else DEFAULT_LABELS), Path(output), run_)
    left = ", ".join(f"{count} {reason}" for reason, count in done.left_out.items())
    click.echo(f"{output}: {done.pairs} pairs" + (f"; left out: {left}" if left else ""))

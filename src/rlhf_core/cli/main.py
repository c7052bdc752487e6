"""`rlhf`: the group of commands, and how its errors look."""

from __future__ import annotations

import difflib
import importlib
import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from rlhf_core.registry.catalog import Catalog

COMMANDS: Final = {
    "train": "Train one stage: sft, reward, dpo, ppo or any other algo",
    "run": "Run a recipe: its stages, their evaluation, the report",
    "sweep": "Run a recipe over a grid of options and seeds, and compare",
    "evaluate": "Measure a run, alone or against a baseline",
    "label": "Let people compare a run with a baseline",
    "generate": "Let a run answer prompts",
    "plugins": "List what there is to choose from, or show one of it",
    "config": "List, show and check recipes",
    "runs": "List, show and compare runs",
    "data": "Show records with the tokens that are trained on",
    "export": "Write a run as one plain model for transformers",
    "report": "Write the page of a run, or of runs side by side",
    "doctor": "Tell what is wrong with the environment, or with a run",
}


@dataclass
class Setup:
    """The options that stand before the command."""

    off: tuple[str, ...] = ()
    third_party: bool = True
    debug: bool = False
    words: tuple[str, ...] = ()
    """What was typed behind ``rlhf``."""

    @property
    def command(self) -> str:
        """The command as it was typed, for the record of the run."""
        return shlex.join(["rlhf", *self.words])

    @cached_property
    def catalog(self) -> Catalog:
        """The plugins, loaded when a command first asks for them. What is broken is told once."""
        from rlhf_core.registry.catalog import Catalog

        catalog = Catalog.load(off=self.off, third_party=self.third_party)
        for plugin in catalog.plugins:
            if plugin.status == "failed":
                click.echo(
                    f"warning: plugin {plugin.qualified} is left out: {plugin.reason}; {plugin.fix}", err=True
                )  # fmt: skip
        return catalog


class Commands(click.Group):
    """Knows the commands by name; imports one only when it runs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"rlhf_core.cli.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:  # fmt: skip
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(COMMANDS)}"
            raise click.UsageError(f"no command {args[0]!r}{hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("-p", "plugins", multiple=True, metavar="no:NAME", help="Leave a plugin out; may be repeated.")
@click.option("--no-plugins", is_flag=True, help="Leave all plugins of other packages out.")
@click.option("--debug", is_flag=True, help="Show tracebacks.")
@click.version_option(package_name="rlhf_core", prog_name="rlhf")
@click.pass_context
def rlhf(ctx: click.Context, plugins: tuple[str, ...], no_plugins: bool, debug: bool) -> None:
    """RLHF on one machine: sft, reward models, DPO and PPO, with any reward and any judge.

    \b
    rlhf train --algo dpo          runs as it stands, offline, in minutes
    rlhf run quickstart            all stages, evaluation and a report
    rlhf train --algo ppo --help   an algo's options
    """
    off = []
    for plugin in plugins:
        if not plugin.startswith("no:"):
            raise click.UsageError(f"-p {plugin}: write -p no:NAME (plugins are on unless switched off)")
        off.append(plugin.removeprefix("no:"))
    ctx.obj = Setup(tuple(off), not no_plugins, debug, words=tuple(ctx.obj or sys.argv[1:]))


QUIET: Final = {
    "TRANSFORMERS_VERBOSITY": "error",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TQDM_DISABLE": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
"""What other libraries would print between our lines; set in the environment, these stay as they are."""


def main(arguments: Sequence[str] | None = None) -> None:
    """The console script. Exits with 0, the code of the error, 2 for wrong usage, or 130 after Ctrl-C."""
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code; a user's mistake is told in its own words, without a traceback."""
    from rlhf_core.contract.errors import Problems, RLHFError

    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        result: Any = rlhf.main(args=words, prog_name="rlhf", standalone_mode=False, obj=words)
        return result if isinstance(result, int) else 0
    except RLHFError as error:
        if "--debug" in words:
            raise
        count = len(error.problems) if isinstance(error, Problems) else 1
        click.echo(f"error: {error}" if count == 1 else f"{count} errors:\n{error}", err=True)
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("stopped", err=True)
        return 130
    except BrokenPipeError:
        # Whoever read our output has seen enough (`rlhf plugins | head`).
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception:
        from .processes import hold

        hold()
        raise


if __name__ == "__main__":
    main()

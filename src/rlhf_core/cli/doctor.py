"""`rlhf doctor`: what is wrong with the environment, or with a run, and what mends it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .main import Setup

if TYPE_CHECKING:
    from rlhf_core.recipe.doctor.finding import Finding

COLOURS = {"ok": "green", "note": "yellow", "alarm": "magenta", "problem": "red"}


@click.command("doctor")
@click.argument("run_", metavar="[RUN]", required=False)
@click.option("--root", default="runs", show_default=True, metavar="FOLDER", help="The folder of the runs.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@click.pass_obj
def command(setup: Setup, run_: str | None, root: str, as_json: bool) -> int:
    """Look at the environment; with RUN explain a run: where it stands, what went wrong, what to type next.

    The exit code is 2 where a problem was found, else 0. The network is not used.

    \b
    rlhf doctor
    rlhf doctor runs/mine
    """
    findings = of_run(setup, run_) if run_ else of_environment(setup, Path(root))
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(finding) for finding in findings], indent=2, ensure_ascii=False))
    else:
        show(findings)
    return 2 if any(finding.level == "problem" for finding in findings) else 0


def of_environment(setup: Setup, root: Path) -> list[Finding]:
    from rlhf_core.recipe.doctor.installation import installation
    from rlhf_core.recipe.doctor.machine import machine
    from rlhf_core.recipe.doctor.runs import unfinished
    from rlhf_core.registry.catalog import Catalog

    # Not setup.catalog: that warns of broken plugins by itself, and stops at them where RLHF_STRICT_PLUGINS says so.
    catalog = Catalog.load(off=setup.off, third_party=setup.third_party, strict=False)
    return [*machine(root), *installation(catalog), *unfinished(root)]


def of_run(setup: Setup, run: str) -> list[Finding]:
    from rlhf_core.recipe.doctor.runs import examine
    from rlhf_core.store.run import RunFolder

    return list(examine(RunFolder.open(run), setup.catalog))


def show(findings: Sequence[Finding]) -> None:
    """By area, one line each, what mends it below."""
    width = max(len(finding.subject) for finding in findings)
    for area in dict.fromkeys(finding.area for finding in findings):
        click.echo(area)
        for finding in findings:
            if finding.area != area:
                continue
            level = click.style(finding.level.ljust(7), fg=COLOURS[finding.level])
            click.echo(f"  {level}  {finding.subject.ljust(width)}  {finding.says}")
            if finding.mend:
                click.echo(f"  {'':7}  {'':{width}}  → {finding.mend}")
    click.echo(verdict([finding.level for finding in findings]))


def verdict(levels: Sequence[str]) -> str:
    """How many findings there are of each level, the worst first."""
    counts = ((level, levels.count(level)) for level in ("problem", "alarm", "note"))
    told = ", ".join(f"{count} {level}{'s' * (count != 1)}" for level, count in counts if count)
    if "problem" in levels or "alarm" in levels:
        return told
    return f"nothing is wrong ({told})" if told else "nothing is wrong"

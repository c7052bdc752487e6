"""`rlhf plugins`: what there is to choose from; `rlhf plugins show trainer:dpo`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from rlhf_core.contract.components import KINDS
from rlhf_core.contract.errors import RLHFError

from .main import Setup
from .tables import print_columns

if TYPE_CHECKING:
    from rlhf_core.registry.catalog import Catalog, Found


@click.group("plugins", invoke_without_command=True)
@click.pass_context
def command(ctx: click.Context) -> None:
    """List every component by kind, with the plugins that cannot be used and why."""
    if ctx.invoked_subcommand is None:
        setup: Setup = ctx.obj
        list_components(setup.catalog)


@command.command("list")
@click.pass_obj
def list_command(setup: Setup) -> None:
    """The same as `rlhf plugins`."""
    list_components(setup.catalog)


@command.command("show")
@click.argument("component", metavar="KIND:NAME")
@click.pass_obj
def show(setup: Setup, component: str) -> None:
    """Describe one component with its options, such as `rlhf plugins show trainer:dpo`."""
    describe_component(find(setup.catalog, component))


def list_components(catalog: Catalog) -> None:
    for kind in KINDS:
        rows = catalog.rows(kind)
        if rows:
            click.echo(f"{kind}")
            names = catalog.names(kind)
            print_columns(
                [(name, _origin(row), _summary(row)) for name, row in zip(names, rows, strict=True)], indent="  "
            )
    broken = [plugin for plugin in catalog.plugins if plugin.status != "ok"]
    if broken:
        click.echo("left out")
        print_columns(
            [(p.qualified, p.version, f"{p.reason}; {p.fix}" if p.fix else p.reason) for p in broken], indent="  "
        )
    click.echo("\n`rlhf plugins show KIND:NAME` shows the options of one.")


def find(catalog: Catalog, component: str) -> Found:
    """``trainer:dpo``, or a bare name where only one kind has it. Raises: RLHFError naming the kinds."""
    kind, colon, name = component.partition(":")
    if not colon:
        matches = [row for row in catalog.rows() if component in (row.component.name, row.qualified)]
        if len(matches) == 1:
            return matches[0]
        choices = ", ".join(f"{row.component.kind}:{row.component.name}" for row in matches)
        raise RLHFError(
            f"{component}: write KIND:NAME; " + (f"there are {choices}" if choices else "see `rlhf plugins`")
        )
    for known in KINDS:
        if known == kind:
            return catalog.find(known, name)
    raise RLHFError(f"{component}: {kind!r} is no kind of component; there are {', '.join(KINDS)}")


def describe_component(found: Found) -> None:
    from .options import options_table

    component, plugin = found.component, found.plugin
    click.echo(f"{component.kind}:{component.name}  {component.summary}")
    click.echo(f"from {plugin.distribution} {plugin.version}, plugin {plugin.name!r} ({component.target})")
    missing = found.missing_extras()
    if missing:
        click.echo(f"needs {', '.join(missing)}, not installed here")
    options_table(found.options_class())


def _origin(found: Found) -> str:
    return f"{found.plugin.distribution} {found.plugin.version}"


def _summary(found: Found) -> str:
    missing = found.missing_extras()
    return found.component.summary + (f" [needs {', '.join(missing)}]" if missing else "")

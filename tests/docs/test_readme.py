"""What the pages tell a reader to type is there: commands, options, make targets, and Python that compiles."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from pages import PAGES, ROOT, blocks, commands

from rlhf_core.cli.main import rlhf

README = ROOT / "README.md"
if not README.exists():
    pytest.skip("README.md is not written yet", allow_module_level=True)


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def resolve(words: Sequence[str]) -> tuple[list[str], click.Command]:
    """The command that ``words`` call, and its name from the top. Raises: click's error for a name there is not."""
    command: click.Command = rlhf
    path: list[str] = []
    rest = list(words)
    while True:
        context = click.Context(command, info_name=command.name)
        options, rest, _ = command.make_parser(context).parse_args(args=rest)
        for parameter in command.params:
            given = options.get(parameter.name or "")
            if isinstance(parameter.type, click.Choice | type(click.INT) | type(click.FLOAT)) and given is not None:
                parameter.type_cast_value(context, given)
        if not isinstance(command, click.Group) or not rest:
            assert not rest, f"{' '.join(path)} takes no {rest[0]!r}"
            return path, command
        path.append(rest[0])
        found = command.get_command(context, rest[0])
        assert found is not None, f"there is no command rlhf {' '.join(path)}"
        command, rest = found, rest[1:]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_rlhf_command_and_option_is_there(page: Path) -> None:
    for words in commands(page, "rlhf"):
        try:
            path, _ = resolve(words[1:])
        except (click.ClickException, AssertionError) as error:
            pytest.fail(f"{name(page)}: `{' '.join(words)}`: {getattr(error, 'message', error)}")
        helped = CliRunner().invoke(rlhf, [*path, "--help"])
        assert helped.exit_code == 0, f"{name(page)}: rlhf {' '.join(path)} --help: {helped.output}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_make_target_is_there(page: Path) -> None:
    there = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    for words in commands(page, "make"):
        asked = {word for word in words[1:] if "=" not in word and not word.startswith("-")}
        assert asked <= there, f"{name(page)}: `{' '.join(words)}`: no target {sorted(asked - there)[0]}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_python_block_compiles(page: Path) -> None:
    for number, block in enumerate(blocks(page, "python", "py"), 1):
        compile(block, f"{name(page)}, python block {number}", "exec")


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_linked_file_is_there(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{name(page)} links to {target}, which is not there"


def test_the_readme_tells_what_to_type() -> None:
    assert len(commands(README, "rlhf")) >= 5
    assert commands(README, "make")


@pytest.mark.parametrize(
    "typed", ["rlhf fly", "rlhf train --betta 1", "rlhf train --steps many", "rlhf plugins list all of them"]
)
def test_a_wrong_command_is_found(typed: str) -> None:
    with pytest.raises((click.ClickException, AssertionError)):
        resolve(typed.split()[1:])

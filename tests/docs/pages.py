"""What a reader of the pages would copy: fenced blocks by language, and commands."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    page
    for pattern in ("README.md", "docs/**/*.md", "examples/**/*.md")
    for page in ROOT.glob(pattern)
)  # fmt: skip

_FENCE = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`(rlhf [^`\n]+)`")
_SEPARATORS = {"|", "&&", "||", ";", ">", ">>", "&"}


def blocks(page: Path, *languages: str) -> list[str]:
    return [text for language, text in _FENCE.findall(page.read_text("utf-8")) if language in languages]


def commands(page: Path, program: str) -> list[list[str]]:
    """The words of every command of that program: from shell blocks, and from the text where it is quoted whole."""
    lines = [line for block in blocks(page, "sh", "bash", "shell", "console") for line in _joined(block)]
    prose = _FENCE.sub("", page.read_text("utf-8"))
    if program == "rlhf":
        lines += [quoted for quoted in _INLINE.findall(prose) if "…" not in quoted]
    return [words for line in lines for words in _split(line) if words and words[0] == program]


def _joined(block: str) -> list[str]:
    return [line.strip().removeprefix("$ ") for line in block.replace("\\\n", " ").splitlines()]


def _split(line: str) -> Iterator[list[str]]:
    """A line's commands, without comments, variables set in front of them, and what they are piped into files."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    for word in lexer:
        if word in _SEPARATORS:
            yield words
            words = []
        elif words or not re.match(r"^\w+=", word):
            words.append(word)
    yield words

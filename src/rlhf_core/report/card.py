"""A model card: the README that goes with a policy, in Markdown with the front matter that hubs read."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

import jinja2

from .charts import number
from .content import EvaluationContent, StageContent
from .questions import reading, span
from .sections import headline

MARKER = "<!-- Written by rlhf_core; written anew with the run's report unless this line is taken out. -->"


@dataclass(frozen=True, kw_only=True)
class CardContent:
    """What a card says.

    Args:
        license: an SPDX name as hubs know it, or ``unknown``.
        loading: lines of Python.
        merged: one plain model; else an adapter.
        hub_base: the base's name on a hub; empty for one in a folder.
    """

    stage: StageContent
    evaluations: Sequence[EvaluationContent] = ()
    license: str = "unknown"
    loading: Sequence[str] = ()
    merged: bool = False
    hub_base: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def held_out(self) -> list[tuple[str, str, str]]:
        return headline(self.stage.metrics)


def render_card(card: CardContent) -> str:
    """The text of ``README.md``."""
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    environment.filters |= {
        "number": lambda value: "–" if value is None else number(float(value)),
        "json": lambda value: json.dumps(value, ensure_ascii=False),
        "line": line,
        "fenced": fenced,
        "interval": interval,
        "reading": reading,
    }
    template = environment.from_string(files(__package__).joinpath("card.md").read_text("utf-8"))
    return re.sub(r"\n{3,}", "\n\n", template.render(card=card, marker=MARKER)) + "\n"


def line(text: object) -> str:
    """One line that is text and nothing else: in Markdown's tables a bar ends a cell, and HTML would pass through."""
    flat = " ".join(str(text).split())
    return re.sub(r"([\\`*_\[\]|<>])", r"\\\1", flat)


def fenced(text: str, language: str) -> str:
    """A code block whose fence is longer than any run of backticks inside."""
    longest = max((len(found) for found in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def interval(row: Mapping[str, Any], prefix: str) -> str:
    low, high = row.get(f"{prefix}low"), row.get(f"{prefix}high")
    return "–" if low is None or high is None else span(low, high)

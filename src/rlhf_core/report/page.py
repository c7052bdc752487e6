"""One self-contained HTML page: no script from elsewhere, no font, no network; user text is escaped throughout."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup

from .charts import COLORS, number
from .comparison import compare
from .content import ComparisonContent, PageContent
from .sections import evaluation_section, stage_section


def render(content: PageContent, *, live: bool = False) -> str:
    """Stages and their evaluations as text; the caller writes it beside and renames it.

    Args:
        live: the page asks where it came from for news of itself.
    """
    return fill(
        "stages.html",
        live=live,
        page=content,
        stages=[stage_section(stage) for stage in content.stages],
        evaluations=[evaluation_section(evaluation) for evaluation in content.evaluations],
    )


def render_comparison(content: ComparisonContent) -> str:
    """Runs side by side."""
    return fill("comparison.html", page=content, comparison=compare(content))


def fill(template: str, *, live: bool = False, **values: Any) -> str:
    """A page by one of the templates that lie here, with the style, the script and the script's hash in it."""
    script = _text("page.js")
    return (
        environment()
        .get_template(template)
        .render(
            script=Markup(script),
            script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
            style=Markup(_text("page.css")),
            live=live,
            colors=COLORS,
            **values,
        )
    )


def environment() -> jinja2.Environment:
    found = jinja2.Environment(
        loader=jinja2.FunctionLoader(_text),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    found.filters["number"] = lambda value: "–" if value is None else number(float(value))
    return found


def _text(name: str) -> str:
    return files(__package__).joinpath(name).read_text("utf-8")

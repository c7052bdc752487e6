"""Whether a model that scores was trained on the very prompts that it scores: it has met answers to them, and flatters.

Prompts are compared by their content: whichever files, columns and ids they came by, and however their blanks lie. An
empty prompt, which asks for just any text, is none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Set
from pathlib import Path
from typing import Any

from rlhf_core.contract.records import PromptRecord, Record, prompt_text

from .partiality import runs_named


def prompt_marks(records: Iterable[Record]) -> frozenset[str]:
    """A mark for each different prompt of the records."""
    texts = {" ".join(prompt_text(one.prompt).split()) for one in records if isinstance(one, PromptRecord)}
    return frozenset(hashlib.sha256(text.encode()).hexdigest()[:16] for text in texts if text)


def familiar(section: Mapping[str, Any], folder: Path, asked: Mapping[str, Set[str]]) -> Iterator[tuple[str, str]]:
    """The runs that a section leans on and that were trained on some of the prompts.

    Args:
        section: of a reward, an evaluator or a judge; no ``stage:NAME`` is left in it.
        folder: where relative paths in it start.
        asked: marks of the prompts whose answers are scored, by what they are called.
    Returns: for each run how the section names it, and its share of the prompts, as ``3 of 5 held-out prompts``.
    """
    for run, place in runs_named(section, folder):
        known = run.prompts()
        if any(known & marks for marks in asked.values()):
            shares = (f"{len(known & marks)} of {len(marks)} {name}" for name, marks in asked.items() if marks)
            yield place, " and ".join(shares)

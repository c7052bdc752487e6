"""The file of stories as typed values, by prompt."""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rlhf_core.contract.errors import Problems, RLHFError

_TAG: Final = re.compile(r"^\s*\[\s*[A-Za-z]{2,3}\s*\]\s*")
_SHOWN: Final = 10


@dataclass(frozen=True)
class Story:
    """One story.

    Args:
        line: 1-based, in the file.
        score: votes; below zero where more readers voted against it.
    """

    line: int
    prompt: str
    text: str
    score: float


def read(file: str, *, strip_tags: bool) -> dict[str, list[Story]]:
    """The stories by prompt, both in the order of the file.

    Raises: RLHFError when there is no such file or nothing in it; Problems with every bad line.
    """
    path = Path(file).expanduser()
    if not path.is_file():
        raise RLHFError(f"ranked-stories: no file {path.absolute()}; a line is a story: prompt, story, score")
    by_prompt, problems = defaultdict[str, list[Story]](list), list[str]()
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            if line.strip():
                story = _story(number, line, strip_tags)
                by_prompt[story.prompt].append(story)
        except ValueError as error:
            problems.append(f"{path.name}:{number}: {error}")
    if problems:
        more = [f"… and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
        raise Problems([*problems[:_SHOWN], *more])
    if not by_prompt:
        raise RLHFError(f"{path.name}: holds no stories")
    return dict(by_prompt)


def pairs(
    stories: Sequence[Story], *, margin: float, ratio: float, most: int | None
) -> list[tuple[Story, Story]]:  # fmt: skip
    """(better, worse) of one prompt: scores that differ by ``margin`` votes and by a factor of ``ratio``.

    Scores below 1 count as 1 for the ratio. The greatest differences come first; equal ones in the order of the file.
    """
    ranked = sorted(stories, key=lambda story: (-story.score, story.line))
    found = [
        (better, worse)
        for place, better in enumerate(ranked)
        for worse in ranked[place + 1 :]
        if better.score - worse.score >= margin and max(better.score, 1) >= ratio * max(worse.score, 1)
    ]
    found.sort(key=lambda pair: pair[1].score - pair[0].score)
    return found[:most]


def _story(number: int, line: bytes, strip_tags: bool) -> Story:
    """Raises: ValueError saying what is wrong with the line (of which JSON and UTF-8 errors are kinds)."""
    columns: Any = json.loads(line.decode("utf-8"))
    if not isinstance(columns, dict):
        raise ValueError(f"expected an object of columns, found {type(columns).__name__}")
    for name in ("prompt", "story", "score"):
        if name not in columns:
            raise ValueError(f"no column '{name}' (columns: {', '.join(columns) or 'none'})")
    prompt, text, score = columns["prompt"], columns["story"], columns["score"]
    for name, value in (("prompt", prompt), ("story", text)):
        if not isinstance(value, str) or not value.strip():
            raise ValueError(f"{name}: expected text, found {json.dumps(value)[:40]}")
    if isinstance(score, bool) or not isinstance(score, int | float) or not math.isfinite(score):
        raise ValueError(f"score: expected a number of votes, found {json.dumps(score)[:40]}")
    asked = _TAG.sub("", prompt) if strip_tags else prompt
    if not asked.strip():
        raise ValueError(f"prompt: nothing but a tag: {prompt!r}")
    return Story(number, asked.strip(), text.strip(), float(score))

"""The data set ``ranked-stories``: readers' votes as preferences.

Two stories on one prompt, of which one has clearly more votes, are a pair. Stories on different prompts are never
compared: how many readers a prompt had says nothing about its stories.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from rlhf_core.contract.errors import RLHFError
from rlhf_core.contract.records import JSON

from .options import RankedStoriesOptions
from .stories import Story, pairs, read

Row = Mapping[str, JSON]

ENDS: Final[Mapping[str, float]] = {"train": 0.7, "validation": 0.85, "test": 1.0}
"""Where a split ends in [0, 1), the hashes of the prompts: all stories on one prompt are on one side."""


class RankedStories:
    """See :class:`~.options.RankedStoriesOptions`."""

    def __init__(self, options: RankedStoriesOptions) -> None:
        self.options = options

    def rows(self, split: str) -> Iterator[Row]:
        """Splits: train, validation and test, about 70, 15 and 15 % of the prompts."""
        if split not in ENDS:
            raise RLHFError(f"ranked-stories: no split {split!r}; there are {', '.join(ENDS)}")
        for prompt, stories in read(self.options.file, strip_tags=self.options.strip_tags).items():
            if split_of(prompt) == split:
                yield from self._rows_of(prompt, stories)

    def _rows_of(self, prompt: str, stories: Sequence[Story]) -> Iterator[Row]:
        options = self.options
        match options.view:
            case "pairs":
                for better, worse in pairs(
                    stories, margin=options.margin, ratio=options.ratio, most=options.pairs_per_prompt
                ):
                    yield {
                        "id": f"stories-{better.line}-{worse.line}", "prompt": prompt,
                        "chosen": better.text, "rejected": worse.text, "scores": [better.score, worse.score],
                    }  # fmt: skip
            case "demonstrations":
                for story in stories:
                    if options.min_score is None or story.score >= options.min_score:
                        yield {"id": f"story-{story.line}", "prompt": prompt, "completion": story.text}
            case "prompts":
                yield {"id": f"prompt-{stories[0].line}", "prompt": prompt}


def split_of(prompt: str) -> str:
    """By the prompt's words in lower case, so that a copy with other spaces is on the same side."""
    digest = hashlib.sha256(" ".join(prompt.lower().split()).encode()).hexdigest()
    place = int(digest[:8], 16) / 16**8
    return next(split for split, end in ENDS.items() if place < end)

"""The data set ``published-puns``: the user's copy of the file, joined with plain answers by the hash of the prompt.

Nothing of the published text is kept here: ``res/puns/plain_answers.jsonl`` holds our sentences and hashes alone.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from typing import Final

from rlhf_core.contract.errors import Problems, RLHFError
from rlhf_core.contract.records import JSON

from .options import PublishedPunsOptions
from .records import PublishedPun, read

Row = Mapping[str, JSON]

ENDS: Final[Mapping[str, float]] = {"train": 0.7, "validation": 0.85, "test": 1.0}
"""Where a split ends in [0, 1), the hashes of the prompts: records on one prompt are on one side."""


class PublishedPuns:
    """See :class:`~.options.PublishedPunsOptions`."""

    def __init__(self, options: PublishedPunsOptions) -> None:
        self.options = options

    def rows(self, split: str) -> Iterator[Row]:
        """Splits: train, validation and test, about 70, 15 and 15 % of the prompts."""
        if split not in ENDS:
            raise RLHFError(f"published-puns: no split {split!r}; there are {', '.join(ENDS)}")
        records = read(self.options.file)
        plain = plain_answers(records) if self.options.view == "pairs" else {}
        for record in records:
            if split_of(record) == split:
                asked = prompt(record) if self.options.conversation else record.direct
                yield {"id": f"pun-{record.row}", "prompt": asked, **self._answers(record, plain)}

    def _answers(self, record: PublishedPun, plain: Mapping[int, str]) -> Row:
        match self.options.view:
            case "pairs":
                return {"chosen": record.response, "rejected": plain[record.row]}
            case "demonstrations":
                return {"completion": record.response}
        return {}


def prompt(record: PublishedPun) -> JSON:
    """The request; with a conversation, the answer has begun in the published layout and ``B:`` is to speak."""
    if record.conversation is None:
        return record.direct
    begun = f"Sure thing!\nA: {record.conversation}\nB:"
    return [{"role": "user", "content": record.direct}, {"role": "assistant", "content": begun}]


def split_of(record: PublishedPun) -> str:
    place = int(record.key[:8], 16) / 16**8
    return next(split for split, end in ENDS.items() if place < end)


def plain_answers(records: Sequence[PublishedPun]) -> Mapping[int, str]:
    """A plain answer for every record, by its row. Where records share a prompt, the n-th takes the n-th answer.

    Raises: Problems with the rows whose prompt has none: they are not of the published file.
    """
    waiting: dict[str, list[str]] = defaultdict(list)
    for line in files("rlhf_core.res").joinpath("puns", "plain_answers.jsonl").read_text("utf-8").splitlines():
        answer = json.loads(line)
        waiting[answer["prompt_sha256"]].append(answer["plain"])
    found, problems = dict[int, str](), list[str]()
    for record in records:
        if waiting[record.key]:
            found[record.row] = waiting[record.key].pop(0)
        else:
            problems.append(f"record {record.row}: no plain answer for this prompt: {record.direct!r}")
    if problems:
        mend = "view: pairs is for the published records alone; take view: demonstrations, or pairs of your own by path"
        raise Problems([*problems[:10], f"published-puns: {len(problems)} such records; {mend}"])
    return found

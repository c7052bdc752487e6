"""Ready-made records of every shape, the same as rows, and completions as rewards and judges see them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from rlhf_core.contract.records import Demonstration, Labelled, Preference, PromptRecord, Record, Text
from rlhf_core.contract.reward import Completion
from rlhf_core.contract.rows import Codec, Row

LABELS: Final = ("negative", "positive")

_PROMPTS = ("tell me about pianos", "a line on bread", "what do cats want?", "Wörter mit Umlaut")
_GOOD = ("They are a grand thing.", "I knead it.", "Nine lives and a nap.", "Schöne Grüße!")
_BAD = ("no", "bread bread bread bread", "Cats.", "words and more words, but none of them with an umlaut")


def _id(number: int) -> str:
    return f"samples:{number}"


_RECORDS: Mapping[type[Record], tuple[Record, ...]] = {
    PromptRecord: tuple(PromptRecord(id=_id(i), prompt=prompt) for i, prompt in enumerate(_PROMPTS, 1)),
    Demonstration: tuple(
        Demonstration(id=_id(i), prompt=prompt, completion=good)
        for i, (prompt, good) in enumerate(zip(_PROMPTS, _GOOD, strict=True), 1)
    ),
    Preference: tuple(
        Preference(id=_id(i), prompt=prompt, chosen=good, rejected=bad)
        for i, (prompt, good, bad) in enumerate(zip(_PROMPTS, _GOOD, _BAD, strict=True), 1)
    ),
    Labelled: tuple(Labelled(id=_id(i), text=text, label=LABELS[i % 2]) for i, text in enumerate(_GOOD, 1)),
    Text: tuple(Text(id=_id(i), text=text) for i, text in enumerate(_GOOD, 1)),
}


def records(shape: type[Record]) -> list[Record]:
    """Four records of a shape of :mod:`rlhf_core.contract.records`."""
    if shape not in _RECORDS:
        known = ", ".join(cls.__name__ for cls in _RECORDS)
        raise ValueError(f"there are no ready-made records of {shape.__name__}, only of {known}: give your own records")
    return list(_RECORDS[shape])


def rows(shape: type[Record], codec: Codec) -> list[Row]:
    """The same as tokens."""
    return [codec.encode(record) for record in records(shape)]


def completions() -> list[Completion]:
    """Seven completions of three prompts: one empty, one cut at its limit, one with letters beyond ASCII."""
    texts: Sequence[tuple[int, str, bool]] = (
        (0, "They are a grand thing.", True),
        (0, "A piano is a large instrument with many keys.", True),
        (1, "I knead it, for the dough.", True),
        (1, "bread bread bread bread bread", False),
        (2, "Nine lives — and a nap, s'il vous plaît!", True),
        (2, "", True),
        (2, "\n\n!!!", True),
    )
    return [
        Completion(
            prompt=_PROMPTS[prompt], text=text, group=_id(prompt + 1), finished=finished,
            record={"prompt": _PROMPTS[prompt]},
        )
        for prompt, text, finished in texts
    ]  # fmt: skip

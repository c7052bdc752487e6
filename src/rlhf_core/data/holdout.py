"""A share of the prompts held out for validation: whole prompts, so that none is both trained on and measured."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from rlhf_core.contract.errors import RLHFError
from rlhf_core.contract.records import Labelled, PromptRecord, Record, Text, prompt_text


def held_out_keys(records: Sequence[Record], fraction: float) -> set[str]:
    """The prompts (texts, where there is no prompt) that are held out.

    A prompt is held out by the hash of its text alone: it is on the same side in every stage, whatever other rows its
    source has, so that no stage trains on what another is measured with. Where chance holds out none of a small set,
    the prompt with the smallest hash is.

    Raises: RLHFError when there are fewer than two different prompts.
    """
    keys = {split_key(record) for record in records}
    if len(keys) < 2:
        raise RLHFError(
            f"data.validation.fraction: {fraction} of {len(keys)} different prompt{'s' * (len(keys) != 1)} cannot be "
            "held out; add records, name validation sources, or set data.validation: null"
        )
    places = {key: _place(key) for key in keys}
    below = {key for key, place in places.items() if place < fraction}
    if len(below) == len(keys):
        below.remove(max(keys, key=places.__getitem__))
    return below or {min(keys, key=places.__getitem__)}


def split_key(record: Record) -> str:
    """What must not stand on both sides: the prompt's text, or the text itself."""
    if isinstance(record, PromptRecord):
        return prompt_text(record.prompt)
    if isinstance(record, Text | Labelled):
        return record.text
    return record.id


def _place(key: str) -> float:
    """A number in [0, 1) that depends on the text alone."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") / 2**64

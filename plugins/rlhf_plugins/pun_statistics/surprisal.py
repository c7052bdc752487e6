"""Local and global surprisal of a pun word (He, Peng and Liang 2019, "Pun Generation with Surprise").

S(c) = −log p(pun word, c) / p(alternative, c), where p is a language model's probability of the whole span: the local
context is the pun word with ``window`` words on each side, the global one the whole text. The ratio is S_local over
S_global, and −1 where either is negative. A good pun word is a surprise beside its neighbours and less of one in the
whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from rlhf_core.contract.policy import Policy
from rlhf_core.contract.records import Text
from rlhf_core.contract.rows import Row
from rlhf_core.math.logprobs import sequence_logprobs
from rlhf_core.math.text import word_spans

_SPANS_AT_ONCE = 32


@dataclass(frozen=True)
class Spans:
    """The texts whose probabilities are compared."""

    local_pun: str
    local_alternative: str
    global_pun: str
    global_alternative: str


@dataclass(frozen=True)
class Surprisal:
    """Nats."""

    local_: float
    global_: float

    @property
    def ratio(self) -> float | None:
        """None where the whole text makes no difference at all, by which nothing can be divided."""
        if self.local_ < 0 or self.global_ < 0:
            return -1.0
        return self.local_ / self.global_ if self.global_ else None


def spans(text: str, place: range, alternative: str, window: int) -> Spans:
    """Args: place: the pun word's place among the words of ``text``."""
    found = word_spans(text)
    start, end = found[place[0]][0], found[place[-1]][1]
    first, last = found[max(0, place[0] - window)][0], found[min(len(found) - 1, place[-1] + window)][1]
    instead = alternative[:1].upper() + alternative[1:] if text[start].isupper() else alternative
    return Spans(
        local_pun=text[first:last],
        local_alternative=text[first:start] + instead + text[end:last],
        global_pun=text,
        global_alternative=text[:start] + instead + text[end:],
    )


def surprisals(policy: Policy, role: str, asked: Sequence[Spans]) -> list[Surprisal | None]:
    """None where a text is longer than the model's context."""
    texts = [text for each in asked for text in (each.local_alternative, each.local_pun,
                                                 each.global_alternative, each.global_pun)]  # fmt: skip
    read = log_probabilities(policy, role, texts)
    surprises = [
        None if alternative is None or pun is None else alternative - pun
        for alternative, pun in zip(read[::2], read[1::2], strict=True)
    ]
    return [
        None if local is None or whole is None else Surprisal(local, whole)
        for local, whole in zip(surprises[::2], surprises[1::2], strict=True)
    ]


@torch.no_grad()
def log_probabilities(policy: Policy, role: str, texts: Sequence[str]) -> list[float | None]:
    """log p of each text by itself, in nats, without template and without its end; None where it was cut."""
    rows = [_row(policy, text) for text in texts]
    whole = [index for index, row in enumerate(rows) if len(row.completions[0]) < policy.context_length - 1]
    found: list[float | None] = [None] * len(texts)
    for start in range(0, len(whole), _SPANS_AT_ONCE):
        batch = whole[start : start + _SPANS_AT_ONCE]
        scored = policy.score([rows[index] for index in batch], role)
        assert scored.logprobs is not None, "logprobs were asked for"
        for index, total in zip(batch, sequence_logprobs(scored.logprobs, scored.mask).tolist(), strict=True):
            found[index] = total
    return found


def _row(policy: Policy, text: str) -> Row:
    row = policy.codec.encode(Text(id=text, text=text))
    (tokens,) = row.completions
    # A window ends in the middle of a sentence: its EOS would be a surprise of its own.
    tokens = tokens[:-1] if tokens[-1] == policy.codec.eos else tokens
    return Row(record_id=row.record_id, prompt=row.prompt, completions=(tokens,))

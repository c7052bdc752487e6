"""Ambiguity and distinctiveness of two meanings (Kao, Levy and Goodman 2016, "A Computational Model of Linguistic Humor
in Puns").

A text's words w are each either about its meaning m (f = 1), drawn from P(w|m), or not (f = 0). Ambiguity is the
entropy of P(m|w) ∝ P(m) Π (P(w|f=0) + P(w|m)); distinctiveness the symmetrised KL divergence between P(f|m, w) of the
two meanings.

What differs from the paper: P(w|m)/P(w), there from people's ratings of how related two words are, is counted in texts,
smoothed; P(w|f=0) is P(w), as in He et al. 2019, not a trigram model; and the pun word, which sounds like both,
has no vote (the paper fits its vote to the ratings).
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from rlhf_core.math.text import words

PRIOR = 1.0
"""Pseudo-texts by which P(w|m) is drawn to P(w) (Dirichlet smoothing, Zhai and Lafferty 2001)."""


class Corpus:
    """Which texts a word stands in."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = [frozenset(words(text)) for text in texts]
        self.holding: dict[str, set[int]] = defaultdict(set)
        for index, text in enumerate(self.texts):
            for word in text:
                self.holding[word].add(index)

    def share(self, word: str) -> float:
        """Of the texts, those that hold the word."""
        return len(self.holding.get(word, ())) / len(self.texts)

    def with_all(self, phrase: Sequence[str]) -> set[int]:
        """Texts that hold every word of a phrase."""
        return set.intersection(*(self.holding.get(word, set()) for word in phrase))


@dataclass(frozen=True)
class Meanings:
    """Two meanings of a text and how its words speak for each.

    Args:
        priors: how often each meaning occurs, in any unit.
        support: per word of the text, P(w|m) / P(w) for both.
    """

    priors: tuple[float, float]
    support: Sequence[tuple[float, float]]

    @property
    def ambiguity(self) -> float:
        """Nats: log 2 where both are as likely, 0 where one is certain."""
        votes = [math.log(first + 1) - math.log(second + 1) for first, second in self.support]
        odds = math.log(self.priors[0]) - math.log(self.priors[1]) + math.fsum(votes)
        # The entropy of a coin whose log odds are `odds`; even in its sign, so that exp cannot overflow.
        likelier, rarer = 1 / (1 + math.exp(-abs(odds))), math.exp(-abs(odds)) / (1 + math.exp(-abs(odds)))
        return -likelier * math.log(likelier) + rarer * (abs(odds) - math.log(likelier))

    @property
    def distinctiveness(self) -> float:
        """Nats: KL(F_a ‖ F_b) + KL(F_b ‖ F_a) = Σ (p_a − p_b)(logit p_a − logit p_b), with p = P(f=1|m, w)."""
        return math.fsum(
            (first / (1 + first) - second / (1 + second)) * (math.log(first) - math.log(second))
            for first, second in self.support
        )


def meanings(corpus: Corpus, text: Sequence[str], pun_word: str, alternative: str) -> Meanings | None:
    """The two meanings of a text; None where the corpus lacks one of them.

    Args: text: its words without the pun word.
    """
    held = [corpus.with_all(words(meaning)) for meaning in (pun_word, alternative)]
    if not all(held):
        return None
    beside = [Counter(word for index in texts for word in corpus.texts[index]) for texts in held]
    support = []
    for word in text:
        share = corpus.share(word)
        # A word that the corpus lacks speaks for neither.
        first, second = (
            (counts[word] / share + PRIOR) / (len(texts) + PRIOR) if share else 1.0
            for counts, texts in zip(beside, held, strict=True)
        )
        support.append((first, second))
    return Meanings(priors=(len(held[0]), len(held[1])), support=support)

"""Judges that know nothing, asked beside the real one: what they reach, a result has to be more than."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence, Set
from typing import Final

from ..contract.judge import Ability, Grade, Judge, Pair, Verdict, Winner
from ..contract.reward import Completion


class _Yardstick:
    can: Set[Ability] = frozenset({"compare"})

    def compare(self, pairs: Sequence[Pair]) -> list[Verdict]:
        return [Verdict(winner=self.winner(pair)) for pair in pairs]

    def grade(self, completions: Sequence[Completion]) -> list[Grade]:
        raise NotImplementedError(f"{type(self).__name__} compares only")

    def winner(self, pair: Pair) -> Winner:
        raise NotImplementedError


class Longest(_Yardstick):
    """The completion with more characters."""

    def winner(self, pair: Pair) -> Winner:
        first, second = len(pair.first.text), len(pair.second.text)
        return "tie" if first == second else "first" if first > second else "second"


class First(_Yardstick):
    """Whichever stands first: all position bias, and so all ties once both orders are asked."""

    def winner(self, pair: Pair) -> Winner:
        return "first"


class Random(_Yardstick):
    """A coin, the same one for the same question."""

    def winner(self, pair: Pair) -> Winner:
        digest = hashlib.sha256("\0".join([pair.first.prompt, pair.first.text, pair.second.text]).encode()).digest()
        return "first" if digest[0] % 2 else "second"


YARDSTICKS: Final[Mapping[str, Judge]] = {"longest": Longest(), "first": First(), "random": Random()}

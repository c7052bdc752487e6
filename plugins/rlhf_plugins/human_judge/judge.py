"""Labels by people as verdicts: the completion that more raters named wins, whichever order is asked for.

People saw one order each, by a coin: that both orders of a pair get the same verdict here says nothing of their
position bias, which `rlhf label stats` tells.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from typing import Final

from rlhf_core.contract.errors import RLHFError
from rlhf_core.contract.judge import Ability, Grade, JudgeContext, Pair, Verdict, Winner
from rlhf_core.contract.labels import Decision, Label, majority, other_side
from rlhf_core.contract.reward import Completion

from .options import HumanJudgeOptions

_WINNERS: Final[Mapping[Decision, Winner]] = {"run": "first", "baseline": "second", "tie": "tie", "divided": "tie"}


class HumanJudge:
    can: Set[Ability] = frozenset({"compare"})

    def __init__(self, options: HumanJudgeOptions) -> None:
        self.options = options
        self._votes: dict[tuple[str, str, str], list[Label]] = {}

    def prepare(self, context: JudgeContext) -> None:
        """Raises: RLHFError when there is no such file of labels."""
        for label in context.labels(self.options.labels).labels():
            if not label.repeat and (not self.options.raters or label.rater in self.options.raters):
                self._votes.setdefault(label.pair.texts, []).append(label)

    def compare(self, pairs: Sequence[Pair]) -> list[Verdict]:
        return [self._verdict(pair) for pair in pairs]

    def _verdict(self, pair: Pair) -> Verdict:
        prompt, first, second = pair.first.prompt, pair.first.text, pair.second.text
        straight = self._votes.get((prompt, first, second), [])
        # Seen from the other side, whoever stood left is the other one.
        mirrored = [replace(one, left=other_side(one.left)) for one in self._votes.get((prompt, second, first), [])]
        votes = [*straight, *mirrored] if first != second else straight
        if not votes:
            return Verdict(winner=None, outcome="error", reason="nobody has labelled this pair")
        decision = majority(votes)
        winner = _WINNERS.get(decision)
        reason = f"{decision if winner is None or decision == 'divided' else winner}, of {len(votes)} labels"
        return Verdict(winner=winner, outcome="error" if winner is None else "valid", reason=reason)

    def grade(self, completions: Sequence[Completion]) -> list[Grade]:
        raise RLHFError("judge human only compares: name a baseline (--baseline RUN|base)")

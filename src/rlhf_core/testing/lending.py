"""What core lends components, from real parts that need no run, no network and no key."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import replace
from typing import TYPE_CHECKING

from rlhf_core.contract.evaluator import EvalContext, Need
from rlhf_core.contract.judge import Ability, Grade, Judge, JudgeContext, Pair, Verdict, Winner
from rlhf_core.contract.labels import LabelStore, NoLabels
from rlhf_core.contract.records import JSON
from rlhf_core.contract.replies import KeptInMemory, ReplyStore
from rlhf_core.contract.reward import Completion, Reward, RewardContext, RewardSource

from .samples import completions

if TYPE_CHECKING:
    from rlhf_core.contract.policy import Policy


class LengthReward(Reward):
    """The number of characters."""

    def score(self, completions: Sequence[Completion]) -> list[float]:
        return [float(len(completion.text)) for completion in completions]


class LengthJudge:
    """Prefers the longer text; grades 1 to 5 by length."""

    can: Set[Ability] = frozenset({"compare", "grade"})

    def compare(self, pairs: Sequence[Pair]) -> list[Verdict]:
        return [Verdict(winner=_longer(pair), reason="by length") for pair in pairs]

    def grade(self, completions: Sequence[Completion]) -> list[Grade]:
        marks = [min(5.0, 1.0 + len(completion.text) // 10) for completion in completions]
        return [Grade(score=mark, criteria={"length": mark}, reason="by length") for mark in marks]


def _longer(pair: Pair) -> Winner:
    first, second = len(pair.first.text), len(pair.second.text)
    return "tie" if first == second else "first" if first > second else "second"


def reward_context(
    *,
    open_policy: Callable[[str], Policy] | None = None,
    build_reward: Callable[[Mapping[str, JSON]], RewardSource] | None = None,
    build_judge: Callable[[Mapping[str, JSON]], Judge] | None = None,
    folder: str = ".",
) -> RewardContext:
    """By default every run is a tiny policy with a reward head, every reward and judge goes by length."""
    return RewardContext(
        open_policy=open_policy or _tiny,
        build_reward=build_reward or (lambda _: LengthReward()),
        build_judge=build_judge or (lambda _: LengthJudge()),
        folder=folder,
    )


def judge_context(
    *,
    open_policy: Callable[[str], Policy] | None = None,
    replies: ReplyStore | None = None,
    labels: LabelStore | None = None,
    tell: Callable[[str], None] = lambda _: None,
    folder: str = ".",
) -> JudgeContext:
    """By default every run is a tiny policy with a reward head, replies are kept in memory, and nobody labelled."""
    store, said = replies or KeptInMemory(), labels or NoLabels()
    return JudgeContext(
        replies=lambda _: store, labels=lambda _: said, open_policy=open_policy or _tiny, tell=tell, folder=folder
    )


def _tiny(_: str) -> Policy:
    from .policy import tiny_policy

    return tiny_policy(reward=True)


def eval_context(needs: Set[Need], *, lend: RewardContext | None = None) -> EvalContext:
    """What an evaluator with those needs is given; the baseline's completions are the samples, shortened."""
    policy: Policy | None = None
    if needs & {"policy", "reference"}:
        from .policy import tiny_policy

        policy = tiny_policy()
    shortened = [replace(completion, text=completion.text[:12]) for completion in completions()]
    return EvalContext(
        lend=lend or reward_context(),
        policy=policy,
        baseline=shortened if "baseline" in needs else None,
        train_texts=[completion.text for completion in completions()] if "train_set" in needs else None,
    )

"""What every reward source must do."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rlhf_core.contract.reward import Completion, RewardContext, RewardSource, Scores

from .expecting import expecting
from .lending import reward_context
from .samples import completions

TOLERANCE = 1e-4
"""Between two orders of the same completions: a model's sums are rounded differently."""


def check_reward(
    reward: RewardSource, *, context: RewardContext | None = None, samples: Sequence[Completion] | None = None
) -> None:
    """One finite number per completion, in order, the same when asked again, in any order.

    Args:
        samples: completions to score, where the ready-made ones will not do (a reward that reads a column).
    Raises: AssertionError in one line.
    """
    name = type(reward).__name__
    asked = completions() if samples is None else list(samples)
    with expecting(f"{name}: prepare()"):
        reward.prepare(context or reward_context())
    scores = _scores(name, reward.score(asked), asked)
    _require_same(
        f"{name}: score() called twice on the same completions", scores, _scores(name, reward.score(asked), asked)
    )
    backwards = _scores(name, reward.score(asked[::-1]), asked)[::-1]
    _require_same(f"{name}: score() of the completions in reverse order", scores, backwards)
    _scores(name, reward.score(asked[:1]), asked[:1])


def _scores(name: str, answer: Scores | Sequence[float], asked: Sequence[Completion]) -> list[float]:
    scores = answer if isinstance(answer, Scores) else Scores(answer)
    for label, numbers in (("scores", scores.total), *((f"part {key!r}", part) for key, part in scores.parts.items())):
        listed = isinstance(numbers, list | tuple)
        assert listed, f"{name}: {label} must be a list of floats, found {type(numbers).__name__}"
        assert len(numbers) == len(asked), f"{name}: {len(numbers)} {label} for {len(asked)} completions"
        for number, completion in zip(numbers, asked, strict=True):
            assert _finite(number), f"{name}: {label} of {completion.text!r} must be a finite number, found {number!r}"
    return [float(number) for number in scores.total]


def _finite(number: object) -> bool:
    return isinstance(number, int | float) and math.isfinite(number)


def _require_same(what: str, first: Sequence[float], second: Sequence[float]) -> None:
    for index, (one, other) in enumerate(zip(first, second, strict=True)):
        assert math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=TOLERANCE), (
            f"{what} gives {other:g} in place of {one:g} for completion {index}: keep the order, and draw nothing "
            "without a fixed seed"
        )

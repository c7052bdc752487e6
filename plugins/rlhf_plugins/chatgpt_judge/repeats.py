"""Several replies to the very same question as one: what most of them say, and how far they agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import combinations
from typing import TypeVar

from rlhf_core.contract.judge import Grade, Verdict

ReplyT = TypeVar("ReplyT", Verdict, Grade)


def one_verdict(replies: Sequence[Verdict]) -> Verdict:
    """The winner that more replies name than any other; a tie where there is none."""
    valid, missing = _usable(replies)
    if missing is not None or len(replies) == 1:
        return missing or replies[0]
    counts = Counter(reply.winner for reply in valid).most_common()
    winner, most = counts[0]
    said = f"{most} of {len(valid)} replies"
    if len(counts) > 1 and counts[1][1] == most:
        winner, said = "tie", f"the {len(valid)} replies are divided"
    spoken = next((reply for reply in valid if reply.winner == winner), valid[0])
    agreement = _share(one.winner == other.winner for one, other in combinations(valid, 2))
    return Verdict(winner=winner, reason=f"{said}. {spoken.reason}", usage=_together(replies), agreement=agreement)


def one_grade(replies: Sequence[Grade], succeeded: Callable[[dict[str, float]], bool | None]) -> Grade:
    """The mean of each criterion.

    Args:
        succeeded: the rule of success, of criteria.
    """
    valid, missing = _usable(replies)
    if missing is not None or len(replies) == 1:
        return missing or replies[0]
    criteria = {name: sum(reply.criteria[name] for reply in valid) / len(valid) for name in valid[0].criteria}
    alike = (one.criteria[name] == other.criteria[name] for one, other in combinations(valid, 2) for name in criteria)
    return Grade(
        score=sum(criteria.values()) / len(criteria), success=succeeded(criteria), criteria=criteria,
        reason=f"The mean of {len(valid)} replies. {valid[0].reason}", usage=_together(replies),
        agreement=_share(alike),
    )  # fmt: skip


def _usable(replies: Sequence[ReplyT]) -> tuple[list[ReplyT], ReplyT | None]:
    """The valid ones; beside them what the answer is where these are not more than half."""
    valid = [reply for reply in replies if reply.outcome == "valid"]
    if 2 * len(valid) > len(replies):
        return valid, None
    first = next(reply for reply in replies if reply.outcome != "valid")
    return valid, replace(first, usage=_together(replies))


def _together(replies: Sequence[ReplyT]) -> dict[str, float]:
    names = dict.fromkeys(name for reply in replies for name in reply.usage)
    return {name: sum(reply.usage.get(name, 0.0) for reply in replies) for name in names}


def _share(alike: Iterable[bool]) -> float | None:
    found = list(alike)
    return sum(found) / len(found) if found else None

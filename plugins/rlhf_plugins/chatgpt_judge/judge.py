"""The judge: questions out, each reply checked as a whole, asked again once, and given with its outcome."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

from rlhf_core.contract.errors import RLHFError
from rlhf_core.contract.judge import Ability, Grade, Outcome, Pair, Verdict, Winner
from rlhf_core.contract.reward import Completion

from .options import ChatGPTOptions
from .prompts import Messages, compare_messages, grade_messages, reminder
from .replies import CompareReply, GradeReply, R, Unusable, parse
from .server import Server

Q = TypeVar("Q")
A = TypeVar("A")

_WINNERS: dict[str, Winner] = {"A": "first", "B": "second", "tie": "tie"}


@dataclass(frozen=True)
class _Judged(Generic[R]):
    """A parsed reply, or None with the outcome and what was wrong; ``usage`` counts every call made for it."""

    reply: R | None
    outcome: Outcome
    detail: str
    usage: dict[str, float]


class ChatGPTJudge:
    def __init__(self, options: ChatGPTOptions) -> None:
        """Raises: RLHFError when the key is missing: before anything is sampled or asked."""
        self.options = options
        self.can: Set[Ability] = frozenset({"compare", "grade"} if options.mode == "auto" else {options.mode})
        self._server = Server(options)
        self._reached = False

    def compare(self, pairs: Sequence[Pair]) -> list[Verdict]:
        return self._all(self._compare, pairs)

    def grade(self, completions: Sequence[Completion]) -> list[Grade]:
        return self._all(self._grade, completions)

    def _compare(self, pair: Pair) -> Verdict:
        judged = self._ask(compare_messages(pair), CompareReply)
        if judged.reply is None:
            return Verdict(winner=None, outcome=judged.outcome, reason=judged.detail, usage=judged.usage)
        return Verdict(winner=_WINNERS[judged.reply.winner], reason=judged.reply.reason, usage=judged.usage)

    def _grade(self, completion: Completion) -> Grade:
        judged = self._ask(grade_messages(completion), GradeReply)
        if judged.reply is None:
            return Grade(score=None, outcome=judged.outcome, reason=judged.detail, usage=judged.usage)
        criteria = judged.reply.criteria
        score = sum(criteria.values()) / len(criteria)
        return Grade(score=score, criteria=criteria, reason=judged.reply.reason, usage=judged.usage)

    def _ask(self, messages: Messages, shape: type[R]) -> _Judged[R]:
        """Twice at most: after an unusable reply with a reminder, after a truncated one with twice the room."""
        usage: dict[str, float] = {}
        limit = self.options.max_reply_tokens
        outcome: Outcome = "invalid"
        detail = ""
        for _ in range(2):
            answer = self._server.ask(messages, shape, limit)
            usage = {name: usage.get(name, 0.0) + answer.usage.get(name, 0.0) for name in {**usage, **answer.usage}}
            if answer.outcome == "valid":
                try:
                    return _Judged(parse(answer.text, shape), "valid", "", usage)
                except Unusable as error:
                    outcome, detail = "invalid", str(error)
                    messages = [*messages, reminder(detail)]
                    continue
            outcome, detail = answer.outcome, answer.detail
            if outcome != "truncated":
                break
            limit *= 2
        return _Judged(None, outcome, detail, usage)

    def _all(self, ask: Callable[[Q], A], questions: Sequence[Q]) -> list[A]:
        """Answers in the order of the questions, whatever order they arrive in."""
        if not questions:
            return []
        # The first goes alone: it finds out how this server wants to be asked, and whether it is there at all.
        answers = [self._first(ask, questions[0])]
        pool = ThreadPoolExecutor(self.options.concurrency)
        try:
            return answers + list(pool.map(ask, questions[1:]))
        finally:
            # After an error, or Ctrl-C, nothing that still waits is sent.
            pool.shutdown(wait=True, cancel_futures=True)

    def _first(self, ask: Callable[[Q], A], question: Q) -> A:
        """Raises: RLHFError when the server has not answered once, so that the rest would fail one by one."""
        answer = ask(question)
        if getattr(answer, "outcome", None) != "error":
            self._reached = True
        if not self._reached:
            reason = getattr(answer, "reason", "")
            raise RLHFError(
                f"judge chatgpt: {self._server.url} gave no usable answer in {self.options.max_retries + 1} attempts: "
                f"{reason}; is the server up, and --base-url right?"
            )
        return answer

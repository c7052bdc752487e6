"""Where questions are asked: looked up first, paid for, repeated while they fail, and every call of them kept."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import openai

from rlhf_core.contract.judge import Outcome
from rlhf_core.contract.replies import Call, ReplyStore, question_key

from .money import Budget, Price, likely_tokens, most_tokens
from .prompts import Question
from .replies import NotJSON, ReplyModel, Unusable, parse
from .server import Answer, Broken, Manner, Server, may_have_been_charged, pause

LIKELY_REPLY_TOKENS: Final = 90


@dataclass(frozen=True)
class Judged:
    """What came of a question: the parsed reply, or None with the outcome and what was wrong.

    ``usage`` counts all calls that were made for it; a reply from the store counts as ``kept``. ``heard``: whether the
    server said anything of the question, be it that it is too long.
    """

    reply: ReplyModel | None
    outcome: Outcome
    detail: str = ""
    usage: dict[str, float] = field(default_factory=dict)
    heard: bool = True


@dataclass(frozen=True)
class Estimate:
    """What questions are going to cost. Dollars are None where no price is known.

    Args:
        calls: questions that are not kept yet. ``kept``: those that are.
        usd: likely. ``worst_usd``: with replies as long as they may be, each asked twice.
    """

    calls: int
    kept: int
    prompt_tokens: int
    reply_tokens: int
    usd: float | None
    worst_usd: float | None


def likely(questions: Sequence[Question]) -> tuple[float, float]:
    """Tokens of the prompts and of the replies."""
    prompt = sum((likely_tokens(question.messages) for question in questions), 0.0)
    return prompt, float(sum(min(LIKELY_REPLY_TOKENS, question.limit) for question in questions))


class Desk:
    """Safe to use from several threads. A question gets the same answer whatever else is asked meanwhile.

    Args:
        protocol: label of what is asked, for the keys of replies.
        price: None where none is known and none is wanted.
    """

    def __init__(self, server: Server, protocol: str, store: ReplyStore, budget: Budget, price: Price | None) -> None:
        self.server, self.protocol, self.store, self.budget, self.price = server, protocol, store, budget, price
        self._name = f"manner of {server.options.model} at {server.url}"
        remembered: Any = store.recall(self._name)
        self.manner = Manner(**remembered) if remembered else Manner()
        self._proven: set[tuple[Manner, str]] = set()
        self._lock = threading.Lock()

    def ask(self, question: Question, *, alone: bool = False) -> Judged:
        """Twice at most: after an unusable reply with a reminder, after a truncated one with twice the room.

        Args:
            alone: nothing else is under way, so that what is learnt of the server holds for all that follows.
        Raises: RLHFError for what no retry mends: a refused key, an unknown model, a used-up quota or budget.
        """
        first = self._answer(question, alone=alone)
        if first.outcome == "truncated":
            again = replace(question, limit=2 * question.limit)
        elif first.outcome == "invalid":
            again = question.again(first.detail)
        else:
            return first
        second = self._answer(again, alone=alone)
        return replace(second, usage=_sum(first.usage, second.usage))

    def estimate(self, questions: Sequence[Question]) -> Estimate:
        """Of asking these now. The store is looked at, nothing is sent."""
        keyed = [(question, *self._key(question, self.manner)) for question in questions]
        missing = [(question, request) for question, key, request in keyed if self.store.find(key) is None]
        prompt, reply = likely([question for question, _ in missing])
        usd = worst = None
        if self.price is not None:
            usd = self.price.of(prompt, reply)
            # A second question has the first one's text and a reminder, or twice the room for its reply.
            worst = sum(3 * self._worst(request, question.limit) for question, request in missing)
        return Estimate(len(missing), len(questions) - len(missing), round(prompt), round(reply), usd, worst)

    def _answer(self, question: Question, *, alone: bool) -> Judged:
        """One reply, or outcome ``error`` when it failed ``max_retries`` + 1 times."""
        attempt, usage = 0, dict[str, float]()
        while True:
            manner = self.manner  # once: another thread may change it meanwhile
            key, request = self._key(question, manner)
            kept = self.store.find(key)
            if kept is not None:
                return self._judged(_answer_of(kept), question, {**usage, "kept": 1.0})
            try:
                answer = self._send(key, request, question, usage)
            except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
                about = self._about_the_question(error, manner, question)
                if about is not None:
                    return Judged(None, about.outcome, about.detail, usage)
                self._adopt(manner, self.server.without_what_it_refuses(manner, error))
            except (openai.APIError, Broken) as error:
                self.server.require_transient(error)
                if attempt == self.server.options.max_retries:
                    return Judged(None, "error", self.server.line(error), usage, heard=False)
                pause(attempt, error)
                attempt += 1
            else:
                lower = manner.one_step_down()
                if alone and lower is not None and _is_no_json(answer, question):
                    # The server takes this format and does not honour it: the question is asked as the next one.
                    self._adopt(manner, lower)
                    continue
                self._proven.add((manner, question.shape.schema_name))
                return self._judged(answer, question, usage)

    def _key(self, question: Question, manner: Manner) -> tuple[str, dict[str, Any]]:
        """Of everything that can change the reply, and the request itself."""
        request = self.server.request(manner, question)
        asked: dict[str, Any] = {"server": self.server.url, "protocol": self.protocol, "request": request}
        if question.repeat:
            asked["repeat"] = question.repeat
        return question_key(asked), request

    def _send(self, key: str, request: dict[str, Any], question: Question, usage: dict[str, float]) -> Answer:
        """One attempt, inside the budget and kept, whatever comes of it. ``usage`` is added to."""
        worst = self._worst(request, question.limit)
        with self.budget.reserved(worst) as charge:
            began = time.monotonic()
            try:
                answer = self.server.send(request, idempotency_key=key)
            except (openai.APIError, Broken) as error:
                charge.possibly_usd = worst if may_have_been_charged(error) else 0.0
                failed = self._failed(error)
                self._keep(key, request, failed, time.monotonic() - began, None, charge.possibly_usd)
                _add(usage, calls=1.0, possibly_usd=charge.possibly_usd)
                raise
            if self.price is not None:
                charge.usd = self.price.of(answer.prompt_tokens, answer.reply_tokens)
            _add(usage, calls=1.0, prompt_tokens=answer.prompt_tokens, completion_tokens=answer.reply_tokens,
                 usd=charge.usd)  # fmt: skip
            outcome = self._judged(answer, question, {})
            checked = replace(answer, outcome=outcome.outcome, detail=outcome.detail)
            usd = None if self.price is None else charge.usd
            self._keep(key, request, checked, time.monotonic() - began, usd, 0.0)
        return answer

    def _failed(self, error: Exception) -> Answer:
        refused = self.server.about_the_question(error) if isinstance(error, openai.BadRequestError) else None
        body = getattr(getattr(error, "response", None), "text", "")
        answer = refused or Answer(outcome="error", detail=self.server.line(error))
        return replace(answer, raw=body, request_id=getattr(error, "request_id", None) or "")

    def _keep(
        self, key: str, request: dict[str, Any], answer: Answer, seconds: float, usd: float | None, possibly_usd: float
    ) -> None:
        self.store.add(
            Call(
                key=key, judge="chatgpt", server=self.server.url, model=self.server.options.model,
                protocol=self.protocol, request=request, outcome=answer.outcome, text=answer.text, raw=answer.raw,
                detail=answer.detail, prompt_tokens=answer.prompt_tokens, reply_tokens=answer.reply_tokens, usd=usd,
                possibly_usd=possibly_usd, request_id=answer.request_id, seconds=round(seconds, 3),
            )
        )  # fmt: skip

    def _about_the_question(self, error: openai.APIStatusError, manner: Manner, question: Question) -> Answer | None:
        """What a 400 says of this question; None when it is about the way of asking, which has never worked yet."""
        proven = (manner, question.shape.schema_name) in self._proven
        refused = self.server.about_the_question(error)
        return refused or (Answer(outcome="error", detail=self.server.line(error)) if proven else None)

    def _adopt(self, before: Manner, after: Manner) -> None:
        with self._lock:
            if self.manner == before:
                self.manner = after
                self.store.remember(self._name, after.to_json())

    def _worst(self, request: dict[str, Any], limit: int) -> float:
        return 0.0 if self.price is None else self.price.of(most_tokens(request), limit)

    @staticmethod
    def _judged(answer: Answer, question: Question, usage: dict[str, float]) -> Judged:
        if answer.outcome != "valid":
            return Judged(None, answer.outcome, answer.detail, usage)
        try:
            return Judged(parse(answer.text, question.shape, question.ticket), "valid", "", usage)
        except Unusable as error:
            return Judged(None, "invalid", str(error), usage)


def _is_no_json(answer: Answer, question: Question) -> bool:
    """Whether no server that minds the format can have made it. A truncated reply tells by how it begins."""
    if answer.outcome == "truncated":
        return bool(answer.text.strip()) and not answer.text.lstrip().startswith(("{", "`"))
    try:
        parse(answer.text, question.shape, question.ticket)
    except NotJSON:
        return answer.outcome == "valid"
    except Unusable:
        pass
    return False


def _answer_of(call: Call) -> Answer:
    # What was found unusable then is read anew, by the rules of now.
    outcome: Outcome = "valid" if call.outcome == "invalid" else call.outcome
    return Answer(text=call.text, outcome=outcome, detail=call.detail)


def _add(usage: dict[str, float], **amounts: float) -> None:
    for name, amount in amounts.items():
        if amount:
            usage[name] = usage.get(name, 0.0) + float(amount)


def _sum(first: dict[str, float], second: dict[str, float]) -> dict[str, float]:
    return {name: first.get(name, 0.0) + second.get(name, 0.0) for name in {**first, **second}}

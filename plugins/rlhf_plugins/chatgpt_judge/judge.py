"""The judge: questions out, answers in the order of the questions, whatever order they arrive in."""

from __future__ import annotations

from collections.abc import Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property, partial
from typing import cast

from rlhf_core.contract.errors import RLHFError
from rlhf_core.contract.judge import Ability, Cost, Grade, JudgeContext, Pair, Verdict, Winner, unwatched
from rlhf_core.contract.replies import KeptInMemory
from rlhf_core.contract.reward import Completion

from .desk import Desk, Estimate, Judged, likely
from .money import FREE, Budget, find_price, processes, table
from .options import ChatGPTOptions
from .prompts import Question, compare_question, grade_question
from .protocol import Protocol, load_protocol
from .repeats import one_grade, one_verdict
from .replies import CompareReply, GradeReply
from .server import OWN_HOST, Server, address
from .tally import Tally

_WINNERS: dict[str, Winner] = {"A": "first", "B": "second", "tie": "tie"}


class ChatGPTJudge:
    """Until :meth:`prepare`, replies are kept in memory and nothing is told."""

    def __init__(self, options: ChatGPTOptions) -> None:
        """Raises: RLHFError when the key or the price is missing: before anything is sampled or asked."""
        self.options = options
        self.can: Set[Ability] = frozenset({"compare", "grade"} if options.mode == "auto" else {options.mode})
        self._server = Server(options)
        self._price = find_price(options, self._server.url, own_server=self._server.own)
        self._budget = Budget(options.max_usd, shared_by=processes())
        self._context: JudgeContext | None = None
        self._told = self._reached = False

    def prepare(self, context: JudgeContext) -> None:
        """Raises: RLHFError for a protocol or a store that cannot be read."""
        self._context = context
        _ = self._desk  # opens both, before anything is sampled

    @cached_property
    def _protocol(self) -> Protocol:
        return load_protocol(self.options.protocol, self._context.folder if self._context else ".")

    @cached_property
    def _desk(self) -> Desk:
        store = self._context.replies(self.options.replies) if self._context else KeptInMemory()
        return Desk(self._server, self._protocol.label, store, self._budget, self._price)

    @staticmethod
    def cost(options: ChatGPTOptions, asked: Sequence[Completion] | Sequence[Pair], folder: str) -> Cost:
        """See :class:`Priced`. Whether a reply is kept from before is not looked up."""
        protocol = load_protocol(options.protocol, folder)
        prompt, reply = likely(_questions(asked, protocol, options))
        told = partial(Cost, prompt_tokens=prompt, reply_tokens=reply)
        url = address(options) or OWN_HOST
        try:
            price = find_price(options, url, own_server=url.startswith(OWN_HOST))
        except RLHFError as error:
            return told(usd=None, note=str(error))
        if price is None:
            return told(usd=None, note="they are not counted (no_budget)")
        dated = "" if options.price is not None or price is FREE else f"at the prices of {table()['read']}"
        return told(usd=price.of(prompt, reply), note=dated)

    def compare(self, pairs: Sequence[Pair]) -> list[Verdict]:
        return [one_verdict([self._verdict(one) for one in replies]) for replies in self._asked(pairs)]

    def grade(self, completions: Sequence[Completion]) -> list[Grade]:
        succeeded = self._protocol.succeeded
        return [one_grade([self._grade(one) for one in replies], succeeded) for replies in self._asked(completions)]

    def _asked(self, asked: Sequence[Completion] | Sequence[Pair]) -> list[list[Judged]]:
        """The replies to each, as many as it is asked times."""
        judged, times = self._all(_questions(asked, self._protocol, self.options)), self.options.repeats
        return [judged[start : start + times] for start in range(0, len(judged), times)]

    def _verdict(self, judged: Judged) -> Verdict:
        if judged.reply is None:
            return Verdict(winner=None, outcome=judged.outcome, reason=judged.detail, usage=judged.usage)
        reply = cast(CompareReply, judged.reply)
        return Verdict(winner=_WINNERS[reply.winner], reason=reply.reason, usage=judged.usage)

    def _grade(self, judged: Judged) -> Grade:
        if judged.reply is None:
            return Grade(score=None, outcome=judged.outcome, reason=judged.detail, usage=judged.usage)
        reply = cast(GradeReply, judged.reply)
        criteria = reply.criteria
        return Grade(
            score=sum(criteria.values()) / len(criteria), success=self._protocol.succeeded(criteria),
            criteria=criteria, reason=reply.reason, usage=judged.usage,
        )  # fmt: skip

    def _all(self, questions: Sequence[Question]) -> list[Judged]:
        if not questions:
            return []
        # Equal questions are asked once: under way at the same time, neither would find the other's reply.
        different = {_content(question): question for question in questions}
        self._tell_cost(list(different.values()))
        answers = dict(zip(different, self._ask_all(list(different.values())), strict=True))
        counted: set[tuple[str, ...]] = set()
        judged = []
        for question in questions:
            content = _content(question)
            # The calls that were made for it count once, however often it was asked.
            judged.append(replace(answers[content], usage={}) if content in counted else answers[content])
            counted.add(content)
        return judged

    def _ask_all(self, questions: Sequence[Question]) -> list[Judged]:
        # The first goes alone: it finds out how this server wants to be asked, and whether it is there at all.
        tally = Tally(
            len(questions), self._context.asked if self._context else unwatched, priced=self._price is not None
        )
        answers = [tally.counted(self._first(questions[0]))]
        pool = ThreadPoolExecutor(self.options.concurrency)
        try:
            return answers + list(pool.map(lambda question: tally.counted(self._desk.ask(question)), questions[1:]))
        finally:
            # After an error, or Ctrl-C, nothing that still waits is sent.
            pool.shutdown(wait=True, cancel_futures=True)

    def _first(self, question: Question) -> Judged:
        """Raises: RLHFError when the server has not answered once, so that the rest would fail one by one."""
        answer = self._desk.ask(question, alone=True)
        self._reached = self._reached or answer.heard
        if not self._reached:
            mend = "" if "429" in answer.detail else "; is the server up, and --base-url right?"
            raise RLHFError(
                f"judge chatgpt: {self._server.url} gave no usable answer in {self.options.max_retries + 1} attempts: "
                f"{answer.detail}{mend}"
            )
        return answer

    def _tell_cost(self, questions: Sequence[Question]) -> None:
        """Once, before the first call: a judge that is a reward asks in every step."""
        if self._context is not None and not self._told:
            self._told = True
            estimate = self._desk.estimate(questions)
            self._context.tell(f"judge chatgpt: {estimate_line(estimate, self.options, self._server.url)}")


def _questions(
    asked: Sequence[Completion] | Sequence[Pair], protocol: Protocol, options: ChatGPTOptions
) -> list[Question]:  # fmt: skip
    """A pair is compared, a completion graded; each as often as it is repeated."""
    limit = options.max_reply_tokens
    once = [
        compare_question(one, protocol, limit) if isinstance(one, Pair) else grade_question(one, protocol, limit)
        for one in asked
    ]
    return [replace(question, repeat=repeat) for question in once for repeat in range(options.repeats)]


def _content(question: Question) -> tuple[str, ...]:
    return (*(message["content"] for message in question.messages), str(question.repeat))


def estimate_line(estimate: Estimate, options: ChatGPTOptions, url: str) -> str:
    kept = f", {estimate.kept} kept from before" if estimate.kept else ""
    line = f"{estimate.calls} calls to {options.model} at {url}{kept}"
    if not estimate.calls:
        return line
    line += f"; about {estimate.prompt_tokens:,} prompt and {estimate.reply_tokens:,} reply tokens"
    if estimate.usd is None:
        return f"{line}; dollars are not counted (no_budget)"
    if not estimate.usd:
        return f"{line}, free"
    limit = "" if options.max_usd is None else f"; the limit is {options.max_usd:g} dollars"
    return f"{line}: about {estimate.usd:.2g} dollars, {estimate.worst_usd:.2g} at the very worst{limit}"

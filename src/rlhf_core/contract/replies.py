"""What a judge keeps of every call: cache and audit log in one. Core lends the store; the judge says what was asked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from .judge import Outcome
from .records import JSON


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call to a judge's server, whatever came of it.

    Args:
        key: :func:`question_key` of everything that can change the reply.
        judge, server, model, protocol: who was asked, and by which version of which prompt.
        request: the full body that was sent: messages, schema, sampling.
        outcome: ``error`` when no usable reply came (it is asked again), else what the reply was (it is kept).
        text: what the model wrote. ``raw``: the whole body of the server's reply. ``detail``: what went wrong.
        prompt_tokens, reply_tokens: as the server counted them; 0 where it did not say.
        usd: what it cost; None where no price is known.
        possibly_usd: the most it can have cost, for a call that was lost after it was sent.
        request_id: the server's own name for it. ``seconds``: how long it took.
    """

    key: str
    judge: str
    server: str
    model: str
    protocol: str
    request: Mapping[str, JSON]
    outcome: Outcome
    text: str = ""
    raw: str = ""
    detail: str = ""
    prompt_tokens: int = 0
    reply_tokens: int = 0
    usd: float | None = None
    possibly_usd: float = 0.0
    request_id: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Spent:
    """Sums over calls."""

    calls: int = 0
    prompt_tokens: int = 0
    reply_tokens: int = 0
    usd: float = 0.0
    possibly_usd: float = 0.0
    outcomes: Mapping[str, int] = field(default_factory=dict)


class ReplyStore(Protocol):
    """Safe to use from several threads and processes. What :meth:`add` returned from is on the disk."""

    def find(self, key: str) -> Call | None:
        """The last call of that key that brought a reply; None when it has to be asked."""

    def add(self, call: Call) -> None: ...

    def spent(self) -> Spent:
        """Over all calls ever kept."""

    def recall(self, name: str) -> JSON:
        """What was remembered under a name (how a server wants to be asked); None where nothing was."""

    def remember(self, name: str, value: JSON) -> None: ...


class KeptInMemory:
    """A store that is gone with the process: for judges that are asked outside a run, and for tests."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self._remembered: dict[str, JSON] = {}

    def find(self, key: str) -> Call | None:
        return next((call for call in reversed(self.calls) if call.key == key and call.outcome != "error"), None)

    def add(self, call: Call) -> None:
        self.calls.append(call)

    def spent(self) -> Spent:
        return add_up(self.calls)

    def recall(self, name: str) -> JSON:
        return self._remembered.get(name)

    def remember(self, name: str, value: JSON) -> None:
        self._remembered[name] = value


def add_up(calls: list[Call]) -> Spent:
    outcomes: dict[str, int] = {}
    for call in calls:
        outcomes[call.outcome] = outcomes.get(call.outcome, 0) + 1
    return Spent(
        calls=len(calls),
        prompt_tokens=sum(call.prompt_tokens for call in calls),
        reply_tokens=sum(call.reply_tokens for call in calls),
        usd=sum(call.usd or 0.0 for call in calls),
        possibly_usd=sum(call.possibly_usd for call in calls),
        outcomes=outcomes,
    )


def question_key(question: Mapping[str, JSON]) -> str:
    """sha256 of a question as canonical JSON: the same in every process."""
    canonical = json.dumps(question, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()

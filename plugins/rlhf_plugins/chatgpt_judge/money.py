"""What questions cost: prices per token, the estimate before anything is sent, and a limit that is never passed."""

from __future__ import annotations

import ipaddress
import json
import os
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final
from urllib.parse import urlsplit

from rlhf_core.contract.errors import RLHFError

from .options import ChatGPTOptions
from .prompts import Messages

_MILLION: Final = 1e6
_OVERHEAD: Final = 64
"""Tokens that a request has beside its text: roles, and the schema of the reply."""
_DATED: Final = re.compile(r"-\d{4}-\d{2}-\d{2}$")


@dataclass(frozen=True)
class Price:
    """Dollars per million tokens."""

    prompt: float
    reply: float

    def of(self, prompt_tokens: float, reply_tokens: float) -> float:
        return (self.prompt * prompt_tokens + self.reply * reply_tokens) / _MILLION


FREE: Final = Price(0.0, 0.0)


def find_price(options: ChatGPTOptions, url: str, *, own_server: bool) -> Price | None:
    """What the user says, else nothing for a server on this machine, else the table's; None with ``no_budget``.

    Args:
        own_server: whether ``url`` is OpenAI's own: the table's prices are those that it takes.
    Raises: RLHFError where no price is known.
    """
    if options.price is not None:
        return Price(options.price.prompt, options.price.reply)
    if _is_local(url):
        return FREE
    found = table()["models"].get(_DATED.sub("", options.model)) if own_server else None
    if found is not None:
        return Price(*found)
    if options.no_budget:
        return None
    raise RLHFError(
        f"judge chatgpt: no price is known for model {options.model!r} at {url}; "
        "give dollars per million tokens (--set 'judge.price={prompt: 0.5, reply: 2}'), or do without: --no-budget"
    )


def table() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(files(__package__).joinpath("prices.json").read_text("utf-8"))
    return found


def likely_tokens(messages: Messages) -> float:
    """An estimate for English text: four characters a token."""
    return sum(len(message["content"]) for message in messages) / 4 + _OVERHEAD


def most_tokens(request: Mapping[str, Any]) -> float:
    """A bound on a request's prompt, the schema of its reply included: no tokenizer in use makes more tokens than there
    are bytes."""
    return float(len(json.dumps(request, ensure_ascii=False).encode()) + _OVERHEAD)


class Budget:
    """Dollars spent, and those that calls under way may cost. Safe to use from several threads.

    Args:
        most: the limit; None for none. What cannot be told from a charge (a reply that was lost) counts as charged.
        shared_by: processes that ask at once, each of which gets an equal part of it: none knows what others spend.
    """

    def __init__(self, most: float | None, *, shared_by: int = 1) -> None:
        self.most = None if most is None else most / shared_by
        self._whose = "max_usd" if shared_by == 1 else f"max_usd, shared by {shared_by} processes"
        self.spent = 0.0
        self.possibly = 0.0
        self._reserved = 0.0
        self._changed = threading.Condition()

    @contextmanager
    def reserved(self, worst: float) -> Iterator[Charge]:
        """Hold back the most that a call can cost while it is under way.

        Raises: RLHFError when spending it could pass the limit, even after the calls under way have ended.
        """
        with self._changed:
            while self.most is not None and self._committed() + worst > self.most:
                if not self._reserved:
                    raise RLHFError(self._refusal(worst))
                self._changed.wait()
            self._reserved += worst
        charge = Charge()
        try:
            yield charge
        finally:
            with self._changed:
                self._reserved -= worst
                if not self._reserved > 1e-15:
                    self._reserved = 0.0
                self.spent += charge.usd
                self.possibly += charge.possibly_usd
                self._changed.notify_all()

    def _committed(self) -> float:
        return self.spent + self.possibly + self._reserved

    def _refusal(self, worst: float) -> str:
        lost = f" and {self.possibly:.4f} possibly charged for lost replies" if self.possibly else ""
        return (
            f"judge chatgpt: stopped at the limit of {self.most:g} dollars ({self._whose}): {self.spent:.4f} "
            f"spent{lost}, and the next call may cost {worst:.4f}. Every reply so far is kept: raise --max-usd and run "
            "the same command again; only what is missing is asked"
        )


def processes() -> int:
    """How many train together with this one, as their launcher tells them."""
    return int(os.environ.get("WORLD_SIZE") or 1)


@dataclass
class Charge:
    """What a call came to; set before the reservation ends."""

    usd: float = 0.0
    possibly_usd: float = 0.0


def _is_local(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")

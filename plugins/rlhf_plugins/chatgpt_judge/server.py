"""One question to an OpenAI-compatible server: retries, and the manner in which this server wants to be asked."""

from __future__ import annotations

import json
import os
import random
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

import openai

from rlhf_core.contract.errors import RLHFError
from rlhf_core.contract.judge import Outcome

from .options import ChatGPTOptions
from .prompts import Messages
from .replies import ReplyModel, json_schema

FIRST_PAUSE = 0.5
"""Seconds before the first repetition where the server does not say; then twice as long each time."""

_LONGEST_GUESS, _LONGEST_PAUSE = 8.0, 60.0
_LADDER: Final[Mapping[str, Literal["json_object", "text"]]] = {"json_schema": "json_object", "json_object": "text"}


@dataclass(frozen=True, kw_only=True)
class Manner:
    """What the server is asked with. A 400 takes one thing away, for all further questions."""

    format: Literal["json_schema", "json_object", "text"] = "json_schema"
    limit: Literal["max_completion_tokens", "max_tokens"] = "max_completion_tokens"
    temperature: bool = True


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One reply. ``text`` is what the model wrote when ``outcome`` is ``valid``; else ``detail`` says what happened."""

    text: str = ""
    outcome: Outcome = "valid"
    detail: str = ""
    usage: Mapping[str, float] = field(default_factory=dict)


class _Broken(Exception):
    """A reply with status 200 that is not a chat completion."""


class Server:
    """Safe to use from several threads. The key is held by the client alone, and cut out of every message."""

    def __init__(self, options: ChatGPTOptions) -> None:
        base_url = options.base_url or os.environ.get("OPENAI_BASE_URL") or None
        self._key = _key(options, base_url)
        self.options = options
        # Retries are our own: the client's would repeat an exhausted quota as if it were a busy server.
        self._client = openai.OpenAI(api_key=self._key, base_url=base_url, timeout=options.timeout, max_retries=0)
        self.url = str(self._client.base_url)
        self.manner = Manner()
        self._proven: set[tuple[Manner, str]] = set()
        self._lock = threading.Lock()

    def ask(self, messages: Messages, shape: type[ReplyModel], max_tokens: int) -> Answer:
        """The reply, or outcome ``error`` when it failed ``max_retries`` + 1 times.

        Raises: RLHFError for what no retry mends: a refused key, an unknown model, a used-up quota.
        """
        attempt = 0
        while True:
            manner = self.manner
            try:
                answer = self._call(manner, messages, shape, max_tokens)
                self._proven.add((manner, shape.schema_name))
                return answer
            except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
                refusal = self._not_our_manner(error, manner, shape)
                if refusal is not None:
                    return refusal
                self._adapt(manner, error)
            except (openai.APIError, _Broken) as error:
                self._require_transient(error)
                if attempt == self.options.max_retries:
                    return Answer(outcome="error", detail=self._line(error))
                time.sleep(_pause(attempt, error))
                attempt += 1

    def _call(self, manner: Manner, messages: Messages, shape: type[ReplyModel], max_tokens: int) -> Answer:
        request: dict[str, Any] = {"model": self.options.model, "messages": messages, manner.limit: max_tokens}
        if manner.temperature:
            request["temperature"] = self.options.temperature
        if manner.format == "json_schema":
            schema = {"name": shape.schema_name, "strict": True, "schema": json_schema(shape)}
            request["response_format"] = {"type": "json_schema", "json_schema": schema}
        elif manner.format == "json_object":
            request["response_format"] = {"type": "json_object"}
        # Raw: the client's own reading raises bare JSON errors, and takes any 200 for a completion.
        return read(self._client.chat.completions.with_raw_response.create(**request).http_response.text)

    def _not_our_manner(self, error: openai.APIStatusError, manner: Manner, shape: type[ReplyModel]) -> Answer | None:
        """The answer to a 400 that is about this question; None when it may be about the way of asking."""
        if error.code in ("content_filter", "content_policy_violation"):
            return Answer(outcome="refused", detail=self._line(error))
        if error.code == "context_length_exceeded" or (manner, shape.schema_name) in self._proven:
            return Answer(outcome="error", detail=self._line(error))
        return None

    def _adapt(self, manner: Manner, error: openai.APIStatusError) -> None:
        """Take away what the server refuses, once and for all. Raises: RLHFError when nothing is left to take away."""
        said = f"{error.param} {error.message}".lower()
        if manner.temperature and "temperature" in said:
            changed = replace(manner, temperature=False)
        elif manner.limit == "max_completion_tokens" and "max_completion_tokens" in said:
            changed = replace(manner, limit="max_tokens")
        elif manner.format in _LADDER:
            changed = replace(manner, format=_LADDER[manner.format])
        else:
            raise RLHFError(f"judge chatgpt: {self.url} refuses the question: {self._line(error)}") from None
        with self._lock:
            if self.manner == manner:
                self.manner = changed

    def _require_transient(self, error: openai.APIError | _Broken) -> None:
        """Raises: RLHFError for an error that asking again cannot mend."""
        if isinstance(error, _Broken | openai.APIConnectionError):
            return
        where, key = f"judge chatgpt: {self.url}", self.options.api_key_env
        status = getattr(error, "status_code", 0)
        if status in (401, 403):
            raise RLHFError(
                f"{where} refuses the key in {key} (status {status}); set {key} to a key that is valid there"
            )
        if status == 404:
            raise RLHFError(
                f"{where} knows no model {self.options.model!r} (status 404), or --base-url is wrong"
            ) from None
        if "insufficient_quota" in (error.code, error.type):
            raise RLHFError(
                f"{where}: the quota of the key in {key} is used up; add credit, or use another server"
            ) from None
        if status not in (408, 409, 429) and status < 500:
            raise RLHFError(f"{where} refuses the question: {self._line(error)}") from None

    def _line(self, error: Exception) -> str:
        """One short line without the key."""
        line = " ".join(str(error).split()) or type(error).__name__
        return line.replace(self._key, "***")[:300]


def read(body: str) -> Answer:
    """A chat completion's JSON as an answer. Raises: _Broken when it is none."""
    try:
        found = json.loads(body)
        choice = found["choices"][0]
        message, finish = choice["message"], choice.get("finish_reason")
        text, refusal = message.get("content"), message.get("refusal")
    except (json.JSONDecodeError, LookupError, TypeError, AttributeError) as error:
        raise _Broken("the server's reply is not a chat completion") from error
    usage = _usage(found.get("usage"))
    if refusal or finish == "content_filter":
        return Answer(outcome="refused", detail=str(refusal or "content filter"), usage=usage)
    if finish == "length":
        return Answer(outcome="truncated", detail="the reply reached its length limit", usage=usage)
    return Answer(text=text if isinstance(text, str) else "", usage=usage)


def _usage(found: object) -> dict[str, float]:
    counted = found if isinstance(found, dict) else {}
    amounts = {name: counted.get(name) for name in ("prompt_tokens", "completion_tokens")}
    return {"calls": 1.0, **{name: float(n) for name, n in amounts.items() if isinstance(n, int | float)}}


def _pause(attempt: int, error: Exception) -> float:
    """Seconds before the next attempt: what the server asks for, else 0.5, 1, 2 … 8, scattered so that threads part."""
    response = getattr(error, "response", None)
    asked = response.headers.get("retry-after", "") if response is not None else ""
    try:
        return min(max(float(asked), 0.0), _LONGEST_PAUSE)
    except ValueError:
        return float(min(FIRST_PAUSE * 2**attempt, _LONGEST_GUESS) * random.uniform(0.75, 1.25))


def _key(options: ChatGPTOptions, base_url: str | None) -> str:
    """Raises: RLHFError when there is neither a key nor a server that may do without."""
    key = os.environ.get(options.api_key_env, "").strip()
    if key:
        return key
    if base_url is None:
        raise RLHFError(
            f"judge chatgpt: the environment variable {options.api_key_env} is not set; "
            "set it to your key, or name a local server, which needs none: --base-url http://localhost:8080/v1"
        )
    return "no-key"

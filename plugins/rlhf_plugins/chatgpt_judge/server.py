"""One call to an OpenAI-compatible server, and what an answer or an error of it means."""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, Literal

import openai

from rlhf_core.contract.errors import RLHFError
from rlhf_core.contract.judge import Outcome

from .options import NO_ADDRESS, ChatGPTOptions, is_address
from .prompts import Question
from .replies import json_schema

FIRST_PAUSE = 0.5
"""Seconds before the first repetition where the server does not say; then twice as long each time."""

_LONGEST_GUESS, _LONGEST_PAUSE = 8.0, 60.0
_LADDER: Final[Mapping[str, Literal["json_object", "text"]]] = {"json_schema": "json_object", "json_object": "text"}
OWN_HOST: Final = "https://api.openai.com/"


@dataclass(frozen=True, kw_only=True)
class Manner:
    """How a server and a model want to be asked. What it refuses is taken away, once and for all questions."""

    format: Literal["json_schema", "json_object", "text"] = "json_schema"
    limit: Literal["max_completion_tokens", "max_tokens"] = "max_completion_tokens"
    temperature: bool = True
    seed: bool = True

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def one_step_down(self) -> Manner | None:
        """The next format of the ladder; None at its end."""
        return replace(self, format=_LADDER[self.format]) if self.format in _LADDER else None


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One reply. ``text`` is what the model wrote; where ``outcome`` is not ``valid``, ``detail`` says what happened.

    Args:
        raw: the body as it came. ``request_id``: the server's name for the call.
    """

    text: str = ""
    outcome: Outcome = "valid"
    detail: str = ""
    raw: str = ""
    prompt_tokens: int = 0
    reply_tokens: int = 0
    request_id: str = ""


def address(options: ChatGPTOptions) -> str | None:
    """Where the server is that is to be asked; None for OpenAI's own. Raises: RLHFError where it is no address."""
    found = options.base_url or os.environ.get("OPENAI_BASE_URL") or None
    if found is not None and not is_address(found):
        raise RLHFError(f"judge chatgpt: OPENAI_BASE_URL = {found!r}: {NO_ADDRESS}")
    return found


class Broken(Exception):
    """A reply with status 200 that is not a chat completion: it was made, and lost."""


class Server:
    """Safe to use from several threads. The key is held by the client alone, and cut out of every message.

    Attributes:
        own: whether it is OpenAI's own server.
    """

    def __init__(self, options: ChatGPTOptions) -> None:
        base_url = address(options)
        self._key = _key(options, base_url)
        self.options = options
        # Retries are our own: the client's would repeat an exhausted quota as if it were a busy server.
        self._client = openai.OpenAI(api_key=self._key, base_url=base_url, timeout=options.timeout, max_retries=0)
        self.url = str(self._client.base_url)
        self.own = self.url.startswith(OWN_HOST)

    def request(self, manner: Manner, question: Question) -> dict[str, Any]:
        """The whole body: everything in it can change the reply."""
        body: dict[str, Any] = {
            "model": self.options.model, "messages": question.messages, manner.limit: question.limit,
        }  # fmt: skip
        if manner.temperature:
            body["temperature"] = self.options.temperature
        if manner.seed and self.options.seed is not None:
            body["seed"] = self.options.seed + question.repeat
        if manner.format == "json_schema":
            schema = json_schema(question.shape, ticket=None if self.own else question.ticket)
            named = {"name": question.shape.schema_name, "strict": True, "schema": schema}
            body["response_format"] = {"type": "json_schema", "json_schema": named}
        elif manner.format == "json_object":
            body["response_format"] = {"type": "json_object"}
        return body

    def send(self, request: Mapping[str, Any], *, idempotency_key: str) -> Answer:
        """One attempt. Raises: openai.APIError, or Broken."""
        # Raw: the client's own reading raises bare JSON errors, and takes any 200 for a completion.
        response = self._client.chat.completions.with_raw_response.create(
            **request, extra_headers={"Idempotency-Key": idempotency_key}
        )
        return replace(read(response.http_response.text), request_id=response.headers.get("x-request-id", ""))

    def about_the_question(self, error: openai.APIStatusError) -> Answer | None:
        """The answer that a 400 is, when it is about this question; None when it is about the way of asking."""
        if error.code in ("content_filter", "content_policy_violation"):
            return Answer(outcome="refused", detail=self.line(error))
        if error.code == "context_length_exceeded":
            return Answer(outcome="error", detail=self.line(error))
        return None

    def without_what_it_refuses(self, manner: Manner, error: openai.APIStatusError) -> Manner:
        """Raises: RLHFError when nothing is left to take away."""
        said = f"{error.param} {told(error)}".lower()
        if manner.temperature and "temperature" in said:
            return replace(manner, temperature=False)
        if manner.seed and "seed" in said:
            return replace(manner, seed=False)
        if manner.limit == "max_completion_tokens" and "max_completion_tokens" in said:
            return replace(manner, limit="max_tokens")
        lower = manner.one_step_down()
        if lower is None:
            raise RLHFError(f"judge chatgpt: {self.url} refuses the question: {self.line(error)}") from None
        return lower

    def require_transient(self, error: openai.APIError | Broken) -> None:
        """Raises: RLHFError for an error that asking again cannot mend."""
        if isinstance(error, Broken | openai.APIConnectionError):
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
            raise RLHFError(f"{where} refuses the question: {self.line(error)}") from None

    def line(self, error: Exception) -> str:
        """One short line without the key."""
        line = " ".join(told(error).split()) or type(error).__name__
        return line.replace(self._key, "***")[:300]


def told(error: Exception) -> str:
    """What went wrong, in the server's words whatever the shape of its error, or the network's."""
    message = str(error).rstrip(".")
    if isinstance(error, openai.APIStatusError):
        body = error.response.text
        # Of errors that are not in OpenAI's shape the client keeps the status alone.
        return message if " - " in message or not body else f"{message} - {body}"
    return f"{message}: {error.__cause__}" if error.__cause__ is not None else message


def read(body: str) -> Answer:
    """A chat completion's JSON as an answer. Raises: Broken when it is none."""
    try:
        found = json.loads(body)
        choice = found["choices"][0]
        message, finish = choice["message"], choice.get("finish_reason")
        text, refusal = message.get("content"), message.get("refusal")
    except (json.JSONDecodeError, LookupError, TypeError, AttributeError) as error:
        raise Broken("the server's reply is not a chat completion") from error
    prompt_tokens, reply_tokens = _counted(found.get("usage"))
    answer = Answer(raw=body, prompt_tokens=prompt_tokens, reply_tokens=reply_tokens)
    if refusal or finish == "content_filter":
        return replace(answer, outcome="refused", detail=str(refusal or "content filter"))
    if finish == "length":
        answer = replace(answer, outcome="truncated", detail="the reply reached its length limit")
    return replace(answer, text=text if isinstance(text, str) else "")


def may_have_been_charged(error: Exception) -> bool:
    """Whether the server may have made a reply that never arrived. A connection that failed sent nothing."""
    return isinstance(error, Broken) or (isinstance(error, openai.APIConnectionError) and not _never_connected(error))


def pause(attempt: int, error: Exception) -> None:
    """Wait before the next attempt: as long as the server asks for, else 0.5, 1, 2 … 8 s, scattered so that threads
    part."""
    response = getattr(error, "response", None)
    asked = _seconds(response.headers.get("retry-after", "")) if response is not None else None
    guess = min(FIRST_PAUSE * 2**attempt, _LONGEST_GUESS) * random.uniform(0.75, 1.25)
    time.sleep(guess if asked is None else min(max(asked, 0.0), _LONGEST_PAUSE))


def _seconds(retry_after: str) -> float | None:
    """Of a Retry-After header: a number, or a date (RFC 9110, sec. 10.2.3); None where it is neither."""
    try:
        return float(retry_after)
    except ValueError:
        pass
    try:
        return (parsedate_to_datetime(retry_after) - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError):
        return None


def _never_connected(error: openai.APIConnectionError) -> bool:
    return type(error.__cause__).__name__ in ("ConnectError", "ConnectTimeout", "UnsupportedProtocol")


def _counted(found: object) -> tuple[int, int]:
    counted = found if isinstance(found, dict) else {}
    prompt, reply = (counted.get(name) for name in ("prompt_tokens", "completion_tokens"))
    return (
        int(prompt) if isinstance(prompt, int | float) else 0,
        int(reply) if isinstance(reply, int | float) else 0,
    )


def _key(options: ChatGPTOptions, base_url: str | None) -> str:
    """Raises: RLHFError when there is neither a key nor a server that may do without."""
    key = os.environ.get(options.api_key_env, "").strip()
    if not (key.isascii() and key.isprintable()):
        raise RLHFError(
            f"judge chatgpt: {options.api_key_env} holds a character that no key has (a typographic quote, a line "
            "break?); copy the key again"
        )
    if key:
        return key
    if base_url is None:
        raise RLHFError(
            f"judge chatgpt: the environment variable {options.api_key_env} is not set; "
            "set it to your key, or name a local server, which needs none: --base-url http://localhost:8080/v1"
        )
    return "no-key"

"""Options of the ``chatgpt`` judge."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from rlhf_core.contract.options import Options


class ChatGPTOptions(Options):
    model: str = "gpt-5.4-mini"
    """Name of the model at the server."""

    base_url: str | None = None
    """Any OpenAI-compatible server, such as `http://localhost:8080/v1`; without it OpenAI's own."""

    api_key_env: str = "OPENAI_API_KEY"
    """Environment variable that holds the key. Only this name is ever stored. It is sent to `base_url` where both are
    given; a server that needs no key needs no variable."""

    mode: Literal["auto", "compare", "grade"] = "auto"
    """`compare` two completions, `grade` one, or `auto`: compare where there is a baseline, else grade."""

    temperature: float = Field(0.0, ge=0)
    """Sampling temperature of the judge; left out for models that refuse it."""

    max_reply_tokens: int = Field(2000, gt=0)
    """Limit of a reply, hidden reasoning included."""

    max_retries: int = Field(4, ge=0)
    """How often a call is repeated after 429, 5xx, a time-out or a broken connection, with growing pauses."""

    timeout: float = Field(60.0, gt=0)
    """Seconds to wait for one reply."""

    concurrency: int = Field(4, ge=1, le=64)
    """Calls under way at once."""

"""Options of the ``chatgpt`` judge."""

from __future__ import annotations

import re
from typing import Final, Literal

from pydantic import Field, field_validator, model_validator

from rlhf_core.contract.options import Options

NO_ADDRESS: Final = "must be an address such as http://localhost:8080/v1"


def is_address(url: str) -> bool:
    return re.match(r"https?://[^/\s]+", url) is not None


class PriceOptions(Options):
    prompt: float = Field(ge=0)
    """Dollars per million prompt tokens."""

    reply: float = Field(ge=0)
    """Dollars per million reply tokens."""


class ChatGPTOptions(Options):
    model: str = "gpt-5.4-mini"
    """Name of the model at the server."""

    protocol: str = "pun"
    """What is judged and how: `pun`, `general`, or a file of your own (copy a bundled one)."""

    base_url: str | None = None
    """Any OpenAI-compatible server, such as `http://localhost:8080/v1`; without it OpenAI's own."""

    api_key_env: str = "OPENAI_API_KEY"
    """Environment variable that holds the key. Only this name is ever stored. It is sent to `base_url` where both are
    given; a server that needs no key needs no variable."""

    mode: Literal["auto", "compare", "grade"] = "auto"
    """`compare` two completions, `grade` one, or `auto`: compare where there is a baseline, else grade."""

    temperature: float = Field(0.0, ge=0)
    """Sampling temperature of the judge; left out for models that refuse it."""

    seed: int | None = 0
    """Sampling seed of the judge, as far as the server knows one; left out for models that refuse it."""

    repeats: int = Field(1, ge=1)
    """How often each question is asked, each time with another seed: verdicts go by most replies, grades by their mean,
    and `self-consistency` tells how far the replies agree. Needs a temperature."""

    max_reply_tokens: int = Field(2000, gt=0)
    """Limit of a reply, hidden reasoning included."""

    max_usd: float | None = Field(None, gt=0)
    """Dollars that this command may spend at most. Each call is sent only if even its worst case stays below; of
    several processes (`--procs`) each may spend an equal part."""

    price: PriceOptions | None = None
    """What the server takes, where it is not in the table of known prices: `{prompt: 0.5, reply: 2}`."""

    no_budget: bool = False
    """Ask a model whose price is not known without counting dollars."""

    replies: str | None = None
    """File of all replies, so that none is asked for twice; by default one for all runs."""

    max_retries: int = Field(4, ge=0)
    """How often a call is repeated after 429, 5xx, a time-out or a broken connection, with growing pauses."""

    timeout: float = Field(60.0, gt=0)
    """Seconds to wait for one reply."""

    concurrency: int = Field(4, ge=1, le=64)
    """Calls under way at once. The result does not depend on it."""

    @field_validator("base_url")
    @classmethod
    def _is_an_address(cls, url: str | None) -> str | None:
        if url is not None and not is_address(url):
            raise ValueError(NO_ADDRESS)
        return url

    @model_validator(mode="after")
    def _repeats_differ(self) -> ChatGPTOptions:
        if self.repeats > 1 and self.temperature == 0:
            raise ValueError(
                f"repeats = {self.repeats} at temperature 0 asks for one and the same reply; set temperature, such as 1"
            )
        return self

    @model_validator(mode="after")
    def _budget_is_one_thing(self) -> ChatGPTOptions:
        if self.no_budget and self.max_usd is not None:
            raise ValueError("max_usd and no_budget exclude each other: a limit needs a price")
        return self

"""What a data source holds, before any token: one class per shape of supervision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

JSON: TypeAlias = "bool | int | float | str | list[JSON] | dict[str, JSON] | None"


@dataclass(frozen=True)
class Message:
    """One turn of a chat. ``role`` is ``system``, ``user`` or ``assistant``."""

    role: str
    content: str


Prompt: TypeAlias = str | tuple[Message, ...]


@dataclass(frozen=True, kw_only=True)
class Record:
    """One row of a source.

    Args:
        id: unique and stable within a data set: ``"pairs.jsonl:7"`` (file and 1-based row) unless the source has ids.
        fields: every column of the row as it was read, for rewards, evaluators and messages.
    """

    id: str
    fields: Mapping[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class PromptRecord(Record):
    """A prompt to be answered: online trainers and evaluation."""

    prompt: Prompt


@dataclass(frozen=True, kw_only=True)
class Demonstration(PromptRecord):
    """A prompt and the completion to imitate: supervised fine-tuning."""

    completion: str


@dataclass(frozen=True, kw_only=True)
class Preference(PromptRecord):
    """A prompt and two completions, the first preferred. ``margin`` (reward units) states by how much, where known."""

    chosen: str
    rejected: str
    margin: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Labelled(Record):
    """A text and its class, for a reward model in two-class mode."""

    text: str
    label: str


@dataclass(frozen=True, kw_only=True)
class Text(Record):
    """Running text, for pretraining."""

    text: str


def prompt_text(prompt: Prompt) -> str:
    """The prompt as one plain string, for people, rewards and judges: a chat's turns, one per line, named."""
    if isinstance(prompt, str):
        return prompt
    if len(prompt) == 1:
        return prompt[0].content
    return "\n".join(f"{message.role}: {message.content}" for message in prompt)

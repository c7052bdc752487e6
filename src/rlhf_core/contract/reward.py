"""Reward sources: a number per completion."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from .policy import Policy
from .records import JSON, Prompt
from .rows import Tokens

if TYPE_CHECKING:
    from .judge import Judge


@dataclass(frozen=True, kw_only=True)
class Completion:
    """One completion as a reward, evaluator or judge sees it: text first, tokens where they exist.

    Args:
        prompt, text: plain strings (a chat prompt is rendered with its roles).
        group: completions of the same prompt share it (the record's id); statistics are clustered by it.
        record: every column of the record the prompt came from.
        tokens: as sampled by the policy; None for text from elsewhere. Another model's tokens may differ.
        finished: whether it ended by itself (EOS) rather than at the length limit.
        turns: the prompt as its record holds it, where it is a chat: for models with a template of their own.
    """

    prompt: str
    text: str
    group: str = ""
    record: Mapping[str, JSON] = field(default_factory=dict)
    tokens: Tokens | None = None
    finished: bool = True
    turns: Prompt | None = None

    @property
    def conversation(self) -> Prompt:
        """What a codec is to encode: the chat's turns, or the plain prompt."""
        return self.prompt if self.turns is None else self.turns


@dataclass(frozen=True)
class Scores:
    """``total[i]`` is the score of completion i; ``parts`` names what it is composed of, each of the same length."""

    total: Sequence[float]
    parts: Mapping[str, Sequence[float]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class RewardContext:
    """What core lends a reward source.

    Args:
        open_policy: a run folder (or model folder) as a frozen policy, with its own tokenizer, template and heads.
        build_reward: another reward source from its recipe section, prepared (for sums of rewards).
        build_judge: a judge by its recipe section (``{"judge": name, …options}``).
        folder: relative paths in options are relative to this folder (the recipe's, or the working directory).
    """

    open_policy: Callable[[str], Policy]
    build_reward: Callable[[Mapping[str, JSON]], RewardSource]
    build_judge: Callable[[Mapping[str, JSON]], Judge]
    folder: str = "."


class RewardSource(Protocol):
    """Scores completions. A plain list of floats is accepted in place of :class:`Scores`."""

    def prepare(self, context: RewardContext) -> None: ...

    def score(self, completions: Sequence[Completion]) -> Scores | Sequence[float]: ...


class Reward:
    """Base with the usual defaults: a reward is then one method, ``score``."""

    def prepare(self, context: RewardContext) -> None:
        """Nothing to load."""

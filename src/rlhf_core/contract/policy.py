"""What a trainer, reward or evaluator sees of the model: roles on one trunk. Core has the one implementation."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from .rows import Codec, Comparison, Rollout, Row, Scored

if TYPE_CHECKING:
    import torch
    from torch.nn import Parameter

Output = Literal["logprobs", "values", "entropy", "last"]
Precision = Literal["full", "int8"]
Params: TypeAlias = "Sequence[Parameter]"


@dataclass(frozen=True, kw_only=True)
class SamplingSpec:
    """How completions are drawn. The scorer takes the same ``temperature``, so that logprobs are of one distribution.

    Args:
        max_new_tokens: length limit, EOS included.
        stop: a completion ends with the token that completes one of these strings, and keeps it.
        temperature: divides the logits; 0 takes the likeliest token.
        top_k, top_p: truncate the distribution before drawing; None leaves it whole. Rollouts that are trained on
            are never truncated (their logprobs would be of another distribution than the loss's).
        n: completions per prompt.
        precision: ``"int8"`` draws with the weights rounded to 8 bits (float32 models on a CPU; others as they are).
            Logprobs are those of what was drawn from, so they differ a little from what scoring finds.
    """

    max_new_tokens: int
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    n: int = 1
    precision: Precision = "full"
    stop: tuple[str, ...] = ()


class Policy(Protocol):
    """One trunk (transformer), several roles. A role is an adapter, the bare trunk, or a frozen copy of it.

    ``"policy"`` is trained; ``"reference"`` is the stage's starting policy, always frozen; ``"value"`` and
    ``"reward"`` exist once added. Every method runs in the precision and on the device of the trunk.
    """

    codec: Codec
    context_length: int
    device: torch.device

    def train_role(self, role: str) -> Params:
        """Make a role trainable and return its parameters: its adapter under LoRA, the trunk under full fine-tuning.

        ``"policy"`` exists from the start. Any other role (``"value"``, ``"reward"``) is created as a fresh copy of
        the starting policy: an adapter of its own, or a network of its own under full fine-tuning.
        """

    def add_head(self, name: str, *, outputs: int = 1) -> Params:
        """A linear head on the last hidden state, zero-initialised, trained; returns its parameters."""

    def score(
        self,
        rows: Sequence[Row],
        role: str = "policy",
        *,
        want: Set[Output] = frozenset({"logprobs"}),
        head: str = "value",
        temperature: float = 1.0,
    ) -> Scored:
        """One forward pass over all completions of ``rows``. Builds a graph unless grad is off; then the pass may be
        taken in parts, so that memory does not grow with the number of rows.

        ``values`` and ``last`` come from ``head``. Dropout acts only inside a graph and only if the trainer allows it.
        """

    def sample(self, rows: Sequence[Row], spec: SamplingSpec, *, seed: int, role: str = "policy") -> list[Rollout]:
        """``spec.n`` completions per row. The draw depends on (seed, record_id, sample index), not on batching."""

    def compare(
        self,
        rows: Sequence[Row],
        role: str = "policy",
        other: str = "reference",
        *,
        want: Set[Output] = frozenset({"logprobs"}),
        head: str = "value",
        temperature: float = 1.0,
        positions: int | None = None,
        seed: int = 0,
    ) -> Comparison:
        """Scores of both roles (``want`` of the first, logprobs of the other) and the exact KL between them.

        A measurement: no graph is built. The KL is over the vocabulary, at completion positions, and comes from the
        same two forward passes as the scores.

        Args:
            temperature: of both distributions.
            positions: measure the KL at so many positions of each completion only, drawn without replacement by (seed,
                record_id, completion), not by batching. Each then stands for length / positions of them, the others
                are zero: a completion's sum is an unbiased estimate of its sum over all positions. None takes all.
        """

"""Records as tokens: the unit of shuffling, micro-batching and checkpointing; and what a loss gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeAlias, TypeVar

from .records import Prompt, Record

if TYPE_CHECKING:
    from torch import Tensor

Tokens: TypeAlias = tuple[int, ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class Row:
    """A prompt and the completions that share it.

    Trainers subclass it to carry what ``collect`` worked out (reference logprobs, advantages …). Fields hold tensors,
    numbers, strings, booleans and tuples of tensors only, so that a stranger's rows are saved without code.

    Args:
        record_id: the record it came from.
        prompt: at least one token (BOS where the prompt is empty).
        completions: none for a bare prompt, one for a demonstration or rollout, two for a pair (chosen first), n for
            a group. Each ends with EOS unless it was cut at its length limit.
    """

    record_id: str
    prompt: Tokens
    completions: tuple[Tokens, ...] = ()

    @property
    def cost(self) -> int:
        """Tokens that a forward pass computes: the shared prompt once, each completion once."""
        return len(self.prompt) + sum(map(len, self.completions))


@dataclass(frozen=True, eq=False, kw_only=True)
class PairRow(Row):
    """Completions are (chosen, rejected)."""

    margin: float = 0.0


@dataclass(frozen=True, eq=False, kw_only=True)
class LabelledRow(Row):
    """One completion, the text, and the index of its class in the sorted list of labels."""

    label: int


@dataclass(frozen=True, eq=False, kw_only=True)
class Rollout(Row):
    """A row whose completions were just sampled.

    Args:
        logprobs: per completion, float32 ``[tokens]``: of each token under the distribution it was sampled from.
        finished: per completion, whether it ended by itself (EOS, a stop string) rather than at the length limit.
    """

    logprobs: tuple[Tensor, ...]
    finished: tuple[bool, ...]


RowT = TypeVar("RowT", bound=Row)


@dataclass(frozen=True)
class Totals:
    """Counts over the whole minibatch and all ranks. A loss divides by these, never by a micro-batch's own counts."""

    rows: float
    completions: float
    tokens: float


@dataclass(frozen=True)
class Loss:
    """A micro-batch's share of the minibatch loss.

    Args:
        total: scalar, already divided by a count of :class:`Totals`: the engine sums micro-batches and ranks.
        metrics: scalars divided in the same way, to be summed in the same way.
        per_row: ``[rows]``, what ``total`` would be of each row alone, where that means something: the report then
            shows how the held-out loss is spread. Nothing is trained by it.
    """

    total: Tensor
    metrics: Mapping[str, Tensor] = field(default_factory=dict)
    per_row: Tensor | None = None


class Scored:
    """What one forward pass says of K completions, right-padded to the longest (C tokens).

    Completions are in row order, each row's in its own order. ``mask`` is the only mask there is: True at a real
    completion token, its EOS included. Padding positions hold zeros. Reading an output that was not asked for raises.

    Args:
        mask: bool ``[K, C]``.
        logprobs: ``[K, C]``, nats, of each completion token given all before it.
        values: ``[K, C]``, the head's output at the position that predicts the token.
        entropy: ``[K, C]``, nats, of the distribution that the token was drawn from.
        last: ``[K]`` (``[K, n]`` for a head of n outputs), the head's output at the completion's last real token.

    Attributes:
        outputs: all of them by name, None where one was not asked for.
    """

    def __init__(
        self,
        mask: Tensor,
        *,
        logprobs: Tensor | None = None,
        values: Tensor | None = None,
        entropy: Tensor | None = None,
        last: Tensor | None = None,
    ) -> None:
        self.mask = mask
        self.outputs: Mapping[str, Tensor | None] = {
            "logprobs": logprobs,
            "values": values,
            "entropy": entropy,
            "last": last,
        }

    def _output(self, name: str) -> Tensor:
        output = self.outputs[name]
        if output is None:
            raise ValueError(f"{name!r} was not computed: add it to want= of score()")
        return output

    @property
    def logprobs(self) -> Tensor:
        return self._output("logprobs")

    @property
    def values(self) -> Tensor:
        return self._output("values")

    @property
    def entropy(self) -> Tensor:
        return self._output("entropy")

    @property
    def last(self) -> Tensor:
        return self._output("last")


@dataclass(frozen=True, eq=False)
class Comparison:
    """What two roles say of the same K completions.

    Args:
        own, other: their scores.
        kl: ``[K, C]``, KL(own ‖ other) over the vocabulary, nats; zero where masked or not measured.
    """

    own: Scored
    other: Scored
    kl: Tensor


class Codec(Protocol):
    """Template and tokenizer in one: the only way from text to tokens and back, in every stage."""

    eos: int

    def encode(self, record: Record) -> Row:
        """Tokens of a record: a ``Row`` (prompt only, or with its completion), ``PairRow`` … by the record's shape.

        Raises: RLHFError naming the record when nothing is left to train on, or the prompt exceeds the context.
        """

    def encode_prompt(self, prompt: Prompt) -> Tokens: ...

    def encode_completion(self, prompt: Prompt, completion: str, *, finished: bool = True) -> Row:
        """One prompt and one text as a row; ``finished`` appends EOS."""

    def decode(self, tokens: Tokens) -> str:
        """The text of a completion, EOS and other special tokens left out, outer white space stripped."""

"""What is measured: models, texts and trainings, the same for every implementation.

W1 is tiny; W2 is GPT-2 small with its whole vocabulary. With an F behind the name completions almost never end before
their limit, so that every PPO iteration has the same number of tokens on both sides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

Algo = Literal["sft", "dpo", "reward", "ppo"]
ALGOS: Final[tuple[Algo, ...]] = ("sft", "dpo", "reward", "ppo")

LORA_R, LORA_ALPHA, LORA_TARGET = 8, 16, "c_attn"
BETA = 0.1
PPO_EPOCHS = 4
"""Passes over each batch of rollouts, in one minibatch each."""


@dataclass(frozen=True)
class Model:
    layers: int
    width: int
    heads: int
    vocabulary: int
    positions: int

    @property
    def block_weights(self) -> int:
        """Of all layers' matrices."""
        return 12 * self.layers * self.width**2

    @property
    def head_weights(self) -> int:
        return self.vocabulary * self.width


@dataclass(frozen=True)
class Texts:
    """Random words. Lengths in tokens, EOS included; completions' lengths are drawn from Beta(1.2, 1.8) in their range.

    Args:
        eos_every: sampling ends with probability 1 / this at each token; None leaves it at 1 / vocabulary.
    """

    records: int
    prompt: tuple[int, int] = (16, 48)
    completion: tuple[int, int] = (16, 96)
    eos_every: int | None = 48


@dataclass(frozen=True)
class Job:
    """Args: warmup: steps that are not counted. steps: all of them."""

    batch: int
    steps: int
    warmup: int
    learning_rate: float


@dataclass(frozen=True)
class Workload:
    name: str
    model: Model
    texts: Texts
    jobs: Mapping[Algo, Job]
    response_length: int
    """Tokens that PPO samples at most."""
    decoded: int = 96
    """Tokens that the decoding benchmark samples at most."""

    def with_records(self, records: int) -> Workload:
        return replace(self, texts=replace(self.texts, records=records))

    def with_length(self, tokens: int) -> Workload:
        """Every prompt a quarter, every completion three quarters of ``tokens``."""
        prompt = tokens // 4
        texts = replace(self.texts, prompt=(prompt, prompt), completion=(tokens - prompt, tokens - prompt))
        return replace(self, texts=texts, model=replace(self.model, positions=max(self.model.positions, tokens)))


_TINY = Model(layers=4, width=256, heads=4, vocabulary=4096, positions=192)
_SMALL = Model(layers=12, width=768, heads=12, vocabulary=50257, positions=1024)
_TINY_JOBS: Mapping[Algo, Job] = {
    "sft": Job(batch=16, steps=24, warmup=4, learning_rate=1e-3),
    "dpo": Job(batch=8, steps=24, warmup=4, learning_rate=1e-3),
    "reward": Job(batch=8, steps=24, warmup=4, learning_rate=1e-3),
    "ppo": Job(batch=16, steps=4, warmup=1, learning_rate=1e-4),
}
_SMALL_JOBS: Mapping[Algo, Job] = {
    "sft": Job(batch=8, steps=5, warmup=1, learning_rate=1e-4),
    "dpo": Job(batch=4, steps=5, warmup=1, learning_rate=1e-4),
    "reward": Job(batch=4, steps=5, warmup=1, learning_rate=1e-4),
    "ppo": Job(batch=8, steps=2, warmup=1, learning_rate=1e-5),
}
WORKLOADS: Final = {
    "W1": Workload("W1", _TINY, Texts(records=512), _TINY_JOBS, response_length=96),
    "W2": Workload("W2", _SMALL, Texts(records=128), _SMALL_JOBS, response_length=96),
    "W1F": Workload(
        "W1F", _TINY, Texts(records=128, eos_every=None),
        {**_TINY_JOBS, "ppo": Job(batch=16, steps=3, warmup=1, learning_rate=1e-4)}, response_length=48,
    ),
    "W2F": Workload(
        "W2F", _SMALL, Texts(records=32, eos_every=None),
        {**_SMALL_JOBS, "ppo": Job(batch=4, steps=2, warmup=1, learning_rate=1e-5)}, response_length=32,
    ),
}  # fmt: skip

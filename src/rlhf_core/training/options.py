"""How a stage is trained, whatever the algorithm."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from ..contract.options import Options
from .health.detectors import DETECTORS

Schedule = Literal["constant", "linear", "cosine"]
Precision = Literal["auto", "float32", "bfloat16"]
Device = Literal["auto", "cpu", "cuda"]

EVALUATIONS = 10
"""Evaluations, and saves, over a whole training unless the recipe says otherwise."""


class AlarmOptions(Options):
    """Which signs of trouble are told. No alarm stops a run."""

    off: tuple[str, ...] = ()
    """Alarms that are not raised, such as [length-drift] where answers are meant to become shorter."""

    @field_validator("off")
    @classmethod
    def _known(cls, off: tuple[str, ...]) -> tuple[str, ...]:
        for name in off:
            if name not in DETECTORS:
                near = difflib.get_close_matches(name, DETECTORS, n=1)
                hint = f"did you mean '{near[0]}'?" if near else f"there are {', '.join(DETECTORS)}"
                raise ValueError(f"no alarm is called '{name}'; {hint}")
        return off


class TrainingOptions(Options):
    """The ``training:`` section of a stage. A *step* is one batch, of which a trainer may make several updates."""

    epochs: float | None = Field(default=None, gt=0)
    """How often to go through the data; 1 unless steps are given."""
    steps: int | None = Field(default=None, gt=0)
    """How many batches to train on, in place of epochs."""
    batch_size: int = Field(default=16, gt=0)
    """Rows per batch, over all processes."""
    micro_batch_tokens: Annotated[int, Field(gt=0)] | Literal["auto"] = "auto"
    """Most tokens in one forward pass (a longer row goes alone); auto: as many as fit into memory and are fast."""
    gradient_checkpointing: bool = False
    """Keep the inputs of layers only and compute the layers again in the backward pass: less memory, more time."""
    learning_rate: float = Field(default=1e-4, gt=0)
    """Peak learning rate of AdamW."""
    learning_rates: dict[str, float] = Field(default_factory=dict)
    """Peak learning rates of single parameter groups of the trainer, such as value."""
    weight_decay: float = Field(default=0.0, ge=0)
    """Decoupled weight decay (Loshchilov and Hutter 2019)."""
    adam_betas: tuple[float, float] = (0.9, 0.999)
    """Decay of the running mean and of the running square of gradients."""
    adam_epsilon: float = Field(default=1e-8, gt=0)
    """Added to the root of the running square."""
    max_grad_norm: float | None = Field(default=1.0, gt=0)
    """Gradients are scaled down to this global norm; null never clips."""
    schedule: Schedule = "linear"
    """Shape of the learning rate after warm-up."""
    warmup: float = Field(default=0.05, ge=0, lt=1)
    """Share of the training over which the learning rate rises to its peak."""
    min_learning_rate_factor: float = Field(default=0.0, ge=0, le=1)
    """Where linear and cosine end, as a share of the peak."""
    precision: Precision = "auto"
    """Of forward passes; auto is bfloat16 on CUDA devices that have it, else float32. Weights stay float32."""
    device: Device = "auto"
    """Where to train; auto takes CUDA if it is there."""
    eval_every: int | None = Field(default=None, gt=0)
    """Steps between evaluations; null: ten over the training. The start and the end are evaluated, too."""
    eval_rows: int | None = Field(default=256, gt=0)
    """At most so many held-out rows per evaluation; null takes all."""
    sample_prompts: int = Field(default=8, ge=0)
    """Held-out prompts that the policy answers at each evaluation, always the same."""
    save_every: int | None = Field(default=None, gt=0)
    """Steps between checkpoints; null: ten over the training. Ctrl-C and the end save as well."""
    keep_checkpoints: int = Field(default=2, gt=0)
    """How many checkpoints to keep; older ones are deleted."""
    early_stopping: int | None = Field(default=None, gt=0)
    """Stop after so many evaluations without a better one; null never does."""
    log_every: int = Field(default=1, gt=0)
    """Steps per line of metrics; the line holds their means."""
    paranoid: bool = False
    """Check every invariant at every batch and evaluation, not the cheap ones at the start and the end alone."""
    alarms: AlarmOptions = AlarmOptions()
    """Signs of trouble (docs/alarms.md) that are looked for in every line of metrics."""
    dropout: bool | None = None
    """Whether dropout acts; null leaves it to the trainer (those that compare logprobs of two times refuse it)."""

    @model_validator(mode="before")
    @classmethod
    def _one_epoch_by_default(cls, values: Any) -> Any:
        if isinstance(values, Mapping) and values.get("steps") is None and values.get("epochs") is None:
            return {**values, "epochs": 1.0}
        return values

    @model_validator(mode="after")
    def _consistent(self) -> TrainingOptions:
        if self.steps is not None and self.epochs is not None:
            raise ValueError(f"steps ({self.steps}) and epochs ({self.epochs:g}) are both set; set one of them to null")
        if not all(0 <= beta < 1 for beta in self.adam_betas):
            raise ValueError(f"adam_betas {self.adam_betas}: both lie in [0, 1)")
        if any(rate <= 0 for rate in self.learning_rates.values()):
            raise ValueError(f"learning_rates {self.learning_rates}: each must be above 0")
        return self


NOT_IN_IDENTITY = frozenset(
    {
        "gradient_checkpointing", "keep_checkpoints", "save_every", "sample_prompts", "log_every", "paranoid", "alarms",
        "device", "precision",
    }
)  # fmt: skip
"""May change when a run goes on: no weight depends on them; what device and precision come to is compared apart."""

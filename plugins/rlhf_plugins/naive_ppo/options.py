"""Options of PPO."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from rlhf_core.contract.options import Options


class PPOOptions(Options):
    inner_epochs: int = Field(default=4, ge=1)
    """Passes over each batch of rollouts. One pass in one minibatch would leave the ratio at 1 and clipping idle."""

    minibatches: int = Field(default=4, ge=1)
    """Optimizer steps per pass."""

    clip_range: float = Field(default=0.2, gt=0, lt=1)
    """The ratio pi/pi_old is clipped to 1 ± this."""

    value_clip_range: float = Field(default=0.2, gt=0)
    """New values are clipped to old values ± this in the value loss (reward units)."""

    value_coef: float = Field(default=0.1, ge=0)
    """Weight of the value loss."""

    importance_cap: float = Field(default=2.0, ge=1)
    """Largest weight of a token that scoring finds likelier than sampling did. In float32 every weight is 1; in
    bfloat16 the two round differently."""

    entropy_coef: float = Field(default=0.0, ge=0)
    """Weight of the entropy bonus."""

    gamma: float = Field(default=1.0, ge=0, le=1)
    """Discount per token."""

    gae_lambda: float = Field(default=0.95, ge=0, le=1)
    """Decay of generalized advantage estimation."""

    kl_coef: float = Field(default=0.05, ge=0)
    """Weight of the per-token KL to the reference in the reward: fixed, or where adaptive control starts."""

    kl_estimator: Literal["k1", "k3"] = "k1"
    """Estimator of the KL that is *subtracted from the reward* (reported as kl_in_reward); all are always reported."""

    kl_target: float | None = Field(default=None, gt=0)
    """Adaptive control: the KL per completion (nats) to hold by moving ``kl_coef``; none keeps it fixed."""

    kl_horizon: int = Field(default=10_000, ge=1)
    """Completions over which the adaptive coefficient answers an error."""

    step_kl_limit: float | None = Field(default=None, gt=0)
    """Target-KL stop: drop the rest of a batch once an update finds the policy this far from its rollouts (k3 per
    token, nats). It bounds each batch's updates, not the distance to the reference."""

    exact_kl_positions: int | None = Field(default=8, ge=0)
    """Tokens of each completion, drawn anew in each batch, at which the exact KL over the vocabulary is measured for
    the report (kl_exact, unbiased); null measures at all of them, 0 at none."""

    value_model: Literal["shared", "separate"] = "shared"
    """``shared``: a head on the policy's own hidden states. ``separate``: an adapter (or network) of its own."""

    missing_eos_penalty: float = Field(default=0.0, ge=0)
    """Subtracted from the score of a completion that was cut at the length limit (reward units)."""

    score_normalisation: Literal["none", "scale", "center-and-scale"] = "none"
    """Divide scores by their running standard deviation, and subtract their running mean where asked for."""

    score_clip: float | None = Field(default=None, gt=0)
    """Clip normalised scores to ± this."""

    keep: Literal["last", "best"] = "last"
    """Which weights the run gives: the last, or the best by the held-out reward (score − kl_coef · KL, at the start's
    coefficient; the exact KL where it is measured, else k3), which early stopping then goes by. A reward model that is
    gamed may like its last weights best."""

    @model_validator(mode="after")
    def _adaptive_control_needs_a_start(self) -> PPOOptions:
        if self.kl_target is not None and self.kl_coef == 0:
            raise ValueError("kl_target moves kl_coef by factors: from kl_coef = 0 it never would; set kl_coef above 0")
        return self

    @model_validator(mode="after")
    def _clipping_must_act(self) -> PPOOptions:
        if self.inner_epochs * self.minibatches == 1:
            raise ValueError(
                "inner_epochs = 1 with minibatches = 1 makes one update per rollout: the ratio stays 1 and clipping "
                "never acts; set one of them to 2 or more"
            )
        return self

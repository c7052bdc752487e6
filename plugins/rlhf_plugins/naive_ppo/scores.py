"""Scores made comparable over a run: running mean and standard deviation, clipping, the penalty for not ending."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from rlhf_core.math.advantages import center_and_scale, scale

from .options import PPOOptions

LEAST_SPREAD = 1e-4
"""Below this share of the mean a standard deviation is rounding error, and all scores are equal."""


class ScoreNormaliser:
    """Normalises by the moments of all *earlier* batches (of the batch itself, for the first).

    The moments move between batches only, so that collecting a batch twice gives the same scores.
    """

    def __init__(self, options: PPOOptions) -> None:
        self.options = options
        self.batches = 0
        self.mean = 0.0
        self.square = 0.0

    def __call__(self, scores: Tensor, finished: Tensor, batch_mean: float, batch_std: float) -> Tensor:
        """Args: scores ``[K]``, finished bool ``[K]``, and the moments of this batch over all ranks."""
        mean, std = (self.mean, self.std) if self.batches else (batch_mean, batch_std)
        if std <= LEAST_SPREAD * abs(mean):
            std = 1.0  # equal scores have no scale to divide by
        if self.options.score_normalisation == "scale":
            scores = scale(scores, std)
        elif self.options.score_normalisation == "center-and-scale":
            scores = center_and_scale(scores, mean, std)
        if self.options.score_clip is not None:
            scores = scores.clamp(-self.options.score_clip, self.options.score_clip)
        return torch.where(finished, scores, scores - self.options.missing_eos_penalty)

    @property
    def std(self) -> float:
        return math.sqrt(max(self.square - self.mean**2, 0.0))

    def update(self, mean: float, square: float) -> None:
        """Take in a batch by the mean of its scores and of their squares; batches are of one size."""
        self.batches += 1
        self.mean += (mean - self.mean) / self.batches
        self.square += (square - self.square) / self.batches

    def state_dict(self) -> dict[str, float]:
        return {"batches": self.batches, "mean": self.mean, "square": self.square}

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        self.batches, self.mean, self.square = int(state["batches"]), state["mean"], state["square"]

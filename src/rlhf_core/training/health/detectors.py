"""All detectors, by the name of their alarm."""

from __future__ import annotations

from collections.abc import Mapping

from .accuracy import chance_accuracy
from .amount import few_data
from .clipping import clip_heavy, clip_idle
from .endings import no_eos
from .finding import Detector
from .gradients import gradients_exploding, gradients_gone
from .kl import kl_without_reward
from .length import length_drift
from .likelihood import chosen_falling
from .loss import validation_rising
from .optimisation import over_optimisation
from .scores import constant_scores
from .value import dead_value

DETECTORS: Mapping[str, Detector] = {
    "constant-scores": constant_scores,
    "gradients-gone": gradients_gone,
    "gradients-exploding": gradients_exploding,
    "few-data": few_data,
    "chance-accuracy": chance_accuracy,
    "clip-idle": clip_idle,
    "clip-heavy": clip_heavy,
    "dead-value": dead_value,
    "chosen-falling": chosen_falling,
    "kl-without-reward": kl_without_reward,
    "over-optimisation": over_optimisation,
    "length-drift": length_drift,
    "no-eos": no_eos,
    "validation-rising": validation_rising,
}
"""Causes before what they lead to: alarms of one step are told in this order."""

"""Options of training, and the learning rate over it."""

from __future__ import annotations

import math

import pytest
from pydantic import ValidationError

from rlhf_core.contract.errors import RLHFError
from rlhf_core.training.options import TrainingOptions
from rlhf_core.training.precision import choose_device, choose_precision
from rlhf_core.training.schedule import batch_factor, learning_rate_factor


def test_one_epoch_is_the_default_and_steps_take_its_place():
    assert (TrainingOptions().epochs, TrainingOptions().steps) == (1.0, None)
    assert (TrainingOptions(steps=5).epochs, TrainingOptions(steps=5, epochs=None).steps) == (None, 5)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"steps": 5, "epochs": 2}, r"steps \(5\) and epochs \(2\) are both set"),
        ({"betas": 1}, "Extra inputs"),
        ({"adam_betas": (0.9, 1.0)}, "both lie in"),
        ({"learning_rates": {"value": 0.0}}, "each must be above 0"),
        ({"warmup": 1.0}, "less than 1"),
        ({"learning_rate": float("nan")}, "finite"),
    ],
)
def test_what_cannot_be_is_refused(values, message):
    with pytest.raises(ValidationError, match=message):
        TrainingOptions(**values)


def test_every_option_is_described():
    schema = TrainingOptions.model_json_schema()["properties"]
    assert [name for name in schema if name != "adam_betas" and not schema[name].get("description")] == []


@pytest.mark.parametrize(
    ("kind", "progress", "factor"),
    [
        ("constant", 0.1, 0.5), ("constant", 0.2, 1.0), ("constant", 1.0, 1.0),
        ("linear", 0.05, 0.25), ("linear", 0.2, 1.0), ("linear", 0.6, 0.5 * 0.9 + 0.1), ("linear", 1.0, 0.1),
        ("cosine", 0.2, 1.0), ("cosine", 0.6, 0.55), ("cosine", 1.0, 0.1),
        ("cosine", 0.4, 0.1 + 0.9 * (1 + math.sqrt(0.5)) / 2),
    ],
)  # fmt: skip
def test_the_learning_rate_rises_and_then_keeps_to_its_shape(kind, progress, factor):
    assert learning_rate_factor(kind, progress, 0.2, floor=0.1) == pytest.approx(factor)


def test_no_batch_is_wasted_on_a_rate_of_zero():
    factors = [batch_factor("linear", batch, 10, 0.2) for batch in range(10)]
    assert factors == pytest.approx([0.25, 0.75, 0.9375, 0.8125, 0.6875, 0.5625, 0.4375, 0.3125, 0.1875, 0.0625])


def test_precision_and_device_follow_what_is_there():
    import torch

    cpu = torch.device("cpu")
    assert choose_precision("auto", cpu) == choose_precision("float32", cpu) == torch.float32
    with pytest.raises(RLHFError, match=r"training\.precision = bfloat16, but the device cpu"):
        choose_precision("bfloat16", cpu)
    assert choose_device("cpu") == cpu
    if not torch.cuda.is_available():
        assert choose_device("auto") == cpu
        with pytest.raises(RLHFError, match="no CUDA device"):
            choose_device("cuda")

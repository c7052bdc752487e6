"""The least CPU seconds that a step can take on this machine: arithmetic that no exact implementation avoids.

Counted: each prompt once for all its completions, no filling, the output layer at completion tokens alone, the base's
weights frozen (their gradients are not computed), causal attention on real pairs of tokens. Not counted: everything
that is not a matrix product, and LoRA itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fixtures import fixture, read_table
from machine import Machine
from task import Task
from workloads import PPO_EPOCHS, Algo, Job, Model, Workload

from rlhf_core.data.cursor import Cursor


@dataclass(frozen=True)
class Pass:
    """Forward passes over some rows. Args: tokens: positions computed. pairs: that attend to each other.
    predicted: rows of the output layer."""

    tokens: int = 0
    pairs: int = 0
    predicted: int = 0

    def __add__(self, other: Pass) -> Pass:
        return Pass(self.tokens + other.tokens, self.pairs + other.pairs, self.predicted + other.predicted)

    def forward(self, model: Model) -> float:
        """Floating-point operations."""
        attention = 4 * model.layers * model.width * self.pairs
        return 2 * model.block_weights * self.tokens + attention + 2 * model.head_weights * self.predicted

    def backward(self, model: Model) -> float:
        """Gradients of activations: as much again, and twice that where both factors are activations."""
        return self.forward(model) + 4 * model.layers * model.width * self.pairs


def row_pass(prompt: int, completions: Sequence[int], *, predicts: bool = True) -> Pass:
    """One row; lengths in tokens, EOS included. What only predicts needs no position for the last token."""
    inner = [length - predicts for length in completions]
    pairs = prompt * (prompt + 1) // 2 + sum(prompt * n + n * (n + 1) // 2 for n in inner)
    return Pass(prompt + sum(inner), pairs, sum(completions) if predicts else 0)


def floor_seconds(task: Task, machine: Machine, *, generated: float = 0.0) -> float:
    """Mean over the steps that are measured. Args: generated: tokens that PPO sampled per step."""
    workload, algo, job = task.workload, task.algo, task.job
    model = workload.model
    speed = machine.gflops[workload.name.removesuffix("F")] * 1e9
    rows = measured_rows(workload, algo, job)
    steps = job.steps - job.warmup
    if algo == "ppo":
        length = round(generated / job.batch)
        own = sum((row_pass(words(row["prompt"]), [length]) for row in rows), Pass())
        # Sampling computes each position once; so do reference and reward. Weights are read once per token.
        decoding = max(own.forward(model) / speed, steps * length * decoded_bytes(model) / machine.read)
        scoring = 2 * own.forward(model) - Pass(predicted=own.predicted).forward(model)
        training = PPO_EPOCHS * (own.forward(model) + own.backward(model))
        return (decoding + (scoring + training) / speed) / steps
    names = ["completion"] if algo == "sft" else ["chosen", "rejected"]
    total = sum(
        (row_pass(words(row["prompt"]), [words(row[name]) + 1 for name in names], predicts=algo != "reward")
         for row in rows), Pass(),
    )  # fmt: skip
    reference = total.forward(model) if algo == "dpo" and not task.cached else 0.0
    return (total.forward(model) + total.backward(model) + reference) / speed / steps


def measured_rows(workload: Workload, algo: Algo, job: Job) -> list[dict[str, str]]:
    table = {"sft": "demonstrations", "ppo": "prompts"}.get(algo, "pairs")
    rows = read_table(fixture(workload), table)
    cursor = Cursor(len(rows), job.batch, seed=0)
    return [rows[index] for step in range(job.warmup, job.steps) for index in cursor.batch(step)]


def decoded_bytes(model: Model) -> int:
    """All weights, float32."""
    return 4 * (model.block_weights + model.head_weights)


def words(text: str) -> int:
    return len(text.split())

"""Which metrics belong in one chart, in which order, and how to read it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class ChartSpec:
    title: str
    metrics: tuple[str, ...]
    reading: str
    unit: str = ""


CHARTS = (
    ChartSpec(
        "Loss",
        ("loss",),
        "Lower on held-out data is better. The losses of DPO and PPO are not bounded below, and may fall "
        "while the text gets worse: read them with KL, score and the samples.",
    ),
    ChartSpec(
        "Score", ("score",), "Mean score of sampled completions by the reward source, before any KL term.", "reward"
    ),
    ChartSpec(
        "KL to the reference",
        ("kl_k1", "kl_k2", "kl_k3", "kl_exact"),
        "How far the policy has moved, in nats per completion. k1 is unbiased and may dip below zero by "
        "chance; k2 is biased and never negative; k3 is unbiased and never negative; the exact value sums over "
        "the vocabulary at each position.",
        "nats",
    ),
    ChartSpec(
        "KL in the reward",
        ("kl_in_reward",),
        "The estimate that is subtracted from the score, in nats per completion, before its coefficient.",
        "nats",
    ),
    ChartSpec(
        "Entropy",
        ("entropy",),
        "Nats per token of the policy's own distribution. A fall towards zero means that it says the same "
        "thing again and again.",
        "nats",
    ),
    ChartSpec("Length", ("length",), "Tokens per completion. A drift to one side may be reward for length.", "tokens"),
    ChartSpec(
        "Ended by itself",
        ("finished",),
        "Share of completions that ended with EOS or a stop string within the length limit.",
        "share",
    ),
    ChartSpec(
        "Clip fraction",
        ("clip_fraction",),
        "Share of tokens whose ratio left the clip range: 0 throughout means that clipping never acted, above "
        "½ that steps are too large.",
        "share",
    ),
    ChartSpec(
        "Step KL",
        ("step_kl",),
        "How far the updates on one batch moved from its rollouts, nats per token (k3).",
        "nats",
    ),
    ChartSpec(
        "Value function",
        ("explained_variance",),
        "Share of the variance of returns that the values explain: 1 is perfect, 0 or less is no better than "
        "a constant.",
    ),
    ChartSpec("Value loss", ("value_loss",), "Clipped squared error of the values."),
    ChartSpec("KL coefficient", ("kl_coef",), "Weight of the KL in the reward; it moves only under adaptive control."),
    ChartSpec("Accuracy", ("accuracy",), "Share of pairs in which the preferred one is ahead; ½ is chance.", "share"),
    ChartSpec(
        "Implicit rewards",
        ("chosen_reward", "rejected_reward", "reward_margin", "margin"),
        "What the loss pulls apart. When both fall, the policy forgets the chosen answers too, only more slowly.",
    ),
    ChartSpec(
        "Logprob change",
        ("chosen_logprob_change", "rejected_logprob_change"),
        "Sequence logprob minus the reference's, in nats.",
        "nats",
    ),
    ChartSpec(
        "Gradient norm", ("grad_norm",), "Before clipping. Spikes mean unstable steps; zero means nothing is learnt."
    ),
)

BOOKKEEPING = frozenset(
    {
        "step",
        "records",
        "seconds",
        "split",
        "iteration",
        "epoch",
        "tokens_per_second",
        "score_square",
        "completions",
        "updates",
    }
)


ERROR = "_se"
"""Ending of the standard error of another number, which is drawn as its band."""


def charts_for(names: Iterable[str]) -> list[ChartSpec]:
    """The charts for these metrics: known ones in reading order, the parts of a score, then others by themselves."""
    present = {name for name in names if not name.endswith(ERROR)} - BOOKKEEPING
    charts = [
        ChartSpec(chart.title, tuple(name for name in chart.metrics if name in present), chart.reading, chart.unit)
        for chart in CHARTS
        if present & set(chart.metrics)
    ]
    known = {name for chart in CHARTS for name in chart.metrics}
    if rates := tuple(sorted(name for name in present if name.startswith("learning_rate/"))):
        charts.append(ChartSpec("Learning rate", rates, "As applied, per parameter group."))
    parts = tuple(sorted(name for name in present if name.startswith("score/")))
    if parts:
        charts.insert(
            2, ChartSpec("Parts of the score", parts, "What each part of the composed reward contributed.", "reward")
        )
    others = sorted(present - known - {*parts, *rates})
    return charts + [ChartSpec(name.replace("_", " ").capitalize(), (name,), "") for name in others]

"""A small run, its evaluation and its page."""

from __future__ import annotations

from typing import Any

from rlhf_core.report.content import EvaluationContent, PageContent, StageContent
from rlhf_core.report.page import render

METRICS: list[dict[str, Any]] = [
    {"step": 0, "split": "validation", "loss": 0.7, "score": 0.1, "kl_k3": 0.0},
    {"step": 1, "split": "train", "loss": 0.69, "kl_k1": 0.01, "kl_k3": 0.02, "score": 0.2, "clip_fraction": 0.1},
    {"step": 2, "split": "train", "loss": 0.5, "kl_k1": 0.3, "kl_k3": 0.4, "score": 0.5, "clip_fraction": 0.2},
    {"step": 2, "split": "validation", "loss": 0.6, "score": 0.4, "kl_k3": 0.35},
]
SAMPLES: list[dict[str, Any]] = [
    {"step": 0, "record_id": "a", "prompt": "p", "completion": "the baker left", "score": 0.0},
    {"step": 0, "record_id": "b", "prompt": "q", "completion": "same line", "score": 1.0},
    {"step": 2, "record_id": "a", "prompt": "p", "completion": "the baker kneaded <b>dough</b>", "score": 2.0},
    {"step": 2, "record_id": "b", "prompt": "q", "completion": "same line", "score": 1.0},
]
ALARM = {
    "name": "flat-score", "step": 2, "says": "The score stands still", "evidence": "0.5 at step 1 and at step 2",
    "cause": "a constant reward", "mend": "look at the reward",
}  # fmt: skip

_ROW = {
    "name": "puns/pun", "mean": 0.42, "low": 0.3, "high": 0.5, "n": 80, "baseline_mean": 0.2, "better": "higher",
    "difference": 0.22, "difference_low": 0.1, "difference_high": 0.3, "neutral": None, "conclusion": "better",
}  # fmt: skip

EVALUATION = EvaluationContent(
    name="ppo",
    baseline="sft",
    summary=[_ROW, {**_ROW, "name": "puns/length", "difference_low": -0.1, "conclusion": "not distinguishable"}],
    rows=[
        {"of": "run", "group": "g", "prompt": "ask", "completion": "new text", "puns/length": 5.0},
        {"of": "run", "group": "g", "prompt": "ask", "completion": "second draw", "puns/length": 9.0},
        {"of": "baseline", "group": "g", "prompt": "ask", "completion": "old text", "puns/length": 3.0},
    ],
)


def judged(*pairs: tuple[str | None, str | None], text: str = "") -> EvaluationContent:
    """A comparison by the judge ``j``: whom each order named, a prompt ``p0``, ``p1`` … each.

    Args:
        text: what stands in every text and reason.
    """
    rows = [
        {
            "of": "run", "group": f"g{i}", "prompt": f"p{i}{text}", "completion": f"own {i}{text}",
            "j/baseline": f"other {i}{text}", "j/win-rate": None,
            "j/run-first": first, "j/run-first-outcome": "valid" if first else "refused",
            "j/run-first-reason": f"first reason {i}{text}",
            "j/baseline-first": second, "j/baseline-first-outcome": "valid" if second else "truncated",
            "j/baseline-first-reason": f"second reason {i}{text}",
        }
        for i, (first, second) in enumerate(pairs)
    ]  # fmt: skip
    rate = {**_ROW, "baseline_mean": None, "difference": None, "difference_low": None, "difference_high": None,
            "neutral": 0.5, "conclusion": "better"}  # fmt: skip
    summary = [
        {**rate, "name": "j/win-rate", "mean": 0.75, "low": 0.6, "high": 0.9},
        {**rate, "name": "j/by-longest", "mean": 0.5, "low": None, "high": None, "conclusion": ""},
    ]
    return EvaluationContent(name="ppo", baseline="sft", summary=summary, rows=rows, warnings=[f"partial{text}"])


def graded(*grades: tuple[float, float] | str, text: str = "") -> EvaluationContent:
    """Completions graded by the judge ``j`` on ``two_senses`` and ``funny``, or the outcome of what got no grades."""

    def row(i: int, grade: tuple[float, float] | str) -> dict[str, Any]:
        valid = not isinstance(grade, str)
        senses, funny = grade if valid else (None, None)
        return {
            "of": "run", "group": f"g{i}", "prompt": f"p{i}{text}", "completion": f"own {i}{text}",
            "j/score": (senses + funny) / 2 if valid else None, "j/two_senses": senses, "j/funny": funny,
            "j/success": float(senses >= 4) if valid else None, "j/outcome": "valid" if valid else grade,
            "j/reason": f"reason {i}{text}",
        }  # fmt: skip

    rows = [row(i, grade) for i, grade in enumerate(grades)]
    return EvaluationContent(name="ppo", summary=[], rows=rows)


def stage(name: str = "ppo", **fields: Any) -> StageContent:
    given = {
        "algo": "ppo", "status": "finished", "metrics": METRICS, "samples": SAMPLES, "config": "seed: 0",
        "alarms": [ALARM], "provenance": {"base sha256": "b0b"},
    }  # fmt: skip
    return StageContent(name=name, **{**given, **fields})


def page(**fields: Any) -> str:
    return render(PageContent(title="run <one>", stages=[stage(**fields)], evaluations=[EVALUATION]))

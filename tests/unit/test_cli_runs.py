"""Cells of `rlhf runs compare`."""

from __future__ import annotations

from rlhf_core.cli.runs import shown


def test_a_metric_stands_with_its_interval_where_its_error_was_written() -> None:
    row = {"score": 0.5, "score_se": 0.1, "loss": 0.25}
    assert [shown(row, name) for name in ("score", "loss", "accuracy")] == ["0.5 ± 0.2", "0.25", ""]

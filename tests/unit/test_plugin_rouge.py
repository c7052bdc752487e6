"""ROUGE on sentences whose n-grams and subsequences are counted by hand."""

from __future__ import annotations

import pytest
from evaluation_standins import build, lend

from rlhf_core.contract.errors import RLHFError
from rlhf_core.contract.evaluator import EvalContext, Evaluation
from rlhf_core.contract.reward import Completion

pytest.importorskip("rouge_score", reason="the extra is not installed: pip install 'rlhf_core[rouge]'")

REFERENCE = "The cat sat on the mat."


def measure(text: str, **options: object) -> Evaluation:
    rouge = build("rouge", "evaluator", "rouge", reference="output", **options)
    completion = Completion(prompt="p", text=text, group="g", record={"output": REFERENCE})
    found: Evaluation = rouge.evaluate([completion], EvalContext(lend=lend()))
    return found


def test_turned_round_all_words_are_there_most_pairs_and_half_the_sequence() -> None:
    """4 of 5 pairs ('sat on' is lost to 'mat the'); the longest common subsequence has 3 of 6 words."""
    found = measure("on the mat the cat sat")
    assert found.scores == {"rouge-1": [1.0], "rouge-2": [pytest.approx(4 / 5)], "rouge-l": [pytest.approx(1 / 2)]}


def test_f1_weighs_precision_and_recall_alike() -> None:
    """'the cat': precision 1, recall 2/6 of words and 1/5 of pairs."""
    found = measure("the cat")
    assert found.scores["rouge-1"] == [pytest.approx(2 * (1 / 3) / (1 + 1 / 3))]
    assert found.scores["rouge-2"] == [pytest.approx(2 * (1 / 5) / (1 + 1 / 5))]


def test_an_empty_answer_has_nothing_in_common() -> None:
    assert measure("").scores == {"rouge-1": [0.0], "rouge-2": [0.0], "rouge-l": [0.0]}


def test_stems_are_compared_on_request_and_the_note_says_so() -> None:
    assert measure("mats").scores["rouge-1"] == [0.0]
    stemmed = measure("mats", stemmer=True)
    assert stemmed.scores["rouge-1"] == [pytest.approx(2 / 7)]
    assert "words stemmed" in stemmed.notes[0]


def test_a_record_without_a_reference_is_named() -> None:
    rouge = build("rouge", "evaluator", "rouge", reference="answer")
    with pytest.raises(RLHFError, match=r"rouge: g: no reference answer in the column 'answer' \(columns: output\)"):
        rouge.evaluate([Completion(prompt="p", text="t", group="g", record={"output": "x"})], EvalContext(lend=lend()))

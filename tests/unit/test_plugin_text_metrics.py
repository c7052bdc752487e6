"""Text metrics on lines whose numbers are counted by hand."""

from __future__ import annotations

import math

import pytest
from evaluation_standins import build, lend

from rlhf_core.contract.evaluator import EvalContext, Evaluation
from rlhf_core.contract.reward import Completion
from rlhf_core.evaluation.running import evaluate


def measure(*texts: str, train: list[str] | None = None, finished: bool = True) -> Evaluation:
    completions = [Completion(prompt="p", text=text, finished=finished) for text in texts]
    return build("text_metrics", "evaluator", "text").evaluate(completions, EvalContext(lend=lend(), train_texts=train))


def test_distinct_n_counts_different_over_all_ngrams_of_the_corpus() -> None:
    """Words: the cat sat / the cat ran: 4 of 6 words and 3 of 4 pairs are different."""
    found = measure("The cat sat.", "the cat ran!")
    assert found.corpus == {"distinct-1": pytest.approx(4 / 6), "distinct-2": pytest.approx(3 / 4)}


def test_distinct_n_of_a_part_is_that_of_the_part() -> None:
    found = measure("a b", "a b", "c")
    assert found.recompute is not None
    assert found.recompute([0, 1]) == {"distinct-1": 0.5, "distinct-2": 0.5}
    assert found.recompute([2]) == {"distinct-1": 1.0}


def test_length_counts_words_and_keeps_apostrophes_inside() -> None:
    assert measure("Don't stop, it's 5 o’clock", "", "...").scores["words"] == [5.0, 0.0, 0.0]


def test_repeated_4_grams_are_those_that_occurred_before() -> None:
    """'a b c d' occurs twice among the 5 four-grams of 'a b c d a b c d'."""
    scores = measure("a b c d a b c d", "a b c d", "a b c").scores["repeated-4-grams"]
    assert scores == [pytest.approx(1 / 5), 0.0, None]


def test_immediate_repeats_are_words_equal_to_the_one_before() -> None:
    assert measure("ha ha ha no", "one", "so so").scores["immediate-repeats"] == [pytest.approx(2 / 3), None, 1.0]


def test_the_longest_repeat_is_the_longest_ngram_that_comes_twice() -> None:
    """'b c' comes twice; of 'a a a a' the first three words are the last three too; nothing of 'a b' comes twice."""
    found = measure("b c a b c", "a a a a", "a b", "", "so").scores["longest-repeat"]
    assert found == [2.0, 3.0, 0.0, None, 0.0]


def test_word_entropy_is_that_of_the_words_shares() -> None:
    """Half a, a quarter each of b and c: ½ log 2 + ½ log 4. Four different words have log 4, one word none."""
    found = measure("a a b c", "a b c d", "a a", "").scores["word-entropy"]
    assert found == [pytest.approx(1.5 * math.log(2)), pytest.approx(math.log(4)), 0.0, None]


def test_compression_tells_a_loop_from_a_text() -> None:
    """What cannot be squeezed costs 6 bytes of header and checksum, 10 bits of block, and 8 bits a byte, or 9 from byte
    144 on: 8 letters make 6 + ⌈74/8⌉ = 16 bytes, 4 umlauts of two bytes 6 + ⌈82/8⌉ = 17."""
    loop, letters, umlauts = measure("ab" * 200, "qwertyui", "äöüß").scores["compression"]
    assert loop > 15  # type: ignore[operator]
    assert (letters, umlauts) == (8 / 16, 8 / 17)
    assert measure("").scores["compression"] == [None]


def test_separators_are_marks_and_line_breaks_among_what_is_not_a_space() -> None:
    """'a, b' has one mark of three characters; 'x\\n\\n' two line breaks of three."""
    assert measure("a, b", "x\n\n", "  ", "ab cd", "==$").scores["separators"] == [
        pytest.approx(1 / 3), pytest.approx(2 / 3), None, 0.0, 1.0,
    ]  # fmt: skip


def test_unknown_words_are_those_outside_the_training_texts() -> None:
    found = measure("the zorb sat", "", train=["The cat.", "sat"])
    assert found.scores["unknown-words"] == [pytest.approx(1 / 3), None]


def test_without_training_texts_unknown_words_are_left_out_and_said() -> None:
    found = measure("a")
    assert "unknown-words" not in found.scores
    assert any("unknown-words is left out" in note for note in found.notes)
    silent = build("text_metrics", "evaluator", "text", vocabulary=False)
    assert silent.needs == frozenset()


def test_finished_is_the_share_that_ended_by_itself() -> None:
    assert measure("a", finished=False).scores["finished"] == [0.0]
    assert measure("a").scores["finished"] == [1.0]


def test_distinct_2_gets_an_interval_and_a_paired_difference() -> None:
    varied = [Completion(prompt="p", text=f"a{i} b{i} c{i}", group=str(i)) for i in range(12)]
    alike = [Completion(prompt="p", text="a b c", group=str(i)) for i in range(12)]
    evaluator = build("text_metrics", "evaluator", "text", vocabulary=False)
    row = evaluate(varied, {"text": evaluator}, EvalContext(lend=lend()), baseline=alike)["text/distinct-2"]
    assert row.estimate.value == 1.0
    assert row.baseline.value == pytest.approx(2 / 24)
    assert row.conclusion == "better"

"""What a completion has in common with the training texts, counted by hand, by brute force, and among ten thousand."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence

import pytest
from evaluation_standins import build, lend

from rlhf_core.contract.evaluator import EvalContext, Evaluation
from rlhf_core.contract.reward import Completion

TRAIN = ["The cat sat on the mat.", "A dog ran in the park, a dog!", "Ay."]


def measure(*texts: str, train: Sequence[str] | None = TRAIN, **options: object) -> Evaluation:
    completions = [Completion(prompt="p", text=text) for text in texts]
    evaluator = build("text_metrics", "evaluator", "memorisation", **options)
    return evaluator.evaluate(completions, EvalContext(lend=lend(), train_texts=train))


def test_the_longest_copy_is_counted_in_words_whatever_case_and_punctuation() -> None:
    """'the cat sat' of the first text; 'ran in the park' of the second; 'ay'; no word at all in common."""
    texts = ("So: the cat SAT in a park", "it ran in the park", "ay ay", "nothing", "", "the cat sat on the mat")
    assert measure(*texts).scores["longest-copy"] == [3.0, 4.0, 1.0, 0.0, None, 6.0]


def test_a_copy_lies_in_one_training_text_and_not_across_two() -> None:
    assert measure("the mat a dog").scores["longest-copy"] == [2.0]


def test_nearest_is_the_best_jaccard_index_over_the_training_texts() -> None:
    """Pairs of 'a dog ran on the mat': a-dog dog-ran ran-on on-the the-mat. The first text has 5 and shares 2 of them:
    2/8. The second has a-dog dog-ran ran-in in-the the-park park-a and a-dog again, which counts once: 2/9."""
    found = measure("a dog ran on the mat", order=2)
    assert found.scores["nearest"] == [pytest.approx(2 / 8)]
    assert found.rows == [{"nearest-text": TRAIN[0]}]


def test_a_copied_line_is_1_and_a_stranger_0_and_one_shorter_than_the_order_has_none() -> None:
    found = measure("the cat sat on the mat", "all of it new", "the cat")
    assert found.scores["nearest"] == [1.0, 0.0, None]
    assert [row["nearest-text"] for row in found.rows] == [TRAIN[0], "", ""]


def test_without_training_texts_nothing_is_measured_and_it_is_said() -> None:
    found = measure("the cat", train=None)
    assert found.scores == {"longest-copy": [None], "nearest": [None]}
    assert "not at hand" in found.notes[0]


def test_both_agree_with_brute_force_on_texts_of_few_words() -> None:
    rng = random.Random(0)
    texts, train = ([" ".join(rng.choices("abc", k=rng.randint(0, 9))) for _ in range(40)] for _ in range(2))
    found = measure(*texts, train=train, order=2)
    for text, copy, near in zip(texts, found.scores["longest-copy"], found.scores["nearest"], strict=True):
        pieces = [text[i:j].strip() for i in range(len(text)) for j in range(i + 1, len(text) + 1)]
        held = [len(piece.split()) for piece in pieces if any(piece in other for other in train)]
        assert copy == (max(held, default=0) if text else None)
        own = pairs(text)
        jaccard = [len(own & pairs(other)) / len(own | pairs(other)) for other in train] if own else [None]
        assert near == (max(jaccard) if own else None)  # type: ignore[type-var]


def pairs(text: str) -> set[str]:
    """As they stand in a text of letters with one space between."""
    return {text[start : start + 3] for start in range(0, len(text) - 2, 2)}


def test_ten_thousand_training_texts_take_seconds() -> None:
    """400 completions against 10 000 texts of 40 words, frequent words frequent: no pair of texts is compared."""
    rng = random.Random(0)
    vocabulary = [f"w{rank}" for rank in range(5000)]
    weights = [1 / (rank + 1) for rank in range(5000)]
    drawn = rng.choices(vocabulary, weights, k=10_400 * 40)
    texts = [" ".join(drawn[start : start + 40]) for start in range(0, len(drawn), 40)]
    copied = " ".join((*texts[7].split()[3:30], "new"))
    begun = time.process_time()
    found = measure(*texts[10_000:], copied, train=texts[:10_000])
    assert time.process_time() - begun < 20
    assert found.scores["longest-copy"][-1] == 27.0
    assert found.rows[-1] == {"nearest-text": texts[7]}

"""Length and repetition, counted by hand."""

from __future__ import annotations

import pytest
from evaluation_standins import build

from rlhf_core.contract.reward import Completion


def score(name: str, *texts: str, **options: object) -> list[float]:
    reward = build("text_rewards", "reward", name, **options)
    found: list[float] = reward.score([Completion(prompt="p", text=text) for text in texts])
    return found


def test_a_text_that_is_too_short_costs_its_missing_share() -> None:
    assert score("word-count", "", "one", "it's two", "a b c d", "a b c d e", low=4) == [-1.0, -0.75, -0.5, 0.0, 0.0]


def test_a_text_that_is_too_long_costs_the_share_that_is_too_much() -> None:
    assert score("word-count", "a b c d", "a b c d e f g h", low=2, high=4) == [0.0, -0.5]


def test_bounds_in_the_wrong_order_are_refused() -> None:
    with pytest.raises(ValueError, match="high = 3 is below low = 5"):
        score("word-count", "a", low=5, high=3)


def test_repeated_ngrams_cost_their_share() -> None:
    """``a b a b a``: pairs ab ba ab ba, of which two stood there before; ``hello hello hello``: one of two."""
    assert score("repetition", "a b a b a", "Hello, hello hello!", "a b c d", order=2) == [-0.5, -0.5, 0.0]


def test_a_text_without_an_ngram_repeats_nothing() -> None:
    assert score("repetition", "", "one two", order=3) == [0.0, 0.0]

"""Surprisal, ambiguity and distinctiveness against small numbers by hand, all subsets of words, and the chain rule."""

from __future__ import annotations

import math
from itertools import product

import pytest
import torch

from rlhf_core.contract.rows import Row
from rlhf_core.math.logprobs import sequence_logprobs
from rlhf_core.testing import tiny_policy
from rlhf_plugins.pun_statistics.meanings import Corpus, Meanings, meanings
from rlhf_plugins.pun_statistics.surprisal import Spans, Surprisal, log_probabilities, spans, surprisals

CORPUS = Corpus(["The hare ran.", "the hair fell", "a hare", "a dog ran"])


def test_the_local_context_is_the_pun_word_with_its_neighbours_as_they_stand() -> None:
    found = spans("The barber said: its hare was far too long.", range(4, 5), "hair", 2)
    assert found == Spans(
        "said: its hare was far", "said: its hair was far",
        "The barber said: its hare was far too long.", "The barber said: its hair was far too long.",
    )  # fmt: skip


def test_at_the_edge_the_context_is_shorter_and_a_capital_stays() -> None:
    assert spans("Hare today!", range(1), "hair", 2).global_alternative == "Hair today!"
    assert spans("Hare today!", range(1), "hair", 2).local_alternative == "Hair today"
    assert spans("a mussel man", range(1, 2), "mass selling", 1).local_alternative == "a mass selling man"


@pytest.mark.parametrize(
    ("local", "whole", "ratio"),
    [(3.0, 2.0, 1.5), (-1.0, 2.0, -1.0), (1.0, -0.1, -1.0), (0.0, 2.0, 0.0), (1.0, 0.0, None)],
)
def test_the_ratio_is_equation_4_and_nothing_where_it_would_divide_by_nothing(
    local: float, whole: float, ratio: float | None
) -> None:
    assert Surprisal(local, whole).ratio == ratio


@torch.no_grad()
def chain(text: str) -> float:
    """log p of the bytes after BOS, each asked for by itself; no template, no EOS."""
    policy = tiny_policy()
    tokens = policy.codec.encode_text(text)
    total = 0.0
    for at, token in enumerate(tokens):
        row = Row(record_id="r", prompt=(policy.codec.bos, *tokens[:at]), completions=((token,),))
        scored = policy.score([row])
        assert scored.logprobs is not None
        total += float(sequence_logprobs(scored.logprobs, scored.mask))
    return total


def test_surprisal_is_the_log_ratio_of_the_spans_probabilities() -> None:
    asked = Spans("its hare was", "its hair was", "Its hare was long.", "Its hair was long.")
    (found,) = surprisals(tiny_policy(), "reference", [asked])
    assert found is not None
    assert found.local_ == pytest.approx(chain("its hair was") - chain("its hare was"), abs=1e-4)
    assert found.global_ == pytest.approx(chain("Its hair was long.") - chain("Its hare was long."), abs=1e-4)
    assert abs(found.local_ - found.global_) > 1e-3


def test_a_text_longer_than_the_context_has_no_probability() -> None:
    policy = tiny_policy()
    short, long = log_probabilities(policy, "reference", ["ab", "a" * (policy.context_length + 5)])
    assert short == pytest.approx(chain("ab"), abs=1e-4)
    assert long is None


def test_one_word_three_times_as_likely_under_a_meaning_by_hand() -> None:
    """P(a|w) = (3 + 1) / (3 + 1 + 1 + 1) = 2/3. P(f=1) is 3/4 under a, 1/2 under b: the two KL sum to 1/4 of log 3."""
    found = Meanings(priors=(5, 5), support=[(3.0, 1.0)])
    assert found.ambiguity == pytest.approx(-(2 / 3 * math.log(2 / 3) + 1 / 3 * math.log(1 / 3)))
    assert found.distinctiveness == pytest.approx(math.log(3) / 4)


def test_without_evidence_the_prior_decides_and_nothing_is_distinct() -> None:
    assert Meanings(priors=(1, 1), support=[]).ambiguity == pytest.approx(math.log(2))
    found = Meanings(priors=(2, 1), support=[(1.0, 1.0)])
    assert found.ambiguity == pytest.approx(math.log(3) - 2 / 3 * math.log(2))
    assert found.distinctiveness == 0.0


def test_a_certain_meaning_is_not_ambiguous() -> None:
    assert Meanings(priors=(1, 1), support=[(1e9, 1e-9)] * 50).ambiguity == pytest.approx(0, abs=1e-12)


def test_both_are_the_papers_sums_over_all_subsets_of_words() -> None:
    """Equations 2 and 6 as they stand, over the 2³ values of f."""
    priors, support = (3.0, 2.0), [(4.0, 0.5), (0.2, 1.5), (1.0, 3.0)]
    subsets = list(product((0, 1), repeat=3))
    weights = [
        [math.prod(pair[m] if f else 1.0 for pair, f in zip(support, subset, strict=True)) for subset in subsets]
        for m in (0, 1)
    ]
    joint = [priors[m] * sum(weights[m]) for m in (0, 1)]
    posterior = [part / sum(joint) for part in joint]
    a, b = ([weight / sum(each) for weight in each] for each in weights)
    found = Meanings(priors=priors, support=support)
    assert found.ambiguity == pytest.approx(-sum(p * math.log(p) for p in posterior))
    kl = sum(x * math.log(x / y) + y * math.log(y / x) for x, y in zip(a, b, strict=True))
    assert found.distinctiveness == pytest.approx(kl)


def test_relatedness_is_counted_in_texts_and_drawn_to_one() -> None:
    """ran: in half the texts, 1 of 2 with hare, 0 of 1 with hair: (1/½ + 1)/3 and (0 + 1)/2. fell: in a quarter, 0 of 2
    and 1 of 1: (0 + 1)/3 and (4 + 1)/2. A word that no text holds speaks for neither."""
    found = meanings(CORPUS, ["ran", "fell", "zorb"], "hare", "hair")
    assert found is not None
    assert found.priors == (2, 1)
    assert found.support == [pytest.approx((1, 1 / 2)), pytest.approx((1 / 3, 5 / 2)), (1.0, 1.0)]


def test_a_meaning_that_the_corpus_lacks_gives_nothing() -> None:
    assert meanings(CORPUS, ["ran"], "hare", "heir") is None

"""chrF and self-BLEU by hand, and against sacrebleu's own account of whole sets."""

from __future__ import annotations

import math
import random

import pytest
from evaluation_standins import build, lend
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from rlhf_core.contract.errors import RLHFError
from rlhf_core.contract.evaluator import EvalContext, Evaluation
from rlhf_core.contract.reward import Completion

PAIRS = [("the cat sat on mat", "the cat sat on the mat"), ("barking dogs", "a dog barks"), ("", "words")]


def chrf(*pairs: tuple[str, str], **options: object) -> Evaluation:
    completions = [Completion(prompt="p", text=text, record={"output": answer}) for text, answer in pairs]
    found: Evaluation = build("bleu", "evaluator", "chrf", reference="output", **options).evaluate(
        completions, EvalContext(lend=lend())
    )
    return found


def self_bleu(*texts: str, groups: str = "", **options: object) -> list[float | None]:
    named = groups or "p" * len(texts)
    completions = [Completion(prompt="p", text=text, group=g) for text, g in zip(texts, named, strict=True)]
    found = build("bleu", "evaluator", "self-bleu", **options).evaluate(completions, EvalContext(lend=lend()))
    return list(found.scores["self-bleu"])


def test_chrf_is_the_formula_by_hand() -> None:
    """'abc' for 'ab': precision 2/3 and 1/2, mean 7/12; recall 1; F₂ = 5·(7/12) / (4·(7/12) + 1) = 7/8."""
    found = chrf(("abc", "ab"), ("ab", "ac"))
    assert found.scores["sentence"] == [pytest.approx(87.5), pytest.approx(25.0)]


def test_chrf_of_the_set_and_of_any_part_is_what_sacrebleu_says() -> None:
    found = chrf(*PAIRS)
    assert found.recompute is not None
    for which in ([0, 1, 2], [0], [1, 2]):
        texts, answers = zip(*(PAIRS[index] for index in which), strict=True)
        expected = CHRF().corpus_score(list(texts), [list(answers)]).score
        assert found.recompute(which) == {"corpus": pytest.approx(expected)}
    assert found.corpus == found.recompute(range(3))


def test_word_order_2_is_chrf_plus_plus_and_the_signature_says_so() -> None:
    (note,) = chrf(PAIRS[0], word_order=2, lowercase=True).notes
    assert note.startswith("signature of corpus: nrefs:1|case:lc|eff:yes|nc:6|nw:2|space:no|version:")
    assert chrf(PAIRS[0], word_order=2).corpus != chrf(PAIRS[0]).corpus


def test_chrf_names_the_record_without_a_reference() -> None:
    with pytest.raises(RLHFError, match="chrf: : no reference answer in the column 'output'"):
        chrf(("a", " "))


def test_self_bleu_is_the_formula_by_hand() -> None:
    """'the cat sat' beside 'the cat ran': 2 of 3 words, 1 of 2 pairs, 0 of 1 triples, which smoothing takes for ½."""
    found = self_bleu("the cat sat", "the cat ran", "a dog ran")
    assert found[0] == pytest.approx(100 * (2 / 3 * 1 / 2 * 1 / 2) ** (1 / 3))


def test_a_text_is_short_beside_the_others_and_not_beside_itself() -> None:
    """Every n-gram of 'a b c' is there, in five words: the brevity penalty is e^(1 − 5/3)."""
    assert self_bleu("a b c", "a b c d e")[0] == pytest.approx(100 * math.exp(1 - 5 / 3))


def test_self_bleu_is_sacrebleu_with_all_others_as_references() -> None:
    rng = random.Random(0)
    texts = [" ".join(rng.choices("abcde", k=rng.randint(1, 12))) for _ in range(30)]
    metric = BLEU(effective_order=True)
    expected = [metric.sentence_score(text, texts[:at] + texts[at + 1 :]).score for at, text in enumerate(texts)]
    assert self_bleu(*texts) == [pytest.approx(score) for score in expected]


def test_self_bleu_of_equal_texts_is_100_and_of_strangers_0() -> None:
    assert self_bleu("a b c d", "a b c d") == [pytest.approx(100), pytest.approx(100)]
    assert self_bleu("a b c d", "w x y z") == [0.0, 0.0]


def test_an_empty_or_lonely_completion_has_no_self_bleu() -> None:
    assert self_bleu("a b", "", "a b") == [pytest.approx(100), None, pytest.approx(100)]
    assert self_bleu("a b") == [None]


def test_self_bleu_within_a_prompt_does_not_look_at_others() -> None:
    found = self_bleu("a b", "x y", "a b", groups="112", among="prompt")
    assert found == [0.0, 0.0, None]

"""BLEU as published, with counts that add up over any choice of completions."""

from __future__ import annotations

import math

import pytest
from evaluation_standins import build, lend
from sacrebleu.metrics.bleu import BLEU

from rlhf_core.contract.errors import RLHFError
from rlhf_core.contract.evaluator import EvalContext, Evaluation
from rlhf_core.contract.reward import Completion

PAIRS = [
    ("the cat sat on mat", "the cat sat on the mat"),
    ("a dog barks at the old grey moon", "a dog barks at the moon"),
    ("nothing alike here", "entirely other words stand there now"),
]


def measure(*pairs: tuple[str, str], **options: object) -> Evaluation:
    completions = [Completion(prompt="p", text=text, record={"output": reference}) for text, reference in pairs]
    bleu = build("bleu", "evaluator", "bleu", reference="output", **options)
    return bleu.evaluate(completions, EvalContext(lend=lend()))


def test_one_sentence_is_the_formula_by_hand() -> None:
    """5 of 5 words, 3 of 4 pairs, 2 of 3 triples, 1 of 2 fours; 5 words for 6: the brevity penalty is e^(1 − 6/5)."""
    expected = 100 * math.exp(1 - 6 / 5) * (1 * 3 / 4 * 2 / 3 * 1 / 2) ** 0.25
    found = measure(PAIRS[0])
    assert found.corpus["corpus"] == pytest.approx(expected)
    assert found.scores["sentence"] == [pytest.approx(expected)]


def test_the_set_is_what_sacrebleu_says_of_it_and_no_mean_of_sentences() -> None:
    found = measure(*PAIRS)
    texts, references = zip(*PAIRS, strict=True)
    assert found.corpus["corpus"] == pytest.approx(BLEU().corpus_score(list(texts), [list(references)]).score)
    assert found.corpus["corpus"] != pytest.approx(sum(map(float, found.scores["sentence"])) / 3, abs=1)  # type: ignore[arg-type]


def test_a_part_of_the_set_is_measured_as_if_it_were_the_set() -> None:
    found = measure(*PAIRS)
    assert found.recompute is not None
    for which in ([0], [1, 2], [0, 1, 2]):
        alone = measure(*(PAIRS[index] for index in which))
        assert found.recompute(which) == {"corpus": pytest.approx(alone.corpus["corpus"])}


def test_an_empty_answer_has_nothing_in_common() -> None:
    assert measure(("", "some words")).scores["sentence"] == [0.0]


def test_the_signature_says_what_the_figure_is() -> None:
    (note,) = measure(PAIRS[0], tokenize="char", lowercase=True).notes
    assert note.startswith("signature of corpus: nrefs:1|case:lc|eff:no|tok:char|smooth:exp|version:")


def test_a_record_without_a_reference_is_named_with_the_columns_there_are() -> None:
    bleu = build("bleu", "evaluator", "bleu", reference="output")
    asked = [Completion(prompt="p", text="t", group="alpaca.json:3", record={"instruction": "x", "answer": "y"})]
    with pytest.raises(RLHFError, match=r"alpaca\.json:3: no reference answer in the column 'output' \(columns: "):
        bleu.evaluate(asked, EvalContext(lend=lend()))

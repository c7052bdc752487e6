"""chrF by sacrebleu: character n-grams in common with one reference answer, 0 to 100.

F_β = (1 + β²)·P·R / (β²·P + R) with β = 2, P and R the mean precision and recall over character n-grams of order 1 to 6
(Popović 2015, "chrF: character n-gram F-score for automatic MT evaluation"); chrF++ adds word n-grams (Popović 2017).
It forgives inflection and spelling where BLEU does not; for the rest, what is said of BLEU holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from functools import partial

from sacrebleu.metrics.chrf import CHRF

from rlhf_core.contract.evaluator import EvalContext, Evaluation, Need, reference_answer
from rlhf_core.contract.reward import Completion

from .options import ChrFOptions


class ChrF:
    needs: Set[Need] = frozenset()

    def __init__(self, options: ChrFOptions) -> None:
        self.options = options
        self.metric = CHRF(word_order=options.word_order, lowercase=options.lowercase)

    def evaluate(self, completions: Sequence[Completion], context: EvalContext) -> Evaluation:
        """Raises: RLHFError naming the prompt whose record has no reference."""
        references = [reference_answer(one, self.options.reference, evaluator="chrf") for one in completions]
        texts = [completion.text for completion in completions]
        sentences = [self.metric.sentence_score(a, [b]).score for a, b in zip(texts, references, strict=True)]
        # Counts of each completion: so that a part of the set costs a sum, not another reading of its texts.
        counts = self.metric._extract_corpus_statistics(texts, [references])
        return Evaluation(
            scores={"sentence": sentences},
            corpus=self.corpus(counts, range(len(counts))),
            recompute=partial(self.corpus, counts),
            better={"sentence": "higher", "corpus": "higher"},
            notes=[f"signature of corpus: {self.metric.get_signature()}"],
        )

    def corpus(self, counts: Sequence[Sequence[int]], which: Sequence[int]) -> Mapping[str, float]:
        """chrF of the chosen completions together: their counts are added up, not their scores averaged."""
        return {"corpus": self.metric._aggregate_and_compute([list(counts[index]) for index in which]).score}

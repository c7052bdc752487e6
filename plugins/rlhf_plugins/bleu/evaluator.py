"""BLEU (Papineni et al. 2002) by sacrebleu, of the whole set and of single completions.

A score of 0 to 100 for words in common with one reference answer: useful to see a model begin to follow instructions,
no measure of a good answer, since most good answers share few words. Figures are comparable under one signature only,
which is why it stands among the notes (Post 2018, "A Call for Clarity in Reporting BLEU Scores").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from functools import partial

from sacrebleu.metrics.bleu import BLEU, BLEUScore

from rlhf_core.contract.evaluator import EvalContext, Evaluation, Need, reference_answer
from rlhf_core.contract.reward import Completion

from .options import BleuOptions


class Bleu:
    needs: Set[Need] = frozenset()

    def __init__(self, options: BleuOptions) -> None:
        self.options = options
        self.whole_set = BLEU(tokenize=options.tokenize, lowercase=options.lowercase)
        # A short answer has no four words in a row: the orders that it cannot have are left out.
        self.single = BLEU(tokenize=options.tokenize, lowercase=options.lowercase, effective_order=True)

    def evaluate(self, completions: Sequence[Completion], context: EvalContext) -> Evaluation:
        """Raises: RLHFError naming the prompt whose record has no reference."""
        references = [reference_answer(one, self.options.reference, evaluator="bleu") for one in completions]
        found = [
            self.single.sentence_score(one.text, [text]) for one, text in zip(completions, references, strict=True)
        ]
        return Evaluation(
            scores={"sentence": [score.score for score in found]},
            corpus=self.corpus(found, range(len(found))),
            recompute=partial(self.corpus, found),
            better={"sentence": "higher", "corpus": "higher"},
            notes=[f"signature of corpus: {self.signature}"],
        )

    def corpus(self, found: Sequence[BLEUScore], which: Sequence[int]) -> Mapping[str, float]:
        """BLEU of the chosen completions together: their counts are added up, not their scores averaged."""
        orders = range(self.whole_set.max_ngram_order)
        chosen = [found[index] for index in which]
        score = BLEU.compute_bleu(
            correct=[sum(one.counts[order] for one in chosen) for order in orders],
            total=[sum(one.totals[order] for one in chosen) for order in orders],
            sys_len=sum(one.sys_len for one in chosen),
            ref_len=sum(one.ref_len for one in chosen),
            smooth_method=self.whole_set.smooth_method,
            smooth_value=self.whole_set.smooth_value,
        )
        return {"corpus": score.score}

    @property
    def signature(self) -> str:
        self.whole_set.corpus_score(["a"], [["a"]])  # which is what tells it the number of references
        return str(self.whole_set.get_signature())

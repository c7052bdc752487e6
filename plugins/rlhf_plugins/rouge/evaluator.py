"""ROUGE by rouge-score: words, pairs of words and the longest common subsequence shared with one reference answer.

ROUGE-n is the F₁ of n-grams in common; ROUGE-L the F₁ of the longest common subsequence of words over the whole text
(Lin 2004, "ROUGE: A Package for Automatic Evaluation of Summaries"). 0 to 1. Made for summaries, where recall of a
reference's words means something; for open requests it says little.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from importlib.metadata import version

from rouge_score.rouge_scorer import RougeScorer

from rlhf_core.contract.evaluator import EvalContext, Evaluation, Need, reference_answer
from rlhf_core.contract.reward import Completion

from .options import RougeOptions

_KINDS = {"rouge1": "rouge-1", "rouge2": "rouge-2", "rougeL": "rouge-l"}
"""The package's names, and those of the metrics."""


class Rouge:
    needs: Set[Need] = frozenset()

    def __init__(self, options: RougeOptions) -> None:
        self.options = options
        self.scorer = RougeScorer(list(_KINDS), use_stemmer=options.stemmer)

    def evaluate(self, completions: Sequence[Completion], context: EvalContext) -> Evaluation:
        """Raises: RLHFError naming the prompt whose record has no reference."""
        found = [
            self.scorer.score(reference_answer(one, self.options.reference, evaluator="rouge"), one.text)
            for one in completions
        ]
        stemmed = "stemmed" if self.options.stemmer else "not stemmed"
        return Evaluation(
            scores={metric: [float(each[kind].fmeasure) for each in found] for kind, metric in _KINDS.items()},
            better=dict.fromkeys(_KINDS.values(), "higher"),
            notes=[f"F1 by rouge-score {version('rouge-score')}, words {stemmed}; its words are runs of a-z and 0-9"],
        )

"""Self-BLEU: the BLEU of each completion with the other completions as its references, 0 to 100.

Zhu et al. 2018, "Texygen: A Benchmarking Platform for Text Generation Models". High where all completions say the same;
low says that they differ, not that they are good. It rises with the number of completions: compare equal numbers.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence, Set

from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.helpers import extract_all_word_ngrams

from rlhf_core.contract.evaluator import EvalContext, Evaluation, Need
from rlhf_core.contract.reward import Completion

from .options import SelfBleuOptions

Grams = Mapping[tuple[str, ...], int]


class SelfBleu:
    needs: Set[Need] = frozenset()

    def __init__(self, options: SelfBleuOptions) -> None:
        self.options = options
        self.metric = BLEU(tokenize=options.tokenize, lowercase=options.lowercase, effective_order=True)

    def evaluate(self, completions: Sequence[Completion], context: EvalContext) -> Evaluation:
        """None for an empty completion, and for one that has nothing to be compared with."""
        pools: dict[str, list[int]] = defaultdict(list)
        for index, completion in enumerate(completions):
            if completion.text.strip():
                pools[completion.group if self.options.among == "prompt" else ""].append(index)
        scores: list[float | None] = [None] * len(completions)
        for pool in pools.values():
            if len(pool) > 1:
                for index, score in zip(pool, self.scores([completions[i].text for i in pool]), strict=True):
                    scores[index] = score
        whom = "of the same prompt" if self.options.among == "prompt" else "of all prompts"
        return Evaluation(
            scores={"self-bleu": scores},
            better={"self-bleu": "lower"},
            notes=[f"against all other completions {whom}; rises with their number: compare equal numbers"],
        )

    def scores(self, texts: Sequence[str]) -> list[float]:
        """What ``sentence_score(text, all other texts)`` gives, without reading the others anew for each text."""
        read = [extract_all_word_ngrams(self.tokenised(text), 1, self.metric.max_ngram_order) for text in texts]
        two_most = _two_most([grams for grams, _ in read])
        lengths = Counter(length for _, length in read)
        return [self._score(grams, length, two_most, lengths) for grams, length in read]

    def tokenised(self, text: str) -> str:
        return str(self.metric.tokenizer((text.lower() if self.options.lowercase else text).rstrip()))

    def _score(
        self, grams: Grams, length: int, two_most: Mapping[tuple[str, ...], tuple[int, int]], lengths: Counter[int]
    ) -> float:
        correct, total = [0] * self.metric.max_ngram_order, [0] * self.metric.max_ngram_order
        for gram, count in grams.items():
            most, second = two_most[gram]
            # The most that another text has: the runner-up where this text is the one that has most.
            correct[len(gram) - 1] += min(count, second if count == most else most)
            total[len(gram) - 1] += count
        others = [other for other, count in lengths.items() if other != length or count > 1]
        closest = min(others, key=lambda other: (abs(other - length), other))
        found = BLEU.compute_bleu(
            correct, total, length, closest,
            smooth_method=self.metric.smooth_method, smooth_value=self.metric.smooth_value, effective_order=True,
        )  # fmt: skip
        return float(found.score)


def _two_most(texts: Sequence[Grams]) -> dict[tuple[str, ...], tuple[int, int]]:
    """For each n-gram the two highest counts that any two texts have of it; the second is 0 where one text has it."""
    found: dict[tuple[str, ...], tuple[int, int]] = {}
    for grams in texts:
        for gram, count in grams.items():
            most, second = found.get(gram, (0, 0))
            found[gram] = (count, most) if count > most else (most, max(second, count))
    return found

"""Memorisation: how much of a completion stands word for word in the training texts.

``longest-copy`` is the length, in words, of the longest n-gram that a completion has in common with any training text;
``nearest`` the highest Jaccard index |A ∩ B| / |A ∪ B| of its set of word n-grams with that of one training text
(Broder 1997, "On the resemblance and containment of documents"). Words are lower-cased, punctuation does not count.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence, Set

from rlhf_core.contract.evaluator import EvalContext, Evaluation, Need
from rlhf_core.contract.reward import Completion
from rlhf_core.math.text import ngrams, words

from .options import MemorisationOptions

Words = Sequence[str]


class Memorisation:
    needs: Set[Need] = frozenset({"train_set"})

    def __init__(self, options: MemorisationOptions) -> None:
        self.options = options

    def evaluate(self, completions: Sequence[Completion], context: EvalContext) -> Evaluation:
        if not context.train_texts:
            nothing: list[float | None] = [None] * len(completions)
            return Evaluation(
                scores={"longest-copy": nothing, "nearest": nothing},
                notes=["not measured: the run's training texts are not at hand"],
            )
        texts = [words(completion.text) for completion in completions]
        train = [words(text) for text in context.train_texts]
        copies = longest_copies(texts, train)
        found = list(nearest(texts, train, self.options.order))
        return Evaluation(
            scores={
                "longest-copy": [float(copy) if text else None for copy, text in zip(copies, texts, strict=True)],
                "nearest": [resemblance for resemblance, _ in found],
            },
            rows=[{"nearest-text": "" if index is None else context.train_texts[index]} for _, index in found],
            better={"longest-copy": "lower", "nearest": "lower"},
            notes=[
                f"against the {len(train)} completions that the run was trained on; nearest is the Jaccard index of "
                f"{self.options.order}-grams of words; a base model's own pretraining texts are not seen"
            ],
        )


def longest_copies(texts: Sequence[Words], train: Sequence[Words]) -> list[int]:
    """Per text the number of words of the longest n-gram that it shares with any training text.

    Order by order, from the places alone where the order before matched: the cost is the training words once, and then
    what really is in common.
    """
    found, order = [0] * len(texts), 0
    starts = [(index, start) for index, text in enumerate(train) for start in range(len(text))]
    while starts:
        order += 1
        owners = defaultdict(list)
        for index, text in enumerate(texts):
            # What is not in the training texts at one order is not at the next.
            for gram in ngrams(text, order) if found[index] == order - 1 else ():
                owners[gram].append(index)
        starts, seen = _matching(starts, train, order, owners.keys())
        for gram in seen:
            for index in owners[gram]:
                found[index] = order
    return found


def _matching(
    starts: Sequence[tuple[int, int]], train: Sequence[Words], order: int, wanted: Set[tuple[str, ...]]
) -> tuple[list[tuple[int, int]], set[tuple[str, ...]]]:
    """The places where an n-gram begins that is wanted, and the n-grams found."""
    kept, seen = [], set()
    for index, start in starts:
        gram = tuple(train[index][start : start + order])
        if gram in wanted:
            kept.append((index, start))
            seen.add(gram)
    return kept, seen


def nearest(texts: Sequence[Words], train: Sequence[Words], order: int) -> Iterator[tuple[float | None, int | None]]:
    """Per text: the highest Jaccard index with a training text, and which that is (the first of equals).

    None for a text shorter than one n-gram; 0 and no index where no n-gram is in common.
    """
    own = [set(ngrams(text, order)) for text in texts]
    wanted = set().union(*own)
    postings, sizes = defaultdict(list), []
    for index, text in enumerate(train):
        grams = set(ngrams(text, order))
        sizes.append(len(grams))
        for gram in grams & wanted:
            postings[gram].append(index)
    for grams in own:
        if not grams:
            yield None, None
            continue
        common = Counter(index for gram in grams for index in postings[gram])
        yield max(
            ((count / (len(grams) + sizes[index] - count), index) for index, count in common.items()),
            key=lambda pair: (pair[0], -pair[1]),
            default=(0.0, None),
        )

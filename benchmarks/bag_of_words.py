"""The baseline that a reward model has to beat: logistic regression on word counts.

    python benchmarks/bag_of_words.py            # accuracy on the embedded puns' test words, by kind of rejected line

A pair is (prompt, chosen, rejected). The two lines share the prompt, so its own word counts cancel in the difference;
what a linear model can use of it is how many of its words a line repeats. ``overlap`` adds that number as one feature:
a stronger baseline, which knows whether a line is on the topic, but still nothing of what goes with what.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Pair = tuple[str, str, str]
Floats = NDArray[np.float64]

_WORD = re.compile(r"[a-z]+(?:'[a-z]+)?|[.,?!]")
_STEPS = 400


def pair_correctness(
    train: Sequence[Pair], test: Sequence[Pair], *, overlap: bool = False, l2: float = 1.0
) -> list[float]:
    """1 where the chosen line of a test pair scores higher, 0 where the rejected one does, 0.5 for a tie.

    Fits argmin_w Σ log(1 + exp(−w·(chosen − rejected))) + l2/2 |w|² over word-count differences. No randomness.

    Raises: ValueError when there is nothing to train on.
    """
    if not train:
        raise ValueError("bag of words: no training pairs")
    columns = _columns(train)
    weights = _fit(_differences(train, columns, overlap=overlap), l2)
    margins = _differences(test, columns, overlap=overlap) @ weights
    return [0.5 if abs(margin) < 1e-9 else float(margin > 0) for margin in margins]


def _columns(pairs: Sequence[Pair]) -> Mapping[str, int]:
    words = sorted({word for _, chosen, rejected in pairs for word in _words(chosen) + _words(rejected)})
    return {word: column for column, word in enumerate(words)}


def _differences(pairs: Sequence[Pair], columns: Mapping[str, int], *, overlap: bool) -> Floats:
    """``[pairs, words + 1]``: counts in the chosen line minus counts in the rejected one; unseen words are left out."""
    rows = np.zeros((len(pairs), len(columns) + 1))
    for row, (prompt, chosen, rejected) in zip(rows, pairs, strict=True):
        for sign, line in ((1.0, chosen), (-1.0, rejected)):
            for word in _words(line):
                if word in columns:
                    row[columns[word]] += sign
            if overlap:
                row[-1] += sign * len(set(_words(line)) & set(_words(prompt)))
    return rows


def _fit(rows: Floats, l2: float) -> Floats:
    """Nesterov's accelerated gradient with the step 1/L; L bounds the curvature of the logistic loss."""
    step = 1.0 / (0.25 * float(np.linalg.norm(rows, 2)) ** 2 + l2)
    weights = ahead = np.zeros(rows.shape[1])
    for number in range(_STEPS):
        pull = 1.0 / (1.0 + np.exp(np.clip(rows @ ahead, -30.0, 30.0)))
        following = ahead - step * (l2 * ahead - rows.T @ pull)
        ahead = following + number / (number + 3.0) * (following - weights)
        weights = following
    return weights


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def main() -> None:
    """Print accuracy on the embedded test pairs for each kind of rejected line and each origin."""
    from rlhf_plugins.puns.dataset import PunData
    from rlhf_plugins.puns.options import KINDS, PunDataOptions

    def triple(row: Mapping[str, object]) -> Pair:
        return str(row["prompt"]), str(row["chosen"]), str(row["rejected"])

    train = [triple(row) for row in PunData(PunDataOptions(view="pairs")).rows("train")]
    every = PunDataOptions(view="pairs", kinds=dict.fromkeys(KINDS, 1.0))
    test = list(PunData(every).rows("test"))
    plain = pair_correctness(train, [triple(row) for row in test])
    topical = pair_correctness(train, [triple(row) for row in test], overlap=True)
    for origin in ("record", "generated"):
        for kind in KINDS:
            at = [i for i, row in enumerate(test) if (row["origin"], row["kind"]) == (origin, kind)]
            if not at:
                continue
            print(f"{origin:10} {kind:12} n={len(at):4}", end="  ")
            print(f"words {np.mean([plain[i] for i in at]):.3f}  with overlap {np.mean([topical[i] for i in at]):.3f}")


if __name__ == "__main__":
    main()

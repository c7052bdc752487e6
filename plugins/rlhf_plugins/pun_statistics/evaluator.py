"""The evaluator: which prompts name a pun, which of its numbers exist, and the numbers.

Formulas and sources stand in ``sounds.py``, ``surprisal.py`` and ``meanings.py``; docs/metrics.md says where they are
valid. All but ``pun-word-once`` are of heterographic puns: where the alternative does not sound like the pun word, one
word has two senses (or the column holds a gloss), and nothing here can be said of it.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass

from rlhf_core.contract.evaluator import EvalContext, Evaluation, Need
from rlhf_core.contract.reward import Completion
from rlhf_core.math.text import words

from .meanings import Corpus, Meanings, meanings
from .options import PunStatisticsOptions
from .sounds import SoundDistance, sound_distance
from .surprisal import Surprisal, spans, surprisals


@dataclass(frozen=True)
class Pun:
    """What a prompt asks to play on.

    Args:
        word: the pun word.
        alternative: what it plays on; None where there is none that sounds like it.
        apart: how far the two sound apart.
    """

    word: str
    alternative: str | None = None
    apart: SoundDistance | None = None


class PunStatistics:
    def __init__(self, options: PunStatisticsOptions) -> None:
        self.options = options
        self.needs: Set[Need] = frozenset({"train_set", *(("reference",) if options.model is None else ())})

    def evaluate(self, completions: Sequence[Completion], context: EvalContext) -> Evaluation:
        puns = [self.pun(completion) for completion in completions]
        pairs = list(zip(completions, puns, strict=True))
        found = self.surprisals(pairs, context)
        senses = self.meanings(pairs, context)
        return Evaluation(
            scores={
                "pun-word-once": [None if pun is None else float(is_once(one.text, pun.word)) for one, pun in pairs],
                "alternative-absent": [
                    None if pun is None or pun.alternative is None else float(not places(one.text, pun.alternative))
                    for one, pun in pairs
                ],
                "sound-distance": [
                    None if pun is None or pun.apart is None else float(pun.apart.edits) for pun in puns
                ],
                "local-surprisal": [None if each is None else each.local_ for each in found],
                "global-surprisal": [None if each is None else each.global_ for each in found],
                "surprisal-ratio": [None if each is None else each.ratio for each in found],
                "ambiguity": [None if each is None else each.ambiguity for each in senses],
                "distinctiveness": [None if each is None else each.distinctiveness for each in senses],
            },
            better={"pun-word-once": "higher", "alternative-absent": "higher", "surprisal-ratio": "higher"},
            notes=self.notes(puns, context),
        )

    def pun(self, completion: Completion) -> Pun | None:
        word, alternative = (
            completion.record.get(column) for column in (self.options.pun_word, self.options.alternative)
        )
        if not isinstance(word, str) or not words(word):
            return None
        if not isinstance(alternative, str) or words(alternative) == words(word):
            return Pun(word)
        apart = sound_distance(word, alternative)
        if apart is None or apart.share > self.options.sounds_alike:
            return Pun(word)
        return Pun(word, alternative, apart)

    def surprisals(
        self, pairs: Sequence[tuple[Completion, Pun | None]], context: EvalContext
    ) -> list[Surprisal | None]:
        """None for what is no heterographic pun, or does not hold the pun word exactly once."""
        asked = {
            index: spans(completion.text, places(completion.text, pun.word)[0], pun.alternative, self.options.window)
            for index, (completion, pun) in enumerate(pairs)
            if pun is not None and pun.alternative is not None and is_once(completion.text, pun.word)
        }
        found: list[Surprisal | None] = [None] * len(pairs)
        if self.options.model is not None:
            policy, role = context.lend.open_policy(self.options.model), "policy"
        else:
            assert context.policy is not None, "core fills what `needs` lists"
            policy, role = context.policy, "reference"
        for index, each in zip(asked, surprisals(policy, role, list(asked.values())), strict=True):
            found[index] = each
        return found

    def meanings(self, pairs: Sequence[tuple[Completion, Pun | None]], context: EvalContext) -> list[Meanings | None]:
        """None as above, and where the training texts are not at hand or lack one of the two words."""
        if not context.train_texts:
            return [None] * len(pairs)
        corpus = Corpus(context.train_texts)
        found: list[Meanings | None] = []
        for completion, pun in pairs:
            if pun is None or pun.alternative is None or not is_once(completion.text, pun.word):
                found.append(None)
                continue
            (place,) = places(completion.text, pun.word)
            said = words(completion.text)
            found.append(meanings(corpus, [*said[: place.start], *said[place.stop :]], pun.word, pun.alternative))
        return found

    def notes(self, puns: Sequence[Pun | None], context: EvalContext) -> list[str]:
        named = sum(pun is not None for pun in puns)
        heterographic = sum(pun is not None and pun.alternative is not None for pun in puns)
        counted = f"counted in {len(context.train_texts)} training texts" if context.train_texts else "not measured"
        return [
            f"{named} of {len(puns)} completions have a pun word, {heterographic} of them an alternative that sounds "
            "like it; for all others surprisal, ambiguity and distinctiveness are not applicable",
            f"relatedness of words, for ambiguity and distinctiveness: {counted} (the paper asked people)",
        ]


def places(text: str, phrase: str) -> list[range]:
    """Where the phrase stands among the words of the text."""
    said, wanted = words(text), words(phrase)
    starts = range(len(said) - len(wanted) + 1)
    return [range(at, at + len(wanted)) for at in starts if said[at : at + len(wanted)] == wanted]


def is_once(text: str, word: str) -> bool:
    return len(places(text, word)) == 1

"""The data set ``puns``: the hand-written records and lines made from the lexicon, in the shape a stage wants."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from rlhf_core.contract.records import JSON

from . import corpus, generator
from .options import Negative, PunDataOptions
from .resources import PROMPT, Entry, PunRecord, checked, of_split, records

Row = Mapping[str, JSON]
CORPUS_SPLITS = ("train", "validation")


@dataclass(frozen=True)
class Example:
    """A prompt on one pun word, with a pun and a plain line.

    Args:
        topic: the subject, for made examples; None for hand-written ones.
        unrelated: the word used in another sense on another subject.
    """

    id: str
    prompt: str
    entry: Entry
    pun: str
    plain: str
    unrelated: str
    topic: str | None = None

    @property
    def columns(self) -> dict[str, JSON]:
        """What every row tells of its example."""
        return {
            "prompt": self.prompt,
            "pun_word": self.entry.word,
            "plays_on": self.entry.plays_on,
            "origin": "record" if self.topic is None else "generated",
        }


class PunData:
    """See :class:`~.options.PunDataOptions`. Splits are by pun word, and no topic noun is in two of them."""

    def __init__(self, options: PunDataOptions) -> None:
        self.options = options

    def rows(self, split: str) -> Iterator[Row]:
        """Splits: train, validation, development (read while settings changed), test, and test_hard, of which the base
        saw nothing; corpus has the first two."""
        if self.options.view == "corpus":
            yield from self._corpus(checked(split, CORPUS_SPLITS))
            return
        words = of_split(split)
        views = {
            "pairs": self._pairs,
            "demonstrations": self._demonstrations,
            "prompts": _prompts,
            "records": _records,
        }
        yield from views[self.options.view](words)

    def _corpus(self, split: str) -> Iterator[Row]:
        for number, (part, text) in enumerate(corpus.of_split(split, self.options.seed), start=1):
            yield {"id": f"corpus-{split}-{number}", "text": text, "part": part}

    def _demonstrations(self, words: Sequence[Entry]) -> Iterator[Row]:
        """Exactly ``pun_share`` of them are puns, spread evenly over the words."""
        examples = list(self._examples(words))
        order = random.Random(f"share {self.options.seed}").sample(range(len(examples)), len(examples))
        puns = set(order[: round(self.options.pun_share * len(examples))])
        for index, example in enumerate(examples):
            kind, completion = ("pun", example.pun) if index in puns else ("plain", example.plain)
            yield {"id": example.id, **example.columns, "completion": completion, "kind": kind}

    def _pairs(self, words: Sequence[Entry]) -> Iterator[Row]:
        for example in self._examples(words):
            for kind, count in self.options.kinds.items():
                rng = random.Random(f"pairs {self.options.seed} {example.id} {kind}")
                if kind == "other_word" and example.topic is None:
                    continue  # a record's prompt has no subject that another word's punch could be told of
                for number in range(int(count) + (rng.random() < count % 1)):
                    yield {
                        "id": f"{example.id}-{kind}-{number + 1}",
                        **example.columns,
                        "chosen": example.pun,
                        "rejected": _rejected(kind, number, example, words, rng),
                        "kind": kind,
                    }

    def _examples(self, words: Sequence[Entry]) -> Iterator[Example]:
        """The two hand-written ones of each word and ``generated`` made ones on the topics its split asks for."""
        for entry in words:
            yield from (_by_hand(record, entry) for record in records() if record.pun_word == entry.word)
            rng = random.Random(f"lines {self.options.seed} {entry.word}")
            for number, (topic, pun) in enumerate(_made_puns(entry, self.options.generated, rng), start=1):
                yield Example(
                    id=f"{entry.word}-made-{number}",
                    prompt=PROMPT.format(topic=topic),
                    entry=entry,
                    pun=pun,
                    plain=generator.plain(entry, topic, rng),
                    unrelated=generator.unrelated(entry, words, rng),
                    topic=topic,
                )


def _prompts(words: Sequence[Entry]) -> Iterator[Row]:
    """The prompts of the records, and one for each topic: all of a train word's, the held-out ones of another's."""
    for entry in words:
        for record in records():
            if record.pun_word == entry.word:
                yield {"id": record.id, **_by_hand(record, entry).columns}
        for number, topic in enumerate(_asked(entry), start=1):
            yield {
                "id": f"{entry.word}-topic-{number}",
                "prompt": PROMPT.format(topic=topic),
                "pun_word": entry.word,
                "plays_on": entry.plays_on,
                "origin": "topic",
            }


def _records(words: Sequence[Entry]) -> Iterator[Row]:
    chosen = {entry.word for entry in words}
    return ({**asdict(record)} for record in records() if record.pun_word in chosen)


def _asked(entry: Entry) -> tuple[str, ...]:
    return entry.topics if entry.split == "train" else entry.held_out


def _made_puns(entry: Entry, count: int, rng: random.Random) -> Iterator[tuple[str, str]]:
    """Distinct lines, topics in turn; fewer where the frames run out."""
    seen: set[str] = set()
    topics = _asked(entry)
    for _attempt in range(20 * count):
        topic = topics[len(seen) % len(topics)]
        line = generator.pun(entry, topic, rng)
        if len(seen) < count and line not in seen:
            seen.add(line)
            yield topic, line


def _by_hand(record: PunRecord, entry: Entry) -> Example:
    return Example(
        id=record.id,
        prompt=record.prompt,
        entry=entry,
        pun=record.pun,
        plain=record.plain,
        unrelated=record.unrelated,
    )


def _rejected(kind: Negative, number: int, example: Example, words: Sequence[Entry], rng: random.Random) -> str:
    """The example's own line first where it has one; a made one after that."""
    entry = example.entry
    topic = example.topic or rng.choice(_asked(entry))
    if kind == "unrelated":
        return example.unrelated if number == 0 else generator.unrelated(entry, words, rng)
    if kind == "plain":
        return example.plain if number == 0 else generator.plain(entry, topic, rng)
    if kind == "other_topic":
        return _other_pun(example, words, rng)
    if kind == "other_word":
        return generator.other_word(entry, topic, words, rng)
    if kind == "corrupted":
        return generator.corrupted(example.pun, rng)
    return generator.stuffed(entry.word, topic, rng)


def _other_pun(example: Example, words: Sequence[Entry], rng: random.Random) -> str:
    """Hand-written beside hand-written, made beside made: the wording must not give it away."""
    if example.topic is not None:
        return generator.other_topic(example.entry, words, rng)
    chosen = {entry.word for entry in words} - {example.entry.word}
    return rng.choice([record.pun for record in records() if record.pun_word in chosen])

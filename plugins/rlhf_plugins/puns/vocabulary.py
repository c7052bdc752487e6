"""Words that a fluent line may use: those of ``res/puns`` and a list of everyday ones."""

from __future__ import annotations

from functools import cache

from .resources import cues, entries, records, text_of, words_of


@cache
def known_words() -> frozenset[str]:
    """Every word of the hand-written files, the cue lists included, and the everyday ones."""
    known = set(words_of(text_of("everyday.txt")))
    for entry in entries():
        for phrase in (*entry.topics, *entry.punches, *entry.plain, *entry.unrelated, entry.plays_on):
            known.update(words_of(phrase))
    for record in records():
        for line in (record.prompt, record.pun, record.plain, record.unrelated):
            known.update(words_of(line))
    for lists in cues().values():
        known |= lists.topic | lists.sense
    return frozenset(known)

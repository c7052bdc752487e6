"""The embedded puns: what is in the files, what the generator makes of them, and what each split has seen."""

from __future__ import annotations

import random
import re
from collections import Counter
from itertools import combinations

import pytest

from rlhf_core.contract.errors import RLHFError
from rlhf_plugins.puns import corpus, generator
from rlhf_plugins.puns.dataset import PunData
from rlhf_plugins.puns.options import KINDS, PunDataOptions
from rlhf_plugins.puns.resources import PROMPT, SPLITS, cues, entries, normalised, records, words_of

EVERY_KIND = dict.fromkeys(KINDS, 1.0)
ELICITED = ("validation", "development", "test")
"""Splits whose words the base has met and whose prompts it has not."""


def rows(split: str = "train", **options: object) -> list[dict[str, object]]:
    return [dict(row) for row in PunData(PunDataOptions(**options)).rows(split)]  # type: ignore[arg-type]


def test_the_counts_that_the_readme_states() -> None:
    assert len(entries()) == len({entry.word for entry in entries()}) == 276
    assert len(records()) == len({record.id for record in records()}) == len({r.prompt for r in records()}) == 552
    sizes = {"train": 140, "validation": 28, "development": 44, "test": 44, "test_hard": 20}
    assert Counter(entry.split for entry in entries()) == sizes
    assert sum(len(entry.topics) for entry in entries()) == 983
    assert Counter(record.pun_word for record in records()) == {entry.word: 2 for entry in entries()}
    assert set(cues()) == {entry.word for entry in entries()}


def test_the_word_stands_once_in_puns_and_unrelated_lines_and_never_in_plain_ones_or_prompts() -> None:
    for record in records():
        counts = [words_of(line).count(record.pun_word) for line in (record.pun, record.unrelated, record.plain)]
        assert counts == [1, 1, 0], record.id
        assert record.pun_word not in words_of(record.prompt), record.id
    for entry in entries():
        assert all(words_of(phrase).count(entry.word) == 1 for phrase in (*entry.punches, *entry.unrelated)), entry
        assert not any(entry.word in words_of(phrase) for phrase in (*entry.plain, *entry.topics)), entry


def test_no_two_records_have_equal_or_nearly_equal_lines() -> None:
    lines = [(r.id, set(words_of(line))) for r in records() for line in (r.pun, r.plain, r.unrelated)]
    near = [
        (one, other)
        for (one, a), (other, b) in combinations(lines, 2)
        if one != other and len(a & b) > 0.6 * len(a | b)
    ]
    assert near == []


def test_no_topic_belongs_to_two_words_and_cues_do_not_overlap() -> None:
    topics = Counter(topic for entry in entries() for topic in entry.topics)
    assert topics.most_common(1)[0][1] == 1
    for word, lists in cues().items():
        assert not lists.topic & lists.sense, word
        assert word not in lists.topic | lists.sense


def test_no_prompt_stands_in_two_splits() -> None:
    prompts = {split: {str(row["prompt"]) for row in rows(split, view="prompts")} for split in SPLITS}
    for one, other in combinations(SPLITS, 2):
        assert not prompts[one] & prompts[other]


def test_held_out_topics_are_at_least_half_and_share_no_line_with_told_ones() -> None:
    for entry in entries():
        assert set(entry.told) | set(entry.held_out) == set(entry.topics)
        assert not set(entry.told) & set(entry.held_out)
        if entry.split in ELICITED:
            assert 2 * len(entry.held_out) >= len(entry.topics)


def test_nothing_of_test_hard_words_is_in_the_corpus_or_in_another_splits_lines() -> None:
    hard = [entry for entry in entries() if entry.split == "test_hard"]
    phrases = [entry.word for entry in hard] + [topic.split(" ", 1)[1] for entry in hard for topic in entry.topics]
    phrases += [r.prompt.removeprefix("make a pun about ") for r in records() if r.split == "test_hard"]
    seen = re.compile(rf"\b(?:{'|'.join(map(re.escape, phrases))})\b")
    others = [entry for entry in entries() if entry.split != "test_hard"]
    lines = [line for entry in others for line in (*entry.topics, *entry.punches, *entry.plain, *entry.unrelated)]
    lines += [line for r in records() if r.split != "test_hard" for line in (r.prompt, r.pun, r.plain, r.unrelated)]
    assert not [line for line in lines if seen.search(line)]
    assert not [text for _, text in corpus.documents(0) if seen.search(text)]


def test_the_corpus_has_no_test_prompt_and_no_line_of_a_test_record() -> None:
    texts = [text for _, text in corpus.documents(0)]
    asked = {str(row["prompt"]) for split in ELICITED for row in rows(split, view="prompts")}
    assert not asked & {line for text in texts for line in text.split("\n")}
    unseen = {line for r in records() if r.split != "train" for line in (r.pun, r.plain, r.unrelated)}
    assert not unseen & {line for text in texts for line in text.split("\n")}


def test_puns_on_held_out_topics_stand_in_the_corpus_as_running_text_only() -> None:
    documents = [text for part, text in corpus.documents(0) if part == "pun"]
    answered = {text.split("\n")[0] for text in documents if "\n" in text}
    running = [f" {normalised(text)} " for text in documents if "\n" not in text]
    for entry in entries():
        if entry.split in ELICITED:
            for topic in entry.held_out:
                assert PROMPT.format(topic=topic) not in answered
                noun = f" {normalised(topic.split(' ', 1)[1])} "
                assert any(noun in text for text in running), (entry.word, topic)


def test_the_corpus_is_a_quarter_puns_distinct_and_the_same_each_time() -> None:
    documents = corpus.documents(0)
    assert len(documents) == len(set(documents)) > 30_000
    size = Counter[str]()
    for part, text in documents:
        size[part] += len(words_of(text))
    assert 0.2 < size["pun"] / sum(size.values()) < 0.3
    assert 600_000 < sum(size.values()) < 700_000
    held = rows("validation", view="corpus")
    assert len(held) == -(-len(documents) // 50)
    assert held[0]["text"] == documents[0][1]
    assert not {row["text"] for row in held} & {row["text"] for row in rows("train", view="corpus")}


def test_pairs_name_their_kind_and_differ_from_their_pun() -> None:
    found = rows("test", view="pairs", kinds=EVERY_KIND)
    assert Counter(row["kind"] for row in found if row["origin"] == "record") == dict.fromkeys(
        set(KINDS) - {"other_word"}, 88
    )
    assert Counter(row["kind"] for row in found if row["origin"] == "generated") == dict.fromkeys(KINDS, 264)
    assert all(row["chosen"] != row["rejected"] for row in found)
    assert len({row["id"] for row in found}) == len(found)


def test_each_kind_of_rejected_line_is_what_its_name_says() -> None:
    for row in rows("train", view="pairs", kinds=EVERY_KIND):
        word, rejected = str(row["pun_word"]), words_of(str(row["rejected"]))
        times = rejected.count(word)
        if row["kind"] == "unrelated":
            assert times == 1
        elif row["kind"] == "plain":
            assert times == 0
        elif row["kind"] == "other_word":
            topic = words_of(str(row["prompt"]))[5:]
            assert all(noun in rejected for noun in topic)
        elif row["kind"] == "stuffed":
            assert times >= generator.STUFFING[0]
        elif row["kind"] == "corrupted":
            assert set(rejected) <= set(words_of(str(row["chosen"])))


def test_a_count_of_a_half_gives_every_second_pun_a_rejected_line() -> None:
    assert len(rows(view="pairs", kinds={"plain": 0.5})) == pytest.approx(140 * 8 / 2, rel=0.1)
    assert len(rows(view="pairs", kinds={"plain": 2})) == 140 * 8 * 2
    assert len(rows(view="pairs", kinds={"unrelated": 1}, generated=0)) == 280


def test_lines_of_every_split_wear_frames_that_the_base_has_not_met_twice_as_often() -> None:
    openings = tuple(frame.split("{")[0] for frame in generator.STAGE_FRAMES)
    assert not [text for _, text in corpus.documents(0) if text.split("\n")[-1].startswith(openings)]
    for split in ("train", "test"):
        pairs = rows(split, view="pairs", kinds={"plain": 1})
        made = [str(row["chosen"]) for row in pairs if row["origin"] == "generated"]
        assert 0.3 < sum(line.startswith(openings) for line in made) / len(made) < 0.6


def test_test_prompts_are_records_and_held_out_topics_in_equal_number() -> None:
    found = rows("test", view="prompts")
    assert Counter(row["origin"] for row in found) == {"record": 88, "topic": 88}
    held_out = {PROMPT.format(topic=topic) for entry in entries() if entry.split == "test" for topic in entry.held_out}
    assert {row["prompt"] for row in found if row["origin"] == "topic"} == held_out


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_demonstrations_have_the_share_of_puns_asked_for(share: float) -> None:
    found = rows(view="demonstrations", pun_share=share)
    assert len(found) == 1120
    assert sum(row["kind"] == "pun" for row in found) == round(share * 1120)
    for row in found:
        assert (str(row["pun_word"]) in words_of(str(row["completion"]))) is (row["kind"] == "pun")


def test_the_same_seed_gives_the_same_rows_and_another_one_others() -> None:
    assert rows(view="pairs") == rows(view="pairs")
    assert rows(view="pairs", seed=1) != rows(view="pairs")


def test_records_come_as_they_are_in_the_file() -> None:
    first = rows("test_hard", view="records")[0]
    assert first["pun"] == "a small bird under the roof told me tales that were hard to swallow."
    assert set(first) == {"id", "split", "prompt", "pun_word", "plays_on", "pun", "plain", "unrelated"}


def test_an_unknown_split_is_told_with_the_ones_there_are() -> None:
    with pytest.raises(RLHFError, match=r"no split 'dev' here; there is train, .*, development, test, test_hard"):
        rows("dev", view="pairs")
    with pytest.raises(RLHFError, match=r"no split 'test' here; there is train, validation$"):
        rows("test", view="corpus")


def test_corrupting_keeps_the_last_mark_and_changes_the_line() -> None:
    line = "did you hear about the banker that lost interest?"
    for seed in range(20):
        damaged = generator.corrupted(line, random.Random(seed))
        assert damaged.endswith("?")
        assert damaged != line

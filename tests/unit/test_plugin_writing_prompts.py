"""Readers' votes to pairs: which two stories are compared, and what keeps prompts apart."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from rlhf_core.contract.errors import Problems, RLHFError
from rlhf_plugins.writing_prompts.dataset import RankedStories, split_of
from rlhf_plugins.writing_prompts.options import RankedStoriesOptions
from rlhf_plugins.writing_prompts.stories import Story, pairs

SPLITS = ("train", "validation", "test")


def ranked(*scores: float) -> list[Story]:
    return [Story(line, "p", f"story {line}", score) for line, score in enumerate(scores, start=1)]


def scores_of(found: list[tuple[Story, Story]]) -> list[tuple[float, float]]:
    return [(better.score, worse.score) for better, worse in found]


def write(path: Path, *rows: dict[str, Any]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return str(path)


def rows(file: str, split: str | None = None, **options: Any) -> list[dict[str, Any]]:
    data = RankedStories(RankedStoriesOptions(file=file, **options))
    return [dict(row) for one in ((split,) if split else SPLITS) for row in data.rows(one)]


def test_every_two_stories_whose_scores_differ_enough_are_a_pair_the_widest_first() -> None:
    found = pairs(ranked(5, 40, 38, 1), margin=4, ratio=1, most=None)
    assert scores_of(found) == [(40, 1), (38, 1), (40, 5), (38, 5), (5, 1)]  # 40 and 38 differ by 2


def test_the_ratio_is_asked_for_beside_the_margin() -> None:
    assert scores_of(pairs(ranked(300, 200, 90), margin=50, ratio=2, most=None)) == [(300, 90), (200, 90)]
    # Below one vote a ratio says nothing: 0 and -5 count as 1.
    assert scores_of(pairs(ranked(3, 0, -5), margin=2, ratio=3, most=None)) == [(3, -5), (3, 0)]


def test_a_prompt_gives_no_more_pairs_than_asked_and_equal_differences_keep_their_order() -> None:
    stories = ranked(10, 1, 1, 10)
    found = pairs(stories, margin=1, ratio=1, most=3)
    assert [(better.line, worse.line) for better, worse in found] == [(1, 2), (1, 3), (4, 2)]
    assert len(pairs(stories, margin=1, ratio=1, most=None)) == 4


def test_stories_on_different_prompts_are_never_compared(tmp_path: Path) -> None:
    file = write(
        tmp_path / "s.jsonl",
        {"prompt": "a", "story": "a good", "score": 9}, {"prompt": "b", "story": "b bad", "score": 1},
        {"prompt": "[WP] a", "story": "a bad", "score": 2}, {"prompt": " [wp]  b", "story": "b good", "score": 5},
    )  # fmt: skip
    found = {(row["prompt"], row["chosen"], row["rejected"]) for row in rows(file)}
    assert found == {("a", "a good", "a bad"), ("b", "b good", "b bad")}
    assert rows(file, strip_tags=False) == []


def test_all_stories_on_a_prompt_are_on_one_side_in_every_view(tmp_path: Path) -> None:
    stories = [{"prompt": f"prompt {i}", "story": f"{i} {s}", "score": s} for i in range(120) for s in (1, 9)]
    file = write(tmp_path / "s.jsonl", *stories)
    sides = {
        view: {split: {row["prompt"] for row in rows(file, split, view=view)} for split in SPLITS}
        for view in ("pairs", "demonstrations", "prompts")
    }
    assert sides["pairs"] == sides["demonstrations"] == sides["prompts"]
    assert sum(len(side) for side in sides["pairs"].values()) == 120
    assert set.union(*sides["pairs"].values()) == {f"prompt {i}" for i in range(120)}
    counts = [len(sides["pairs"][split]) for split in SPLITS]
    assert 70 < counts[0] < 98  # 84 expected, 5 the standard deviation
    assert split_of("Prompt  7") == split_of("prompt 7")


def test_only_liked_stories_are_demonstrations(tmp_path: Path) -> None:
    file = write(tmp_path / "s.jsonl", *({"prompt": "p", "story": f"s{i}", "score": i} for i in (1, 20, 50)))
    assert [row["completion"] for row in rows(file, view="demonstrations", min_score=20)] == ["s20", "s50"]
    assert [row["prompt"] for row in rows(file, view="prompts")] == ["p"]


def test_every_bad_line_is_told_with_its_number(tmp_path: Path) -> None:
    good = {"prompt": "p", "story": "s", "score": 1}
    bad = (
        {"prompt": "p", "story": "s"},
        {**good, "story": " "},
        {**good, "score": "many"},
        {**good, "prompt": "[WP] "},
    )
    file = write(tmp_path / "s.jsonl", good, *bad)
    with pytest.raises(Problems) as caught:
        rows(file)
    assert caught.value.problems == (
        "s.jsonl:2: no column 'score' (columns: prompt, story)",
        's.jsonl:3: story: expected text, found " "',
        's.jsonl:4: score: expected a number of votes, found "many"',
        "s.jsonl:5: prompt: nothing but a tag: '[WP] '",
    )
    with pytest.raises(RLHFError, match=r"no file .*gone\.jsonl; a line is a story"):
        rows(str(tmp_path / "gone.jsonl"))
    with pytest.raises(RLHFError, match="no split 'dev'; there are train, validation, test"):
        rows(file, "dev")


def test_the_embedded_stories_are_three_to_a_prompt_and_no_text_stands_twice() -> None:
    file = Path(__file__).parents[2] / "res/writing_prompts/stories.jsonl"
    stories = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    assert set(Counter(story["prompt"] for story in stories).values()) == {3}
    assert len({story["story"] for story in stories}) == len(stories) == 72
    counts = [len(rows(str(file), split, margin=10, ratio=2)) for split in SPLITS]
    assert counts == [54, 9, 9]

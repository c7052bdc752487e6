"""Scores are checked before anything is trained on them."""

from __future__ import annotations

import pytest
import torch
from training_parts import EOS, LetterCodec

from rlhf_core.contract.errors import MissingComponent, RLHFError, TrainingStopped
from rlhf_core.contract.records import Message, PromptRecord, Text
from rlhf_core.contract.reward import Scores
from rlhf_core.contract.rows import Rollout, Row
from rlhf_core.training.context import as_completions
from rlhf_core.training.scoring import CheckedScores

ROWS = [
    Row(record_id="a", prompt=(2,), completions=((3, EOS), (4, 5))),
    Row(record_id="b", prompt=(2,), completions=((6, EOS),)),
]
CHAT = (Message("user", "hi"), Message("assistant", "hello"), Message("user", "again"))
RECORDS = {"a": PromptRecord(id="a", prompt="first", fields={"n": 1}), "b": PromptRecord(id="b", prompt=CHAT)}


class Gives:
    def __init__(self, what):
        self.what = what

    def score(self, completions):
        if isinstance(self.what, Exception):
            raise self.what
        return self.what


def scored(what):
    return CheckedScores(Gives(what), lambda rows: as_completions(rows, RECORDS, LetterCodec()))(ROWS)


def test_completions_carry_text_record_and_whether_they_ended():
    first, cut, chat = as_completions(ROWS, RECORDS, LetterCodec())
    assert (first.prompt, first.text, first.group, first.record) == ("first", "d", "a", {"n": 1})
    assert first.tokens == (3, EOS)
    assert (first.finished, cut.finished, first.turns) == (True, False, None)
    assert chat.prompt == "user: hi\nassistant: hello\nuser: again"
    assert chat.conversation == CHAT


def test_a_rollout_says_itself_whether_it_ended():
    rollout = Rollout(record_id="a", prompt=(2,), completions=((3, 4),), logprobs=(torch.zeros(2),), finished=(True,))
    assert as_completions([rollout], RECORDS, LetterCodec())[0].finished is True


def test_records_without_a_prompt_give_an_empty_one():
    row = Row(record_id="t", prompt=(2,), completions=((3, EOS),))
    assert as_completions([row], {"t": Text(id="t", text="d")}, LetterCodec())[0].prompt == ""


def test_lists_tensors_and_scores_are_accepted():
    assert scored([1, 0.5, True]).total == [1.0, 0.5, 1.0]
    assert scored(torch.tensor([1.0, 2.0, 3.0])).total == [1.0, 2.0, 3.0]
    assert scored(Scores([1, 2, 3], {"pun": [0, 1, 0]})).parts == {"pun": [0.0, 1.0, 0.0]}


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ([1.0, float("nan"), float("nan")], r"reward Gives gave score nan to a \('ef'\), b \('g'\)"),
        ([1.0, 2.0, float("inf")], r"gave score inf to b \('g'\)"),
        ([1.0], "gave 1 numbers as score for 3 completions"),
        ([1.0, None, 2.0], "gave a score that is no list of numbers"),
        (None, "gave a score that is no list of numbers"),
        (Scores([1, 2, 3], {"pun": [0, float("-inf"), 0]}), r"gave part 'pun' -inf to a \('ef'\)"),
        (ZeroDivisionError("division by zero"), r"raised ZeroDivisionError: division by zero \(scoring a \('d'\)"),
    ],
)
def test_a_reward_that_cannot_be_trained_on_stops_training_and_is_named(what, message):
    with pytest.raises(TrainingStopped, match=message):
        scored(what)


def test_what_the_user_can_mend_is_passed_on_as_it_is():
    with pytest.raises(MissingComponent, match="no key"):
        scored(MissingComponent("no key"))


def test_asking_for_scores_without_a_reward_says_what_to_set():
    with pytest.raises(RLHFError, match="this stage has no reward"):
        CheckedScores(None, len)(ROWS)

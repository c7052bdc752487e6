"""The order of the data: batches, mixtures, the held-out part."""

from __future__ import annotations

from collections import Counter

import pytest

from rlhf_core.contract.errors import RLHFError
from rlhf_core.contract.records import PromptRecord
from rlhf_core.data.cursor import Cursor
from rlhf_core.data.holdout import held_out_keys
from rlhf_core.data.mixing import apportion, mix


def records(count: int, name: str = "a") -> list[PromptRecord]:
    return [PromptRecord(id=f"{name}:{number}", prompt=f"{name} {number}") for number in range(count)]


def ids(part: list[PromptRecord]) -> list[str]:
    return [record.id for record in part]


def test_every_row_comes_once_before_any_comes_again() -> None:
    cursor = Cursor(7, 3, seed=1)
    stream = [row for index in range(7) for row in cursor.batch(index)]  # 21 positions are three epochs
    for epoch in range(3):
        assert sorted(stream[7 * epoch : 7 * epoch + 7]) == list(range(7))
    assert stream[:7] != stream[7:14]


def test_a_batch_depends_on_its_number_alone() -> None:
    forwards = [Cursor(50, 8, seed=3).batch(index) for index in range(20)]
    backwards = [Cursor(50, 8, seed=3).batch(index) for index in reversed(range(20))]
    assert forwards == backwards[::-1]
    assert all(len(batch) == 8 for batch in forwards)


def test_the_order_is_the_same_on_every_machine_and_other_for_another_seed() -> None:
    assert Cursor(6, 6, seed=0).batch(0) == [2, 3, 1, 0, 5, 4]  # worked out once; a resumed run relies on it
    assert Cursor(50, 50, seed=0).batch(0) != Cursor(50, 50, seed=1).batch(0)


def test_epochs_and_batches_are_counted() -> None:
    cursor = Cursor(10, 4)
    assert cursor.batches_per_epoch == 3
    assert [cursor.batches(epochs) for epochs in (0.4, 1, 2, 3)] == [1, 3, 5, 8]
    assert cursor.epoch(5) == 2.0


def test_a_batch_larger_than_the_data_goes_on_into_the_next_epoch() -> None:
    assert Counter(Cursor(3, 6).batch(0)) == {0: 2, 1: 2, 2: 2}


def test_nothing_to_draw_from_is_refused() -> None:
    with pytest.raises(ValueError, match="found 0 and 4"):
        Cursor(0, 4)


def test_without_weights_every_record_is_taken_once() -> None:
    assert [len(part) for part in mix([records(3), records(5, "b")], [None, None])] == [3, 5]


def test_shares_follow_the_weights_in_an_epoch_as_long_as_all_sources() -> None:
    first, second = mix([records(2), records(10, "b")], [3.0, None])  # 12 records, 3 to 1
    assert (len(first), len(second)) == (9, 3)
    assert ids(first)[:5] == ["a:0", "a:1", "a:0#2", "a:1#2", "a:0#3"]
    assert ids(second) == ["b:0", "b:3", "b:6"]


def test_a_limit_keeps_the_shares_and_takes_the_first() -> None:
    parts = mix([records(10), records(20, "b")], [None, None], limit=6)
    assert [ids(part) for part in parts] == [["a:0", "a:1"], ["b:0", "b:1", "b:2", "b:3"]]
    assert [len(part) for part in mix([records(3)], [None], limit=9)] == [3]


def test_a_source_without_records_takes_no_share() -> None:
    assert [len(part) for part in mix([[], records(4, "b")], [5.0, 1.0])] == [0, 4]


def test_apportioned_numbers_add_up() -> None:
    assert apportion(10, [1, 1, 1]) == [4, 3, 3]
    assert apportion(5, [0.5, 0.3, 0.2]) == [3, 1, 1]
    assert apportion(3, [0, 0]) == [0, 0]


def test_a_prompt_is_held_out_whole_and_whatever_else_the_data_holds() -> None:
    some, more = held_out_keys(records(400), 0.2), held_out_keys(records(800), 0.2)
    assert some == {key for key in more if int(key.split()[1]) < 400}
    assert 50 <= len(some) <= 110  # 80 expected, standard deviation 8


def test_small_data_hold_out_at_least_one_prompt_and_keep_at_least_one() -> None:
    assert len(held_out_keys(records(2), 0.01)) == 1
    assert len(held_out_keys(records(3), 0.999)) == 2
    with pytest.raises(RLHFError, match=r"data.validation.fraction: 0.1 of 1 different prompt cannot be held out"):
        held_out_keys(records(1), 0.1)

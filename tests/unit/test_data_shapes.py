"""Raw rows to records: every published layout, and every row that cannot be one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from rlhf_core.contract.errors import RLHFError
from rlhf_core.contract.records import Demonstration, Labelled, Message, Preference, PromptRecord, Record, Text
from rlhf_core.data.rawrow import RawRow
from rlhf_core.data.shapes import Shaped, shape_rows


def shape(record_class: type[Record], *rows: dict[str, Any], turns: Any = "last", **map: str) -> Shaped[Any]:
    raw = [RawRow(source="pairs.jsonl", row=n, line=n, columns=columns) for n, columns in enumerate(rows, start=1)]
    return shape_rows(raw, record_class, source="pairs.jsonl", map=map, turns=turns)


def one(record_class: type[Record], row: dict[str, Any], **map: str) -> Any:
    shaped = shape(record_class, row, **map)
    assert (shaped.bad, shaped.dropped) == ([], [])
    (record,) = shaped.records
    return record


def bad(record_class: type[Record], *rows: dict[str, Any], **map: str) -> list[str]:
    return [row.message for row in shape(record_class, *rows, **map).bad]


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def assistant(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def test_plain_columns_and_all_other_columns_are_kept_in_fields() -> None:
    row = {"prompt": "p", "chosen": "c", "rejected": "r", "margin": 0.5, "word": "sole"}
    assert one(Preference, row) == Preference(
        id="pairs.jsonl:1", fields=row, prompt="p", chosen="c", rejected="r", margin=0.5
    )


def test_a_pair_gives_a_demonstration_of_its_chosen_answer_and_a_prompt() -> None:
    row = {"prompt": "p", "chosen": "c", "rejected": "r"}
    assert one(Demonstration, row).completion == "c"
    assert one(PromptRecord, row).prompt == "p"


def test_an_explicit_completion_wins_over_the_chosen_one() -> None:
    assert one(Demonstration, {"prompt": "p", "completion": "x", "chosen": "c", "rejected": "r"}).completion == "x"


def test_the_rows_own_id_is_kept_and_may_be_a_number() -> None:
    assert one(PromptRecord, {"id": 7, "prompt": "p"}).id == "7"
    assert one(PromptRecord, {"uid": "x", "prompt": "p"}, id="uid").id == "x"
    assert bad(PromptRecord, {"id": None, "prompt": "p"}) == [
        "pairs.jsonl:1: id: expected a name or whole number, found null"
    ]


@pytest.mark.parametrize("keys", [("role", "content"), ("from", "value")])
def test_chats_of_both_spellings_train_on_the_last_turn(keys: tuple[str, str]) -> None:
    names = [("human", "u1"), ("gpt", "a1"), ("human", "u2"), ("gpt", "a2")]
    chat = [{keys[0]: role, keys[1]: text} for role, text in names]
    record = one(Demonstration, {"conversations": chat})
    assert record.prompt == (Message("user", "u1"), Message("assistant", "a1"), Message("user", "u2"))
    assert record.completion == "a2"
    assert one(PromptRecord, {"messages": chat}).prompt == record.prompt


def test_all_turns_of_a_chat_become_records_of_their_own() -> None:
    chat = {"messages": [user("u1"), assistant("a1"), user("u2"), assistant("a2")]}
    records = shape(Demonstration, chat, turns="all").records
    assert [(r.id, len(r.prompt), r.completion) for r in records] == [
        ("pairs.jsonl:1#turn1", 1, "a1"),
        ("pairs.jsonl:1#turn2", 3, "a2"),
    ]


def test_a_chat_that_ends_with_the_user_is_a_prompt_as_a_whole_but_demonstrates_its_last_answer() -> None:
    chat = {"messages": [user("u1"), assistant("a1"), user("u2")]}
    assert len(one(PromptRecord, chat).prompt) == 3
    assert one(Demonstration, chat).completion == "a1"
    assert bad(Demonstration, {"messages": [user("u1")]}) == ["pairs.jsonl:1: messages: no assistant turn to learn"]


def test_sharegpt_preferences_answer_the_conversation_with_a_message_each() -> None:
    row = {
        "conversations": [{"from": "system", "value": "s"}, {"from": "human", "value": "u"}],
        "chosen": {"from": "gpt", "value": "c"},
        "rejected": {"from": "gpt", "value": "r"},
    }
    record = one(Preference, row)
    assert record.prompt == (Message("system", "s"), Message("user", "u"))
    assert (record.chosen, record.rejected) == ("c", "r")


def test_whole_chats_as_chosen_and_rejected_share_their_turns_as_the_prompt() -> None:
    pair = {"chosen": [user("u"), assistant("c")], "rejected": [user("u"), assistant("r")]}
    record = one(Preference, pair)
    assert (record.prompt, record.chosen, record.rejected) == ((Message("user", "u"),), "c", "r")
    assert one(Preference, {"prompt": "u", **pair}).prompt == (Message("user", "u"),)
    parted = {"chosen": [user("u"), assistant("c")], "rejected": [user("v"), assistant("r")]}
    assert bad(Preference, parted)[0].startswith("pairs.jsonl:1: rejected: the turns before its last differ")


def test_transcripts_are_split_after_the_last_shared_assistant_not_inside_the_answer() -> None:
    shared = "\n\nHuman: hi\n\nAssistant: hello\n\nHuman: a pun?\n\nAssistant:"
    record = one(Preference, {"chosen": shared + " The sole one", "rejected": shared + " The fish"})
    assert record.prompt == (Message("user", "hi"), Message("assistant", "hello"), Message("user", "a pun?"))
    assert (record.chosen, record.rejected) == (" The sole one", " The fish")
    longer = one(Preference, {"chosen": shared + " a\n\nHuman: b\n\nAssistant: c", "rejected": shared + " d"})
    assert (longer.prompt, longer.rejected) == (record.prompt, " d")


@pytest.mark.parametrize(
    ("chosen", "rejected", "prompt"),
    [
        ("write a poem\nroses are red", "write a poem\nroses are blue", "write a poem"),
        ("i like dogs", "i like doors", "i like"),
        ("tell me a joke", "tell me", "tell"),
        ("yes", "no", ""),
    ],
)
def test_shared_text_is_cut_at_a_line_or_a_word(chosen: str, rejected: str, prompt: str) -> None:
    record = one(Preference, {"chosen": chosen, "rejected": rejected})
    assert record.prompt == prompt
    assert prompt + record.chosen == chosen
    assert prompt + record.rejected == rejected
    assert record.chosen.strip()
    assert record.rejected.strip()


def test_alpaca_joins_instruction_and_input_where_there_is_one() -> None:
    assert one(Demonstration, {"instruction": "add", "input": "1 2", "output": "3"}).prompt == "add\n1 2"
    record = one(Demonstration, {"instruction": "sing", "input": "", "output": "la"})
    assert (record.prompt, record.completion) == ("sing", "la")
    assert one(PromptRecord, {"instruction": "sing"}).prompt == "sing"


def test_the_pun_record_has_two_layouts_and_begins_the_answer_of_a_conversation() -> None:
    row = {"Direct Prompt": "make a pun", "Conversation Prompt": "", "Example Response": "bach", "Original": "No"}
    assert one(Demonstration, row).prompt == "make a pun"
    talk = one(Demonstration, {**row, "Conversation Prompt": "how was it?"})
    assert talk.prompt == (Message("user", "make a pun"), Message("assistant", "Sure thing!\nA: how was it?\nB:"))
    assert talk.completion == "bach"


def test_labels_and_texts() -> None:
    record = one(Labelled, {"sample": "s", "sentiment": "happy"})
    assert (record.text, record.label) == ("s", "happy")
    assert one(Labelled, {"text": "t", "label": 1}).label == "1"
    assert one(Text, {"text": "t"}).text == "t"
    assert one(Text, {"sample": "s", "sentiment": "sad"}).text == "s"


def test_a_map_names_columns_and_messages_keep_the_files_names() -> None:
    row = {"question": "p", "good": "c", "bad": "r"}
    names = {"prompt": "question", "chosen": "good", "rejected": "bad"}
    assert one(Preference, row, **names).chosen == "c"
    assert bad(Preference, row, {**row, "bad": 3}, **names) == ["pairs.jsonl:2: bad: expected text, found a number (3)"]


@pytest.mark.parametrize(
    ("value", "found"), [(None, "null"), (3.5, "a number (3.5)"), (True, "a boolean (true)"), ({"a": 1}, None)]
)
def test_null_and_numbers_where_text_belongs_are_told_with_file_row_and_column(value: Any, found: str | None) -> None:
    good = {"prompt": "p", "completion": "c"}
    expected = f"expected text, found {found}" if found else "a message without 'role' (keys: a)"
    assert bad(Demonstration, good, {**good, "completion": value}) == [f"pairs.jsonl:2: completion: {expected}"]


def test_places_inside_a_chat_are_named() -> None:
    assert bad(Demonstration, {"messages": [user("u"), {"role": "assistant", "content": None}]}) == [
        "pairs.jsonl:1: messages[1].content: expected text, found null"
    ]
    assert bad(Demonstration, {"messages": [{"role": "tool", "content": "x"}]})[0].startswith(
        "pairs.jsonl:1: messages[0].role: role 'tool' is none of system, user, human"
    )
    assert bad(Demonstration, {"messages": []}) == ["pairs.jsonl:1: messages: expected messages, found an empty list"]


def test_a_margin_that_is_no_number_is_told() -> None:
    row = {"prompt": "p", "chosen": "c", "rejected": "r"}
    assert one(Preference, {**row, "margin": "0.25"}).margin == 0.25
    assert bad(Preference, {**row, "margin": None}) == ["pairs.jsonl:1: margin: expected a number, found null"]
    assert bad(Preference, {**row, "margin": "nan"}) == ["pairs.jsonl:1: margin: expected a number, found text ('nan')"]


def test_half_a_character_is_told_before_the_tokenizer_breaks_on_it() -> None:
    assert bad(PromptRecord, {"prompt": "a \ud83d"}) == [
        "pairs.jsonl:1: prompt: expected text, found half a character (\\ud83d at character 3)"
    ]


def test_a_row_that_lacks_a_column_is_one_bad_row_and_the_others_stay() -> None:
    good = {"prompt": "p", "chosen": "c", "rejected": "r"}
    shaped = shape(Preference, {"prompt": "p", "chosen": "c"}, good, good)
    assert [row.message for row in shaped.bad] == [
        "pairs.jsonl:1: rejected: no such column in this row (columns: prompt, chosen)"
    ]
    assert len(shaped.records) == 2


def test_a_missing_column_names_file_columns_need_and_the_map_to_write() -> None:
    with pytest.raises(RLHFError) as caught:
        shape(Preference, {"question": "p", "choosen": "c", "bad": "r"})
    assert str(caught.value) == (
        "pairs.jsonl: the trainer needs chosen, prompt and rejected; the columns are question, choosen, bad "
        "(did you mean 'choosen' for chosen, 'question' for prompt, 'bad' for rejected?); "
        "name them beside the source: map: {chosen: choosen, prompt: question, rejected: bad}"
    )


def test_a_map_with_a_slip_is_refused() -> None:
    with pytest.raises(RLHFError, match=r"map: promt: unknown name; did you mean 'prompt'\?"):
        shape(PromptRecord, {"question": "p"}, promt="question")
    with pytest.raises(RLHFError, match=r"map: prompt: no column 'quetion'; did you mean 'question'\?"):
        shape(PromptRecord, {"question": "p"}, prompt="quetion")


def test_rows_that_teach_nothing_are_dropped_with_their_reason() -> None:
    shaped = shape(
        Preference,
        {"prompt": "p", "chosen": "c", "rejected": "r"},
        {"prompt": "p", "chosen": " same", "rejected": "same\n"},
        {"prompt": "p", "chosen": "c", "rejected": "  "},
        {"prompt": "", "chosen": "c", "rejected": "r"},
    )
    assert shaped.dropped == [
        ("chosen equals rejected", "pairs.jsonl:2"),
        ("empty rejected", "pairs.jsonl:3"),
        ("empty prompt", "pairs.jsonl:4"),
    ]
    assert len(shaped.records) == 1
    assert shape(Demonstration, {"prompt": "p", "completion": ""}).dropped == [("empty completion", "pairs.jsonl:1")]
    assert shape(PromptRecord, {"prompt": "\n"}).dropped == []


@dataclass(frozen=True, kw_only=True)
class Rated(Demonstration):
    """As a plugin might bring it."""

    desirable: bool
    weight: float = 1.0


def test_a_plugins_own_record_takes_its_further_fields_from_columns() -> None:
    row = {"messages": [user("u"), assistant("a")], "desirable": True, "weight": 2}
    record = one(Rated, row)
    assert (record.completion, record.desirable, record.weight) == ("a", True, 2.0)
    assert bad(Rated, row, {**row, "desirable": "yes"}) == [
        "pairs.jsonl:2: desirable: expected true or false, found text ('yes')"
    ]
    with pytest.raises(RLHFError, match="the trainer needs completion, desirable and prompt"):
        shape(Rated, {"prompt": "p", "completion": "c"})

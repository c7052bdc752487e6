"""The layouts of published data that are read without a ``map``: which columns they have and what those mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeAlias

from rlhf_core.contract.records import JSON, Message

from .chats import assistant_turns, messages_of, prompt_of, reply_of, split_shared_text, split_shared_turns
from .rawrow import Malformed, text_value

Columns: TypeAlias = Mapping[str, JSON]
Found: TypeAlias = dict[str, Any]
"""Values by the names of the contract's record fields: prompt, completion, chosen, rejected, text, label."""


@dataclass(frozen=True)
class Request:
    """What is asked of a layout: the names needed, and which assistant turns of a chat."""

    names: frozenset[str]
    turns: Literal["last", "all"] = "last"


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Columns that belong together.

    Args:
        columns: all of them must be there.
        gives: the names of the values that ``read`` finds in them.
        read: one row to what it holds: several in a chat of which all turns are learnt. Raises Malformed.
    """

    columns: tuple[str, ...]
    gives: frozenset[str]
    read: Callable[[Columns, Request], list[Found]]


def _prompt(columns: Columns, _request: Request) -> list[Found]:
    return [{"prompt": prompt_of(columns["prompt"], "prompt")}]


def _prompt_completion(columns: Columns, _request: Request) -> list[Found]:
    prompt = prompt_of(columns["prompt"], "prompt")
    before, completion = reply_of(columns["completion"], "completion")
    return [{"prompt": before or prompt, "completion": completion}]


def _pair(prompt: Any, chosen: str, rejected: str) -> list[Found]:
    # A demonstration of a pair is the answer that was preferred.
    return [{"prompt": prompt, "chosen": chosen, "rejected": rejected, "completion": chosen}]


def _prompt_pair(columns: Columns, _request: Request) -> list[Found]:
    """Where chosen and rejected are whole chats, their turns are the prompt; the prompt column repeats the first."""
    prompt = prompt_of(columns["prompt"], "prompt")
    before, chosen = reply_of(columns["chosen"], "chosen")
    before_rejected, rejected = reply_of(columns["rejected"], "rejected")
    if before != before_rejected:
        raise Malformed("rejected", "the turns before its last differ from those of chosen; a pair shares its prompt")
    return _pair(before or prompt, chosen, rejected)


def _chat_pair(columns: Columns, _request: Request, *, chat: str) -> list[Found]:
    """ShareGPT preferences: the chat up to the answer, and two messages that answer it."""
    before, chosen = reply_of(columns["chosen"], "chosen")
    before_rejected, rejected = reply_of(columns["rejected"], "rejected")
    if before or before_rejected:
        raise Malformed("chosen" if before else "rejected", f"expected one message that answers '{chat}', found a chat")
    return _pair(messages_of(columns[chat], chat), chosen, rejected)


def _implicit_pair(columns: Columns, _request: Request) -> list[Found]:
    chosen, rejected = columns["chosen"], columns["rejected"]
    if isinstance(chosen, list):
        turns = messages_of(chosen, "chosen"), messages_of(rejected, "rejected")
        return _pair(*split_shared_turns(*turns))
    return _pair(*split_shared_text(text_value(chosen, "chosen"), text_value(rejected, "rejected")))


def _chat(columns: Columns, request: Request, *, chat: str) -> list[Found]:
    turns = messages_of(columns[chat], chat)
    found: list[Found] = [{"prompt": before, "completion": text} for before, text in assistant_turns(turns)]
    if "completion" not in request.names and turns[-1].role != "assistant":
        found.append({"prompt": turns})
    if not found:
        raise Malformed(chat, "no assistant turn to learn")
    return found if request.turns == "all" else found[-1:]


def _instruction(columns: Columns, request: Request) -> list[Found]:
    """Alpaca: an instruction, an input that may be empty, an output (not needed for prompts)."""
    parts = [text_value(columns["instruction"], "instruction")]
    if columns.get("input") not in (None, ""):
        parts.append(text_value(columns["input"], "input"))
    found: Found = {"prompt": "\n".join(parts)}
    if "completion" in request.names:
        found["completion"] = text_value(columns["output"], "output")
    return [found]


def _pun_record(columns: Columns, _request: Request) -> list[Found]:
    """JacksonPaull's puns. In a conversation the answer has begun, ``Sure thing!\\nA: … \\nB:``; B's line is learnt."""
    prompt: str | tuple[Message, ...] = text_value(columns["Direct Prompt"], "Direct Prompt")
    conversation = columns.get("Conversation Prompt")
    if conversation not in (None, ""):
        line = text_value(conversation, "Conversation Prompt").strip()
        prompt = (Message("user", str(prompt)), Message("assistant", f"Sure thing!\nA: {line}\nB:"))
    return [{"prompt": prompt, "completion": text_value(columns["Example Response"], "Example Response")}]


def _text(columns: Columns, _request: Request, *, text: str) -> list[Found]:
    return [{"text": text_value(columns[text], text)}]


def _labelled(columns: Columns, _request: Request, *, text: str, label: str) -> list[Found]:
    value = columns[label]
    if isinstance(value, bool | int):
        value = str(value).lower()
    return [{"text": text_value(columns[text], text), "label": text_value(value, label)}]


def _layout(columns: str, gives: str, read: Callable[..., list[Found]], **names: str) -> Layout:
    return Layout(columns=tuple(columns.split(", ")), gives=frozenset(gives.split()), read=partial(read, **names))


_PAIR = "prompt completion chosen rejected"

LAYOUTS = (
    # The most explicit first: the first layout that is there and gives all that is needed is taken.
    _layout("prompt", "prompt", _prompt),
    _layout("prompt, completion", "prompt completion", _prompt_completion),
    _layout("prompt, chosen, rejected", _PAIR, _prompt_pair),
    _layout("messages, chosen, rejected", _PAIR, _chat_pair, chat="messages"),
    _layout("conversations, chosen, rejected", _PAIR, _chat_pair, chat="conversations"),
    _layout("chosen, rejected", _PAIR, _implicit_pair),
    _layout("messages", "prompt completion", _chat, chat="messages"),
    _layout("conversations", "prompt completion", _chat, chat="conversations"),
    _layout("instruction, output", "prompt completion", _instruction),
    _layout("instruction", "prompt", _instruction),
    _layout("Direct Prompt, Example Response", "prompt completion", _pun_record),
    _layout("text, label", "text label", _labelled, text="text", label="label"),
    _layout("sample, sentiment", "text label", _labelled, text="sample", label="sentiment"),
    _layout("text", "text", _text, text="text"),
    _layout("sample", "text", _text, text="sample"),
)

KNOWN_COLUMNS = frozenset(column for layout in LAYOUTS for column in layout.columns) | {
    "id",
    "input",
    "Conversation Prompt",
}

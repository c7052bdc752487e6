"""Chats in the layouts people publish: role/content, ShareGPT's from/value, and transcripts in plain text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from rlhf_core.contract.records import JSON, Message, Prompt

from .rawrow import Malformed, kind_of, text_value

ROLES = {
    "system": "system",
    "user": "user",
    "human": "user",
    "prompter": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
}

_TRANSCRIPT_TURN = re.compile(r"(?:^|\n\n)(Human|Assistant):")


def message_of(value: JSON, column: str, inside: str = "") -> Message:
    """One turn, from ``{"role", "content"}`` or ``{"from", "value"}``.

    Raises: Malformed naming the place, for another shape, an unknown role, or content that is no text.
    """
    if not isinstance(value, Mapping):
        raise Malformed(column, f"expected a message such as {{role, content}}, found {kind_of(value)}", inside)
    keys = ("from", "value") if "from" in value and "value" in value else ("role", "content")
    for key in keys:
        if key not in value:
            raise Malformed(column, f"a message without '{key}' (keys: {', '.join(value) or 'none'})", inside)
    role = text_value(value[keys[0]], column, f"{inside}.{keys[0]}")
    if role.lower() not in ROLES:
        raise Malformed(column, f"role {role!r} is none of {', '.join(ROLES)}", f"{inside}.{keys[0]}")
    return Message(ROLES[role.lower()], text_value(value[keys[1]], column, f"{inside}.{keys[1]}"))


def messages_of(value: JSON, column: str) -> tuple[Message, ...]:
    """A chat. Raises: Malformed when it is no list of messages, or an empty one."""
    if not isinstance(value, list):
        raise Malformed(column, f"expected a list of messages, found {kind_of(value)}")
    if not value:
        raise Malformed(column, "expected messages, found an empty list")
    return tuple(message_of(element, column, f"[{index}]") for index, element in enumerate(value))


def prompt_of(value: JSON, column: str) -> Prompt:
    """A prompt: text, one message, or a chat."""
    if isinstance(value, list):
        return messages_of(value, column)
    if isinstance(value, Mapping):
        return (message_of(value, column),)
    return text_value(value, column)


def reply_of(value: JSON, column: str) -> tuple[tuple[Message, ...], str]:
    """A completion as (the turns before it, its text): text, one assistant message, or a chat that ends with one."""
    if isinstance(value, str):
        return (), value
    if isinstance(value, Mapping):
        turns: tuple[Message, ...] = (message_of(value, column),)
    elif isinstance(value, list):
        turns = messages_of(value, column)
    else:
        raise Malformed(column, f"expected text, found {kind_of(value)}")
    if turns[-1].role != "assistant":
        raise Malformed(column, f"expected it to end with an assistant message, found the role '{turns[-1].role}'")
    return turns[:-1], turns[-1].content


def assistant_turns(chat: tuple[Message, ...]) -> Iterator[tuple[tuple[Message, ...], str]]:
    """(the turns before it, its text) of every assistant turn, in order."""
    for index, message in enumerate(chat):
        if message.role == "assistant":
            yield chat[:index], message.content


def split_shared_text(chosen: str, rejected: str) -> tuple[Prompt, str, str]:
    """(prompt, chosen, rejected) of two texts that begin with the same prompt.

    A transcript (``Human: … Assistant: …``) is cut after the last shared ``Assistant:`` and becomes a chat. Other texts
    are cut at the last shared line end, or else at the last shared space; the completions keep that white space.
    """
    shared = _shared_length(chosen, rejected)
    turns = [match for match in _TRANSCRIPT_TURN.finditer(chosen) if match.end() <= shared]
    if turns and turns[-1].group(1) == "Assistant":
        cut = turns[-1].end()
        return _transcript(chosen[: turns[-1].start()]), chosen[cut:], rejected[cut:]
    # One text may be the start of the other: leave each at least a word.
    shared = min(shared, len(chosen.rstrip()) - 1, len(rejected.rstrip()) - 1)
    cut = max(chosen.rfind("\n", 0, shared + 1), 0) or max(chosen.rfind(" ", 0, shared + 1), 0)
    return chosen[:cut], chosen[cut:], rejected[cut:]


def _shared_length(first: str, second: str) -> int:
    for index, (left, right) in enumerate(zip(first, second, strict=False)):
        if left != right:
            return index
    return min(len(first), len(second))


def _transcript(text: str) -> tuple[Message, ...]:
    """The turns of a transcript; text before the first turn is its system message."""
    marks = list(_TRANSCRIPT_TURN.finditer(text))
    ends = [match.start() for match in marks[1:]] + [len(text)]
    turns = [
        Message(ROLES[mark.group(1).lower()], text[mark.end() : end].strip())
        for mark, end in zip(marks, ends, strict=True)
    ]
    opening = text[: marks[0].start()].strip() if marks else text.strip()
    return ((Message("system", opening),) if opening else ()) + tuple(turns)


def split_shared_turns(chosen: tuple[Message, ...], rejected: tuple[Message, ...]) -> tuple[Prompt, str, str]:
    """(prompt, chosen, rejected) of two chats that begin with the same turns and each end with one assistant turn.

    Raises: Malformed when they part earlier than at their last turn.
    """
    for column, chat in (("chosen", chosen), ("rejected", rejected)):
        if chat[-1].role != "assistant":
            raise Malformed(column, f"expected it to end with an assistant message, found the role '{chat[-1].role}'")
    if chosen[:-1] != rejected[:-1]:
        raise Malformed("rejected", "the turns before its last differ from those of chosen; a pair shares its prompt")
    return chosen[:-1] or "", chosen[-1].content, rejected[-1].content

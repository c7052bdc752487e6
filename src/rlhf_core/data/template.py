"""The one template: records as text, the same in every stage, in sampling and in evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rlhf_core.contract.errors import RLHFError
from rlhf_core.contract.records import Message, Prompt

from .options import TemplateOptions

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TURN_END = "\n\n"
"""What stands between the turns of a chat under a text template."""


class TextTemplate:
    """``prompt`` and ``completion`` of the options. A chat repeats them turn by turn::

        system, blank line, Human: …, blank line …  →  Human: u1\\n\\nAssistant: a1\\n\\nHuman: u2\\n\\nAssistant:

    A prompt that ends with an assistant turn has begun the answer: the completion goes on from there.
    """

    def __init__(self, options: TemplateOptions) -> None:
        self._prompt = options.prompt
        self._completion = options.completion
        self._system = options.system

    def prompt(self, prompt: Prompt) -> str:
        turns = as_turns(prompt, self._system)
        text = ""
        previous = ""
        for turn in turns:
            if text and not (previous == "user" and turn.role == "assistant"):
                text += TURN_END
            text += self._turn(turn, after=previous)
            previous = turn.role
        return text

    def _turn(self, turn: Message, *, after: str) -> str:
        if turn.role == "user":
            return self._prompt.replace("{prompt}", turn.content)
        if turn.role == "assistant" and after == "user":
            return self._completion.replace("{completion}", turn.content.strip())
        return turn.content.strip()

    def completion(self, prompt: Prompt, completion: str) -> str:
        """Text that follows ``prompt(prompt)`` without a break."""
        if begun(prompt):
            # The template's own lead stands before the part that was begun; a space parts the two halves.
            return " " + completion.strip()
        return self._completion.replace("{completion}", completion.strip())


class ChatTemplate:
    """The tokenizer's own chat template (Jinja, as published with the model).

    Raises: RLHFError when the tokenizer has none, or when it refuses a chat (roles that must alternate, no system).
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, options: TemplateOptions) -> None:
        if not tokenizer.chat_template:
            raise RLHFError(
                "template.chat: true, but the tokenizer has no chat template; take an instruct model, "
                "or set template.chat: false and write template.prompt and template.completion"
            )
        self._tokenizer = tokenizer
        self._system = options.system
        self._lead = self._text_before_reply()

    def prompt(self, prompt: Prompt) -> str:
        return self._render(as_turns(prompt, self._system), answer=not begun(prompt))

    def completion(self, prompt: Prompt, completion: str) -> str:
        return (" " if begun(prompt) else self._lead) + completion.strip()

    def _render(self, turns: Sequence[Message], *, answer: bool) -> str:
        chat = [{"role": turn.role, "content": turn.content} for turn in turns]
        how = {"add_generation_prompt": True} if answer else {"continue_final_message": True}
        try:
            return str(self._tokenizer.apply_chat_template(chat, tokenize=False, **how))
        except Exception as error:  # templates raise whatever they like
            roles = ", ".join(turn.role for turn in turns)
            raise RLHFError(f"the tokenizer's chat template refuses a chat of {roles}: {error}") from error

    def _text_before_reply(self) -> str:
        """What the template puts between the generation prompt and the reply itself, such as a space."""
        question = (Message("user", "question"),)
        whole = self._render((*question, Message("assistant", "reply")), answer=False)
        asked = self._render(question, answer=True)
        if not whole.startswith(asked):
            return ""
        return whole[len(asked) : whole.index("reply", len(asked))]


def as_turns(prompt: Prompt, system: str | None) -> tuple[Message, ...]:
    """A prompt as a chat, with the template's system message where it has none of its own."""
    turns = (Message("user", prompt),) if isinstance(prompt, str) else prompt
    if system is not None and not (turns and turns[0].role == "system"):
        return (Message("system", system), *turns)
    return turns


def begun(prompt: Prompt) -> bool:
    """Whether the prompt ends with an assistant turn, which the completion goes on with."""
    return not isinstance(prompt, str) and bool(prompt) and prompt[-1].role == "assistant"

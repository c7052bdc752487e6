"""Text to tokens and back: one template, one tokenisation, for every stage."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from rlhf_core.contract.errors import RLHFError
from rlhf_core.contract.records import (
    JSON,
    Demonstration,
    Labelled,
    Message,
    Preference,
    Prompt,
    PromptRecord,
    Record,
    Text,
)
from rlhf_core.contract.rows import LabelledRow, PairRow, Row, Tokens

from .options import TemplateOptions
from .template import ChatTemplate, TextTemplate

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

GUARD = "\ufdd0"
"""A code point that Unicode keeps out of texts. It breaks up special-token strings that users write, so that the
tokenizer sees them as the plain text they are; the text is cut there, and the guard itself is never encoded."""


TRIAL = " Naïve  0123 WORDS,\tand\n\nlines: 你好 🙂 "


class Unusable(RLHFError):
    """A record that leaves nothing to train on. ``reason`` is what the data report counts it under."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class Encoding:
    """A row and what happened on the way to it.

    Args:
        truncated: completions cut at their limit; they have no EOS.
        drifted: completions whose text tokenises differently behind the prompt than apart from it, so that prompt and
            completion were encoded apart.
        special: whether the user's text held the string of a special token; it was kept as plain text.
    """

    row: Row
    truncated: int = 0
    drifted: int = 0
    special: bool = False


@dataclass(frozen=True)
class _Prompt:
    """A prompt on its way: its text under the template, that text's tokens, and the tokens with BOS."""

    prompt: Prompt
    text: str
    alone: Tokens
    tokens: Tokens


class TextCodec:
    """Implements :class:`rlhf_core.contract.rows.Codec`.

    Every completion ends with EOS unless it was cut at its limit. Prompts are never cut: a cut from the left loses the
    start of the template, one from the right the question or ``Assistant:``.

    Args:
        context_length: of the model, in tokens; prompt and completion fit into it together.
        max_prompt_tokens: BOS included; the context less ``max_completion_tokens`` (or one token) by default.
        max_completion_tokens: EOS included; what the prompt leaves of the context by default.
        labels: sorted class names, for labelled records.
        end_texts: whether running and labelled text ends with EOS; completions always do.
    Raises: RLHFError when the tokenizer has no EOS, lacks a chat template that is asked for, or limits leave nothing.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        template: TemplateOptions,
        *,
        context_length: int,
        max_prompt_tokens: int | None = None,
        max_completion_tokens: int | None = None,
        labels: Sequence[str] = (),
        end_texts: bool = True,
    ) -> None:
        if tokenizer.eos_token_id is None:
            raise RLHFError("the tokenizer has no EOS token; name one as eos_token in its tokenizer_config.json")
        self.tokenizer = tokenizer
        self.template = template
        self.context_length = context_length
        self.labels = tuple(labels)
        self.end_texts = end_texts
        self.eos: int = tokenizer.eos_token_id
        self.bos: int = self.eos if tokenizer.bos_token_id is None else tokenizer.bos_token_id
        self._texts = ChatTemplate(tokenizer, template) if template.chat else TextTemplate(template)
        self._adds_bos = template.bos == "always" or (template.bos == "auto" and _tokenizer_adds_bos(tokenizer))
        self._quick = _quick(tokenizer)
        self._specials = sorted(set(tokenizer.all_special_tokens), key=len, reverse=True)
        self._completion_limit = max_completion_tokens
        room = context_length - (max_completion_tokens or 1)
        if room < 1:
            raise RLHFError(
                f"data.max_completion_tokens: {max_completion_tokens} leaves no room for a prompt in a context of "
                f"{context_length} tokens"
            )
        self._prompt_limit = min(max_prompt_tokens or room, room)

    def encode(self, record: Record) -> Row:
        return self.inspect(record).row

    def inspect(self, record: Record) -> Encoding:
        """``encode``, with what was cut, guarded or drifted.

        Raises: Unusable naming the record, when its prompt is too long or nothing is left of a difference.
        """
        try:
            return self._inspect(record)
        except Unusable as error:
            raise Unusable(error.reason, f"{record.id}: {error}") from None

    def _inspect(self, record: Record) -> Encoding:
        match record:
            case Preference():
                return self._pair(record)
            case Demonstration():
                return self._one(record.id, record.prompt, record.completion)
            case PromptRecord():
                prompt = self.encode_prompt(record.prompt)
                return Encoding(Row(record_id=record.id, prompt=prompt), special=self.has_special(record.prompt))
            case Labelled():
                return self._labelled(record)
            case Text():
                tokens = self.encode_document(record.text)
                limit = self.context_length - 1
                row = Row(record_id=record.id, prompt=(self.bos,), completions=(tokens[:limit],))
                return Encoding(row, truncated=int(len(tokens) > limit), special=self.has_special(record.text))
        raise TypeError(f"{type(record).__name__} is none of the record shapes of rlhf_core.contract.records")

    def _one(self, record_id: str, prompt: Prompt, completion: str, *, finished: bool = True) -> Encoding:
        prepared = self._prepare(prompt)
        tokens, truncated, drifted = self._continue(prepared, completion, finished=finished)
        row = Row(record_id=record_id, prompt=prepared.tokens, completions=(tokens,))
        return Encoding(row, int(truncated), int(drifted), self.has_special(prompt, completion))

    def _pair(self, record: Preference) -> Encoding:
        prepared = self._prepare(record.prompt)
        chosen, chosen_cut, chosen_drifted = self._continue(prepared, record.chosen)
        rejected, rejected_cut, rejected_drifted = self._continue(prepared, record.rejected)
        if chosen == rejected:
            after = " after truncation" if chosen_cut or rejected_cut else ""
            raise Unusable(f"chosen equals rejected{after}", f"chosen and rejected have the same tokens{after}")
        row = PairRow(record_id=record.id, prompt=prepared.tokens, completions=(chosen, rejected), margin=record.margin)
        special = self.has_special(record.prompt, record.chosen, record.rejected)
        return Encoding(row, chosen_cut + rejected_cut, chosen_drifted + rejected_drifted, special)

    def _labelled(self, record: Labelled) -> Encoding:
        """The text stands where a completion stands, behind an empty prompt: as ``encode_completion("", text)``."""
        if record.label not in self.labels:
            raise RLHFError(f"{record.id}: label {record.label!r} is none of {', '.join(self.labels) or '(no labels)'}")
        one = self._one(record.id, "", record.text, finished=self.end_texts)
        row = LabelledRow(
            record_id=record.id,
            prompt=one.row.prompt,
            completions=one.row.completions,
            label=self.labels.index(record.label),
        )
        return dataclasses.replace(one, row=row)

    def encode_prompt(self, prompt: Prompt) -> Tokens:
        """Tokens of a prompt under the template, BOS included; at least one. Raises: Unusable when it is too long."""
        return self._prepare(prompt).tokens

    def _prepare(self, prompt: Prompt) -> _Prompt:
        text = self._texts.prompt(self._guarded_prompt(prompt))
        alone = tokens = self._tokens(text)
        if not alone or (self._adds_bos and alone[0] != self.bos):
            tokens = (self.bos, *alone)
        if len(tokens) > self._prompt_limit:
            raise Unusable(
                "prompt too long",
                f"the prompt has {len(tokens)} tokens, at most {self._prompt_limit} fit "
                f"(context {self.context_length}); shorten it, or change data.max_prompt_tokens or "
                "data.max_completion_tokens",
            )
        return _Prompt(prompt, text, alone, tokens)

    def encode_completion(self, prompt: Prompt, completion: str, *, finished: bool = True) -> Row:
        return self._one("", prompt, completion, finished=finished).row

    def encode_text(self, text: str) -> Tokens:
        """Tokens of a plain text: no template, no BOS, no EOS."""
        return self._tokens(self._guarded(text))

    def encode_document(self, text: str) -> Tokens:
        """A text for pretraining: with EOS behind it, where texts end."""
        return (*self.encode_text(text), self.eos) if self.end_texts else self.encode_text(text)

    def _tokens(self, guarded: str) -> Tokens:
        return tuple(chain.from_iterable(map(self._encode, guarded.split(GUARD))))

    def _encode(self, text: str) -> list[int]:
        quick = self._quick
        # Somebody else may have told the tokenizer to cut or to fill since then.
        if quick is not None and quick.truncation is None and quick.padding is None:
            tokens: list[int] = quick.encode_batch_fast([text], add_special_tokens=False)[0].ids
            return tokens
        return _encode_plainly(self.tokenizer, text)

    def decode(self, tokens: Tokens) -> str:
        text = self.tokenizer.decode(list(tokens), skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return str(text).strip()

    def describe(self) -> dict[str, JSON]:
        """The template's options, as saved with a model and given back to ``TemplateOptions`` when it is loaded."""
        return self.template.model_dump(mode="json")

    def _continue(self, before: _Prompt, completion: str, *, finished: bool = True) -> tuple[Tokens, bool, bool]:
        """(tokens of a completion behind its prompt, whether it was cut, whether the boundary drifted).

        Prompt and completion are tokenised together, as they were when the text was written; the prompt's own tokens
        must be the start. Where a token would span the boundary the two are tokenised apart, as they are when sampling.
        """
        text = self._texts.completion(before.prompt, self._guarded(completion))
        together = self._tokens(before.text + text)
        drifted = together[: len(before.alone)] != before.alone
        tokens = self._tokens(text) if drifted else together[len(before.alone) :]
        if finished:
            tokens = (*tokens, self.eos)
        limit = self.context_length - len(before.tokens)
        if self._completion_limit is not None:
            limit = min(limit, self._completion_limit)
        return tokens[:limit], len(tokens) > limit, drifted

    def with_labels(self, labels: Sequence[str]) -> TextCodec:
        """The same codec for labelled records of these classes."""
        other = copy.copy(self)
        other.labels = tuple(labels)
        return other

    def piece(self, tokens: Sequence[int]) -> str:
        """The text of single tokens as it stands, special tokens included: for showing rows."""
        return str(self.tokenizer.decode(list(tokens), clean_up_tokenization_spaces=False))

    def _guarded(self, text: str) -> str:
        for special in self._specials:
            text = text.replace(special, special[0] + GUARD + special[1:])
        return text

    def _guarded_prompt(self, prompt: Prompt) -> Prompt:
        if isinstance(prompt, str):
            return self._guarded(prompt)
        return tuple(Message(turn.role, self._guarded(turn.content)) for turn in prompt)

    def has_special(self, *texts: Prompt) -> bool:
        """Whether any of the texts holds the string of a special token."""
        plain = [part for text in texts for part in ((text,) if isinstance(text, str) else (t.content for t in text))]
        return any(special in text for special in self._specials for text in plain)


def _encode_plainly(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    # verbose=False: a text longer than the context is cut or dropped here, not run through the model
    return list(tokenizer.encode(text, add_special_tokens=False, verbose=False))


def _quick(tokenizer: PreTrainedTokenizerBase) -> Any:
    """The tokenizer of the package tokenizers inside, by itself half as dear; None where it does not give the same."""
    inner = getattr(tokenizer, "backend_tokenizer", None)
    expected = _encode_plainly(tokenizer, TRIAL)
    alike = inner is not None and inner.encode_batch_fast([TRIAL], add_special_tokens=False)[0].ids == expected
    return inner if alike else None


def _tokenizer_adds_bos(tokenizer: PreTrainedTokenizerBase) -> bool:
    if tokenizer.bos_token_id is None:
        return False
    return bool(tokenizer.encode("a")[:1] == [tokenizer.bos_token_id])

"""Running text as rows, for pretraining: filled to the context's length, or one document each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from rlhf_core.contract.records import Text
from rlhf_core.contract.rows import Row, Tokens

from .codec import TextCodec

BETWEEN: Final = "\n\n"
"""Between documents that have no end."""


def text_blocks(records: Sequence[Text], codec: TextCodec) -> Iterator[tuple[Row, Text]]:
    """Documents one after another, cut into rows of the context's length; each with the record that it starts in.

    A document ends with EOS, and the next starts with BOS where that is another token; texts that do not end
    (``end_texts: false``) go on behind a blank line. A row is BOS and a block; the last block may be shorter. No token
    is left out and none stands in two blocks.
    """
    size = codec.context_length - 1
    held: Tokens = ()
    start: Text | None = None
    for record in records:
        start = start or record
        held += _document(record, codec, first=not held)
        whole = len(held) - len(held) % size
        for cut in range(0, whole, size):
            yield _row(start, held[cut : cut + size], codec), start
            start = record
        held = held[whole:]
        if not held:
            start = None
    if start is not None:
        yield _row(start, held, codec), start


def text_documents(records: Sequence[Text], codec: TextCodec) -> Iterator[tuple[Row, Text]]:
    """A row per document, BOS in front and EOS behind; one longer than the context becomes several."""
    size = codec.context_length - 1
    for record in records:
        tokens = codec.encode_document(record.text)
        for cut in range(0, len(tokens), size):
            yield _row(record, tokens[cut : cut + size], codec), record


def _document(record: Text, codec: TextCodec, *, first: bool) -> Tokens:
    if not codec.end_texts:
        return codec.encode_text(record.text if first else BETWEEN + record.text)
    tokens = codec.encode_document(record.text)
    return tokens if first or codec.bos == codec.eos else (codec.bos, *tokens)


def _row(record: Text, block: Tokens, codec: TextCodec) -> Row:
    return Row(record_id=record.id, prompt=(codec.bos,), completions=(block,))

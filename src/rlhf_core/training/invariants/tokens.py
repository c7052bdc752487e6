"""Rows are what they say: one tokenisation of prompts in every stage, completions that end where they end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...contract.records import PromptRecord, Record
from ...contract.rows import Codec, Rollout, Row
from .violation import violated


def require_one_tokenisation(rows: Sequence[Row], records: Mapping[str, Record], codec: Codec) -> None:
    """A prompt has the tokens by which it is sampled from, whatever stands behind it in its row.

    Raises: TrainingStopped naming the row.
    """
    for row in rows:
        record = records[row.record_id]
        if not isinstance(record, PromptRecord):
            continue
        alone = codec.encode_prompt(record.prompt)
        if row.prompt != alone:
            raise violated(
                f"{row.record_id}: the prompt alone is {len(alone)} tokens, {_end(alone)}, but its row begins with "
                f"{len(row.prompt)}, {_end(row.prompt)}",
                means="it is trained on as other tokens than it is sampled from",
                cause="prompt and completion were tokenised together and cut apart by characters "
                "('Assistant: ' and ' x' share a token), or the row was made under another template",
            )


def require_whole(rows: Sequence[Row], codec: Codec, *, stops: bool = False) -> None:
    """Every row has a prompt and no empty completion; a rollout ends at its first EOS and has a logprob per token.

    Args: stops: stop strings end completions as well, with any token.

    Raises: TrainingStopped naming the row.
    """
    for row in rows:
        if not row.prompt or not all(row.completions):
            raise _broken(row, "the prompt or a completion has no token")
        if isinstance(row, Rollout):
            _require_rollout(row, codec, stops)


def _require_rollout(row: Rollout, codec: Codec, stops: bool) -> None:
    for tokens, logprobs, finished in zip(row.completions, row.logprobs, row.finished, strict=True):
        if codec.eos in tokens[:-1]:
            raise _broken(row, f"{len(tokens) - 1 - tokens.index(codec.eos)} tokens stand behind EOS")
        if finished != (tokens[-1] == codec.eos) and not (finished and stops):
            raise _broken(row, f"finished is {finished}, but its last token is {tokens[-1]} (EOS is {codec.eos})")
        if len(logprobs) != len(tokens):
            raise _broken(row, f"{len(tokens)} tokens have {len(logprobs)} logprobs")


def _broken(row: Row, found: str) -> Exception:
    return violated(
        f"{row.record_id}: {found}",
        means="tokens that nobody wrote would be trained on, or real ones left out",
        cause="collect of the trainer changed completions after they were sampled",
    )


def _end(tokens: Sequence[int]) -> str:
    return f"…{list(tokens[-3:])}"

"""Options of the published puns."""

from __future__ import annotations

from typing import Literal

from rlhf_core.contract.options import Options

View = Literal["pairs", "demonstrations", "prompts"]


class PublishedPunsOptions(Options):
    """Where the file lies and what to make of it."""

    file: str
    """Pun_Dataset.json, as published at github.com/JacksonPaull/RLHF; relative to the working folder."""
    view: View = "pairs"
    """pairs (prompt, chosen, rejected: every stage can read it), demonstrations (prompt, completion) or prompts."""
    conversation: bool = True
    """Whether a record that has a conversation asks by it; false asks every record by its request alone, which is
    shorter."""

"""What a recipe says of its data: the sources, the held-out part, the template."""

from __future__ import annotations

import difflib
from typing import Any, Literal

from pydantic import ConfigDict, Field, field_validator, model_validator

from rlhf_core.contract.options import Options

Documents = Literal["paragraphs", "lines", "file"]
TextRows = Literal["blocks", "documents"]


class SourceOptions(Options):
    """One source of rows: a file (``path``), a data set of the hub (``hub``) or a plugin's (``source``).

    The options of a plugin's data set stand beside ``source``; beside ``path`` and ``hub`` unknown keys are refused.
    """

    model_config = ConfigDict(extra="allow")

    path: str | None = None
    """A file: .jsonl, .json, .csv, .tsv, .txt or .parquet; relative to the recipe's folder."""
    hub: str | None = None
    """A data set of the Hugging Face hub: ORG/NAME."""
    source: str | None = None
    """A dataset component by name (see `rlhf plugins`); its own options stand beside it."""
    config: str | None = None
    """The configuration of a hub data set that has several."""
    split: str | None = None
    """Which split; of a file: the rows whose column `split` says so. Default: all rows of a file, else train."""
    weight: float | None = Field(default=None, gt=0)
    """Share of this source in the mixture, relative to the other weights (1 where another source has one). Without
    any weight every record is taken once."""
    map: dict[str, str] = Field(default_factory=dict)
    """Which column holds what, such as {prompt: question, chosen: good}."""
    documents: Documents | int = "paragraphs"
    """What a document of a .txt file is: paragraphs, lines, file, or about so many characters of whole paragraphs."""
    start_after: str | None = None
    """Of a .txt file: skip everything up to the first line that contains this, such as '*** START OF'."""
    end_before: str | None = None
    """Of a .txt file: stop before the next line that contains this, such as '*** END OF'."""

    @model_validator(mode="after")
    def _one_origin(self) -> SourceOptions:
        origins = [key for key in ("path", "hub", "source") if getattr(self, key) is not None]
        if len(origins) != 1:
            found = " and ".join(origins) or "none of them"
            raise ValueError(f"a source has exactly one of path (a file), hub and source (a plugin's); found {found}")
        if self.source is None and self.extra:
            raise ValueError("; ".join(_unknown_key(key) for key in self.extra))
        if isinstance(self.documents, int) and self.documents < 1:
            raise ValueError(f"documents: at least 1 character, found {self.documents}")
        return self

    @property
    def extra(self) -> dict[str, Any]:
        """The options of a plugin's data set: every key that is not a field of this class."""
        return dict(self.model_extra or {})

    @property
    def label(self) -> str:
        """How messages call this source."""
        return str(self.path or self.hub or self.source)


def _unknown_key(key: str) -> str:
    near = difflib.get_close_matches(key, SourceOptions.model_fields, n=1)
    hint = f"; did you mean '{near[0]}'?" if near else f" (known: {', '.join(SourceOptions.model_fields)})"
    return f"{key}: unknown key of a source{hint}"


class ValidationOptions(Options):
    """Held-out records: sources of their own, or a share of the training sources' prompts."""

    sources: tuple[SourceOptions, ...] = ()
    """Sources that are never trained on."""
    fraction: float | None = Field(default=None, gt=0, lt=1)
    """Share of the prompts to hold out. Whole prompts, chosen by their text: the same ones in every stage."""
    limit: int | None = Field(default=None, ge=1)
    """At most so many held-out records."""

    @model_validator(mode="after")
    def _one_way(self) -> ValidationOptions:
        if bool(self.sources) == (self.fraction is not None):
            raise ValueError("validation has either sources or a fraction, such as {fraction: 0.1}")
        return self


class DataOptions(Options):
    """The data of a stage."""

    sources: tuple[SourceOptions, ...] = Field(min_length=1)
    """Where the records come from; several are mixed by weight."""
    validation: ValidationOptions | None = None
    """What is held out: {fraction: 0.1} or {sources: [...]}; null holds out nothing."""
    limit: int | None = Field(default=None, ge=1)
    """At most so many training records."""
    max_prompt_tokens: int | None = Field(default=None, ge=1)
    """Records with longer prompts are dropped, counted and named. Default: what the context leaves."""
    max_completion_tokens: int | None = Field(default=None, ge=1)
    """Longer completions are cut, without EOS, and counted. Default: what the context leaves."""
    text_rows: TextRows = "blocks"
    """Running text, for pretraining: rows filled to the context with one document after another, or a row per document
    (documents), for short ones that later stages will meet alone."""
    end_texts: bool = True
    """Whether running and labelled text ends with EOS. A model that is to write on and on must not meet it: false runs
    one document into the next behind a blank line, and lets a reward model read a text that does not end."""
    turns: Literal["last", "all"] = "last"
    """Which assistant turns of a chat are learnt: the last one, or each with the turns before it as its prompt."""
    bad_rows: Literal["stop", "drop"] = "stop"
    """Rows that cannot be read (broken JSON, a missing column, null where text belongs): stop and list them, or leave
    them out and count them."""


class TemplateOptions(Options):
    """How a record becomes text. There is one template for every stage of a model; it is saved with the model."""

    prompt: str = "Human: {prompt}\n\nAssistant:"
    """The text of a prompt. End it without a space and start the completion with one."""
    completion: str = " {completion}"
    """The text of a completion; its outer white space is left out, and EOS follows it."""
    bos: Literal["auto", "always", "never"] = "auto"
    """Whether rows start with BOS: as the tokenizer itself does it, always, or only where a prompt is empty."""
    chat: bool = False
    """Use the chat template that the tokenizer brings, in place of `prompt` and `completion`."""
    system: str | None = None
    """System message of every prompt that has none of its own."""

    @field_validator("prompt", "completion")
    @classmethod
    def _has_its_place(cls, value: str, info: Any) -> str:
        place = "{" + info.field_name + "}"
        if value.count(place) != 1:
            raise ValueError(f"must contain {place} exactly once, found {value.count(place)} times in {value!r}")
        return value

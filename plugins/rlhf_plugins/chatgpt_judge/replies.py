"""The shapes of a reply, and the check of the whole of it: a verdict is never read out of a longer text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Final, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, create_model


def _no_boolean(value: object) -> object:
    """True equals 1 in Python, and so in a Literal."""
    if isinstance(value, bool):
        raise ValueError("must be a whole number from 1 to 5")
    return value


GRADES: Final = (1, 2, 3, 4, 5)
Score = Annotated[Literal[1, 2, 3, 4, 5], BeforeValidator(_no_boolean)]

_FENCED = re.compile(r"\A```(?:json)?\s*\n(.*)\n```\Z", re.DOTALL)


class Unusable(ValueError):
    """The reply is not the one JSON object that was asked for. The message says why, without quoting the reply."""


class ReplyModel(BaseModel):
    """``schema_name`` names the shape to the server. Verdicts come before the reason: thinking aloud first was found
    to make judges less consistent."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    schema_name: ClassVar[str]

    ticket: str
    reason: str


class CompareReply(ReplyModel):
    schema_name: ClassVar[str] = "comparison"

    winner: Literal["A", "B", "tie"]


class GradeReply(ReplyModel):
    """Base of the shapes that :func:`grade_reply` makes."""

    schema_name: ClassVar[str] = "grade"

    @property
    def criteria(self) -> dict[str, float]:
        return {name: float(value) for name, value in self if name not in ReplyModel.model_fields}


def grade_reply(criteria: Iterable[str]) -> type[GradeReply]:
    """The shape of a reply with a grade per criterion."""
    fields: Any = dict.fromkeys(criteria, (Score, ...))
    return create_model("GradeReply", __base__=GradeReply, **fields)


R = TypeVar("R", bound=ReplyModel)


class NotJSON(Unusable):
    """Not even JSON: a server that enforces a schema cannot have made this."""


def parse(text: str, shape: type[R], ticket: str) -> R:
    """The reply, if all of ``text`` is one object of that shape that carries the ticket of the question.

    A Markdown fence round the whole of it is no fault. Raises: Unusable.
    """
    stripped = text.strip()
    fenced = _FENCED.match(stripped)
    try:
        found = json.loads(fenced.group(1) if fenced else stripped, object_pairs_hook=_without_duplicates)
    except json.JSONDecodeError as error:
        raise NotJSON("it is not one JSON object" if stripped else "it is empty") from error
    except RecursionError as error:
        raise NotJSON("it is nested too deeply") from error
    try:
        reply = shape.model_validate(found)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the object"
        known = {"the object", *shape.model_fields}
        # The place may be a key that the reply made up: only our own names are repeated.
        raise Unusable(f"{where if where in known else 'an unknown key'}: {first['msg']}") from error
    if reply.ticket != ticket:
        raise Unusable("ticket: it is not the one of this question")
    return reply


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Two verdicts under one key are no verdict; ``json`` alone would take the last."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Unusable("a key stands twice")
    return found


def json_schema(shape: type[ReplyModel], *, ticket: str | None = None) -> dict[str, Any]:
    """As strict servers want it: every key required, none beside them, no titles; ``reason`` last.

    Args:
        ticket: writes the one ticket that is right into the schema. OpenAI compiles each new schema, which takes
            seconds: there it stays out, and one schema serves all questions.
    """
    properties = {
        name: {key: value for key, value in field.items() if key != "title"}
        for name, field in shape.model_json_schema()["properties"].items()
    }
    if ticket is not None:
        properties["ticket"] = {"type": "string", "enum": [ticket]}
    properties["reason"] = properties.pop("reason")
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}

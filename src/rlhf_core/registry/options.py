"""What is wrong with given options, in a user's words: the key, what was found, and a near name."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

_SHOWN = 60


@dataclass(frozen=True)
class OptionProblem:
    """One mistake.

    Args:
        keys: the way to the value, such as ``("lora", "r")``.
        text: what is wrong, without the key.
        found: the value as given; ``None`` with ``absent``.
        absent: the key is required and missing.
    """

    keys: tuple[str | int, ...]
    text: str
    found: object = None
    absent: bool = False

    def line(self, prefix: str = "") -> str:
        """``trainer.beta = -1: must be greater than 0``; of a whole section (no keys) without what it holds."""
        if not self.keys:
            return prefix + self.text
        key = prefix + dotted(self.keys)
        value = "" if self.absent else f" = {shown(self.found)}"
        return f"{key}{value}: {self.text}"


def option_problems(error: ValidationError, cls: type[BaseModel], owner: str) -> list[OptionProblem]:
    """Every mistake that pydantic found, one per key: the alternatives of a union are joined.

    Args:
        owner: whose options they are, for "unknown option of OWNER".
    """
    problems: dict[tuple[str | int, ...], OptionProblem] = {}
    for detail in error.errors():
        keys = _keys(detail["loc"], cls)
        text = _text(detail, keys, cls, owner)
        absent = detail["type"] == "missing"
        before = problems.get(keys)
        text = f"{before.text}, or {text}" if before and before.text != text else text
        problems[keys] = OptionProblem(keys, text, None if absent else detail["input"], absent)
    return list(problems.values())


def unknown(name: object, known: Iterator[str] | list[str], owner: str) -> str:
    """``unknown option of dpo; did you mean 'beta'?`` or, with nothing near, the options there are."""
    names = sorted(known)
    near = difflib.get_close_matches(str(name), names, n=1)
    if near:
        return f"unknown option of {owner}; did you mean {near[0]!r}?"
    return f"unknown option of {owner}; there are {', '.join(names)}" if names else f"{owner} has no options"


def shown(value: object) -> str:
    """A value on one short line."""
    text = repr(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def dotted(keys: tuple[str | int, ...]) -> str:
    """``("parts", 0, "reward")`` as ``parts[0].reward``."""
    text = ""
    for key in keys:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else str(key)
    return text


def field_names(cls: type[BaseModel]) -> list[str]:
    """The keys by which the fields are given (their aliases where they have one)."""
    return [field.alias or name for name, field in cls.model_fields.items()]


def _text(detail: Any, keys: tuple[str | int, ...], cls: type[BaseModel], owner: str) -> str:
    if detail["type"] == "extra_forbidden":
        inner = _model_at(cls, keys[:-1])
        return unknown(keys[-1], field_names(inner or cls), _whose(owner, keys[:-1]))
    if detail["type"] == "missing":
        return "is missing"
    if detail["type"] == "model_type" and (inner := _model_at(cls, keys)) is not None:
        return f"must be a section: {{{', '.join(f'{name}: …' for name in field_names(inner))}}}"
    message: str = detail["msg"]
    for start in ("Input should be ", "Value error, ", "Assertion failed, "):
        if message.startswith(start):
            message = ("must be " if start.startswith("Input") else "") + message.removeprefix(start)
    return message


def _whose(owner: str, keys: tuple[str | int, ...]) -> str:
    return f"{owner}'s {dotted(keys)}" if keys else owner


def _keys(loc: tuple[str | int, ...], cls: type[BaseModel]) -> tuple[str | int, ...]:
    """The keys that a user wrote: pydantic adds the names of a union's members at the end of the way."""
    model: type[BaseModel] | None = cls
    keys: list[str | int] = []
    for part in loc:
        if model is None and keys and not isinstance(part, int) and _is_member_name(part):
            break
        keys.append(part)
        model = _model_at(cls, tuple(keys))
    return tuple(keys)


def _is_member_name(part: str) -> bool:
    kinds = ("literal[", "function-", "list[", "tuple[", "dict[", "constrained-", "is-instance", "callable")
    return part in {"str", "int", "float", "bool"} or part.startswith(kinds)


def _model_at(cls: type[BaseModel], keys: tuple[str | int, ...]) -> type[BaseModel] | None:
    """The options class at the end of a way through nested fields; None where there is none."""
    model: type[BaseModel] | None = cls
    for key in keys:
        if isinstance(key, int) or model is None:
            continue
        fields = {field.alias or name: field for name, field in model.model_fields.items()}
        model = next(_models_in(fields[key].annotation), None) if key in fields else None
    return model


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)

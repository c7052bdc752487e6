"""An options class as lines of help: name, type, default, one line of its documentation."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

import click
from pydantic import BaseModel
from pydantic_core import PydanticUndefined


def options_table(cls: type[BaseModel], *, prefix: str = "") -> None:
    """Print every option of ``cls``, nested ones by their dotted names."""
    rows = list(option_rows(cls, prefix))
    if not rows:
        click.echo("no options")
        return
    width = max(len(f"{name}: {kind} = {default}") for name, kind, default, _ in rows)
    for name, kind, default, summary in rows:
        left = f"{name}: {kind}" + (f" = {default}" if default else "  (required)")
        click.echo(f"  {left.ljust(min(width, 46))}  {summary}")


def option_rows(cls: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str, str, str]]:
    """(name, type, default or "", summary) per option."""
    for name, field in cls.model_fields.items():
        key = prefix + (field.alias or name)
        inner = _model(field.annotation)
        default = field.get_default(call_default_factory=True) if not field.is_required() else PydanticUndefined
        if inner is not None and isinstance(default, BaseModel):
            yield key, type_name(field.annotation), "{…}", _summary(field.description)
            yield from option_rows(inner, f"{key}.")
        else:
            shown = "" if default is PydanticUndefined else yaml_text(default)
            yield key, type_name(field.annotation), shown, _summary(field.description)


def type_name(annotation: Any) -> str:
    """``float``, ``int | null``, ``last | all``, ``list of str``."""
    if annotation is None or annotation is type(None):
        return "null"
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " | ".join(str(argument) for argument in arguments)
    if origin in (typing.Union, types.UnionType):
        return " | ".join(dict.fromkeys(type_name(argument) for argument in arguments))
    if origin in (list, tuple):
        inner = list(dict.fromkeys(type_name(argument) for argument in arguments if argument is not Ellipsis))
        return f"list of {' | '.join(inner)}"
    if origin is dict or annotation is dict:
        return "mapping"
    if origin is typing.Annotated:
        return type_name(arguments[0])
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "section"
    names = {"Any": "anything", "Callable": "function"}
    name = getattr(annotation, "__name__", str(annotation))
    return names.get(name, name)


def yaml_text(value: object) -> str:
    """A default as it would be written in a recipe."""
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json", exclude_defaults=True)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return repr(value) if value == "" or value != value.strip() or "\n" in value else value
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {yaml_text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(yaml_text(item) for item in value) + "]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _model(annotation: Any) -> type[BaseModel] | None:
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def _summary(description: str | None) -> str:
    """The whole documentation of an option on one line."""
    return " ".join((description or "").split())

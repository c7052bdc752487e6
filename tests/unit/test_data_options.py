"""Options of data and template: what is refused, and how it is said."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from rlhf_core.data.options import DataOptions, SourceOptions, TemplateOptions, ValidationOptions


def test_options_of_a_plugins_data_set_stand_beside_its_name() -> None:
    source = SourceOptions.model_validate({"source": "puns", "view": "pairs", "split": "test", "weight": 2})
    assert (source.extra, source.split, source.weight) == ({"view": "pairs"}, "test", 2.0)


def test_a_file_refuses_unknown_keys_with_a_suggestion() -> None:
    with pytest.raises(ValidationError, match=r"wieght: unknown key of a source; did you mean 'weight'\?"):
        SourceOptions.model_validate({"path": "a.jsonl", "wieght": 2})


@pytest.mark.parametrize("source", [{}, {"path": "a.jsonl", "hub": "org/name"}])
def test_a_source_has_exactly_one_origin(source: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="exactly one of path"):
        SourceOptions.model_validate(source)


def test_a_weight_of_zero_and_documents_of_zero_characters_are_refused() -> None:
    with pytest.raises(ValidationError, match="greater than 0"):
        SourceOptions.model_validate({"path": "a.jsonl", "weight": 0})
    with pytest.raises(ValidationError, match="at least 1 character"):
        SourceOptions.model_validate({"path": "a.txt", "documents": 0})


def test_validation_is_either_sources_or_a_fraction() -> None:
    with pytest.raises(ValidationError, match="either sources or a fraction"):
        ValidationOptions()
    with pytest.raises(ValidationError, match="either sources or a fraction"):
        ValidationOptions.model_validate({"fraction": 0.1, "sources": [{"path": "a.jsonl"}]})
    with pytest.raises(ValidationError, match="less than 1"):
        ValidationOptions(fraction=1.0)


def test_data_without_sources_or_with_an_unknown_key_are_refused() -> None:
    with pytest.raises(ValidationError, match="at least 1 item"):
        DataOptions.model_validate({"sources": []})
    with pytest.raises(ValidationError, match="Extra inputs"):
        DataOptions.model_validate({"sources": [{"path": "a.jsonl"}], "limits": 3})


def test_a_template_has_its_place_exactly_once() -> None:
    with pytest.raises(ValidationError, match=r"must contain \{prompt\} exactly once, found 0 times in 'Human:'"):
        TemplateOptions(prompt="Human:")
    with pytest.raises(ValidationError, match="found 2 times"):
        TemplateOptions(completion="{completion}{completion}")


def test_every_option_is_documented() -> None:
    for options in (SourceOptions, DataOptions, TemplateOptions, ValidationOptions):
        for name, field in options.model_fields.items():
            assert field.description, f"{options.__name__}.{name}"

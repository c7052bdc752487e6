"""The JSON schema of recipes, for editors: every installed component with its options."""

from __future__ import annotations

from typing import Any

from rlhf_core.contract.components import KINDS, Kind
from rlhf_core.registry.catalog import Catalog, Found

from .schema import RecipeOptions
from .sections import NAMED_BY

_SECTIONS: dict[tuple[str, str], Kind] = {
    ("StageOptions", "reward"): "reward",
    ("StageOptions", "track"): "tracker",
    ("RecipeOptions", "track"): "tracker",
    ("EvaluateOptions", "evaluators"): "evaluator",
    ("EvaluateOptions", "judge"): "judge",
}


def recipe_schema(catalog: Catalog) -> dict[str, Any]:
    """A draft 2020-12 schema. Each kind of component is one of its definitions: ``reward``, ``tracker`` …"""
    schema = RecipeOptions.model_json_schema(by_alias=True)
    definitions = schema["$defs"]
    for kind in KINDS:
        definitions[kind] = {"anyOf": [_component(found, kind, definitions) for found in catalog.rows(kind)]}
    for (owner, key), kind in _SECTIONS.items():
        properties = (schema if owner == "RecipeOptions" else definitions[owner])["properties"]
        properties[key] = _pointed_at(properties[key], kind)
    stage = definitions["StageOptions"]
    # What every stage shares may stand once, beside the stages.
    stage["required"] = [key for key in stage["required"] if key != "data"]
    stage["allOf"] = [_trainer_options(found, definitions) for found in catalog.rows("trainer")]
    _loosen(schema, definitions)
    definitions["ModelOptions"] = {"allOf": [definitions["ModelOptions"], {"$ref": "#/$defs/backbone"}]}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _loosen(schema: dict[str, Any], definitions: dict[str, Any]) -> None:
    """A recipe over another may leave stages to that one, or name those that it changes; a file may be its path."""
    change = {**definitions["StageOptions"], "required": [], "title": "StageChanges"}
    definitions["StageChanges"] = change
    listed = schema["properties"]["stages"]
    by_name = {"type": "object", "additionalProperties": {"$ref": "#/$defs/StageChanges"}}
    schema["properties"]["stages"] = {"description": listed.pop("description"), "anyOf": [listed, by_name]}
    files = schema["properties"]["files"]
    files["additionalProperties"] = {"anyOf": [{"type": "string"}, files["additionalProperties"]]}
    schema["required"] = ["name"]
    schema["if"] = {"required": ["extends"]}
    schema["else"] = {"required": ["stages"], "properties": {"stages": {"type": "array"}}}


def _component(found: Found, kind: Kind, definitions: dict[str, Any]) -> dict[str, Any]:
    """Its section: the key that names it, its options beside it."""
    options = found.options_class().model_json_schema(ref_template="#/$defs/{model}")
    definitions.update(options.pop("$defs", {}))
    key = NAMED_BY[kind]
    options["properties"] = {key: {"enum": [found.component.name, found.qualified]}, **options.get("properties", {})}
    if kind == "backbone":
        options["properties"]["path"] = {"type": "string"}
        del options["properties"][key]
        return _if({"backbone": found.component.name}, options)
    if kind == "evaluator":
        options["properties"]["name"] = {"type": "string"}
    options["required"] = [key, *options.get("required", [])]
    return {**options, "title": f"{kind}:{found.component.name}", "description": found.component.summary}


def _trainer_options(found: Found, definitions: dict[str, Any]) -> dict[str, Any]:
    options = found.options_class().model_json_schema(ref_template="#/$defs/{model}")
    definitions.update(options.pop("$defs", {}))
    return _if({"algo": found.component.name}, {"properties": {"trainer": options}})


def _if(values: dict[str, str], then: dict[str, Any]) -> dict[str, Any]:
    properties = {key: {"const": value} for key, value in values.items()}
    return {"if": {"properties": properties, "required": list(values)}, "then": then}


def _pointed_at(schema: dict[str, Any], kind: Kind) -> dict[str, Any]:
    """The free mapping inside a property's schema replaced by the components of a kind."""
    reference = {"$ref": f"#/$defs/{kind}"}
    kept = {key: value for key, value in schema.items() if key in ("description", "default", "title")}
    if "items" in schema:
        return {**kept, "type": "array", "items": reference}
    return {**kept, "anyOf": [reference, {"type": "null"}]}

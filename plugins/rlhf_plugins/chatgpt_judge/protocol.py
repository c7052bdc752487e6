"""What a judge is told, as a file that a user can replace: definition, examples, criteria with their anchors."""

from __future__ import annotations

import difflib
import hashlib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from rlhf_core.contract.errors import RLHFError
from rlhf_core.contract.options import Options

from .replies import GRADES, CompareReply, GradeReply, ReplyModel, grade_reply

Anchors = Annotated[dict[int, str], Field(min_length=2)]


class ProtocolFile(Options):
    """The content of a protocol file."""

    summary: str
    """One line: what is judged."""
    introduction: str
    """What is judged and by which idea of good; definition and examples."""
    compare: str
    """What counts when two completions are compared, and in which order."""
    criteria: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")], Anchors] = Field(min_length=1)
    """Each criterion with what its grades mean: at least 1 and 5."""
    success: dict[str, int] = Field(default_factory=dict)
    """Least grades of a completion that does what was asked for."""

    @model_validator(mode="after")
    def _consistent(self) -> ProtocolFile:
        for name, anchors in self.criteria.items():
            if {1, 5} - set(anchors) or not set(anchors) <= set(GRADES):
                raise ValueError(f"criteria.{name}: grades go from 1 to 5, and 1 and 5 must say what they mean")
        for name, least in self.success.items():
            if name not in self.criteria or least not in GRADES:
                raise ValueError(f"success.{name} = {least}: must be a criterion and a grade from 1 to 5")
        taken = set(self.criteria) & set(ReplyModel.model_fields)
        if taken:
            raise ValueError(f"criteria.{min(taken)}: the name is taken; choose another")
        return self


@dataclass(frozen=True)
class Protocol:
    """A protocol file, read.

    Args:
        name: the file's name without its suffix. ``version``: the head of its content's sha256.
        grade_shape: the reply to a grading question, a field per criterion.
    """

    name: str
    version: str
    content: ProtocolFile
    grade_shape: type[GradeReply]
    compare_shape: type[CompareReply] = CompareReply

    @property
    def label(self) -> str:
        return f"{self.name}@{self.version}"

    @property
    def anchors(self) -> str:
        """The criteria with their anchors, a line each."""
        return "\n".join(
            f"{name}: " + "; ".join(f"{grade} = {meaning}" for grade, meaning in sorted(anchors.items())) + "."
            for name, anchors in self.content.criteria.items()
        )

    def succeeded(self, grades: dict[str, float]) -> bool | None:
        """Whether each criterion of ``success`` reaches its grade; None without such a rule."""
        least = self.content.success
        return all(grades[name] >= grade for name, grade in least.items()) if least else None


def load_protocol(name: str, folder: str) -> Protocol:
    """A bundled protocol by name, or a file (relative to ``folder``). Raises: RLHFError with the file and the key."""
    path = Path(folder, name).expanduser()
    bundled = bundled_protocols()
    if name in bundled:
        text, label = bundled[name], name
    elif path.is_file():
        text, label = path.read_text("utf-8"), path.stem
    else:
        near = difflib.get_close_matches(name, bundled, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise RLHFError(f"judge.protocol = {name!r}: no such file, and bundled are {', '.join(bundled)}{hint}")
    content = _read(text, name if name in bundled else str(path))
    version = hashlib.sha256(text.encode()).hexdigest()[:8]
    return Protocol(label, version, content, grade_reply(content.criteria))


def bundled_protocols() -> dict[str, str]:
    """Contents by name."""
    folder = files(__package__).joinpath("protocols")
    found = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".yaml")), key=lambda entry: entry.name)
    return {entry.name.removesuffix(".yaml"): entry.read_text("utf-8") for entry in found}


def _read(text: str, place: str) -> ProtocolFile:
    try:
        found: Any = YAML(typ="safe").load(text)
        return ProtocolFile.model_validate(found)
    except YAMLError as error:
        raise RLHFError(f"{place}: is no YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        lines = [
            f"{place}: {'.'.join(map(str, found['loc'])) or 'the file'}: {found['msg'].removeprefix('Value error, ')}"
            for found in error.errors(include_input=False, include_url=False)
        ]
        raise RLHFError("\n".join(lines)) from error

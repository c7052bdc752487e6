"""What makes two runs of a stage the same: its options, its data, and what it builds on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rlhf_core.contract.identity import fingerprint as model_fingerprint
from rlhf_core.store.run import RunFolder
from rlhf_core.training.options import NOT_IN_IDENTITY

from .lending import base_folder
from .written.resolved import Stage
from .written.sections import STAGE_PREFIX

_COSMETIC = ("name", "track", "from")


def stage_fingerprint(
    stage: Stage, runs: Mapping[str, str], start: RunFolder | None, data: Mapping[str, str]
) -> str:  # fmt: skip
    """sha256 over everything that decides the stage's weights.

    Args:
        runs: folders of the stages it needs; their own fingerprints stand for them.
        start: the run it starts from.
        data: fingerprints of the records.
    """
    plain = {key: value for key, value in stage.plain().items() if key not in _COSMETIC}
    plain["training"] = {
        key: value for key, value in plain["training"].items() if key not in NOT_IN_IDENTITY - {"precision"}
    }
    # The sources' place is not their content.
    plain["data"] = {key: value for key, value in plain["data"].items() if key not in ("sources", "validation")}
    parents = {name: run_fingerprint(RunFolder.open(folder)) for name, folder in sorted(runs.items())}
    parts = {"stage": plain, "parents": parents, "start": run_fingerprint(start) if start else None, "data": data}
    return digest({**parts, "base": _base_fingerprint(stage.options.model.path)})


def _base_fingerprint(path: str) -> str | None:
    """Of a local base model, by its weights; hub names and revisions stand in the options."""
    folder = Path(base_folder(path)) if path and not path.startswith(STAGE_PREFIX) else None
    return model_fingerprint(folder) if folder is not None and folder.is_dir() else None


def run_fingerprint(run: RunFolder) -> str:
    """As recorded; of runs that were made by other means, of the weights."""
    recorded = run.info.get("fingerprint")
    return str(recorded) if recorded else model_fingerprint(run.model)


def digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()

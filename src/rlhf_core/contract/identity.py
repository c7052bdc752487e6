"""What saved weights are: ``rlhf.json`` beside them, and the identity of the base that an adapter was made for."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from .errors import RLHFError
from .records import JSON

IDENTITY_FILE: Final = "rlhf.json"
"""Base, roles, heads, template and versions of a saved policy."""
ADAPTER_FILE: Final = "adapter_config.json"
FORMAT: Final = 1


def identify(source: str, *, revision: str | None = None) -> dict[str, JSON]:
    """``{"path", "revision", "sha256"}`` of a model in a folder or in the local cache of the hub."""
    folder = Path(source)
    if folder.is_dir():
        return {"path": str(folder.resolve()), "revision": None, "sha256": fingerprint(folder)}
    from transformers.utils import cached_file

    folder = Path(cached_file(source, "config.json", revision=revision)).parent
    return {"path": source, "revision": folder.name, "sha256": fingerprint(folder)}


def fingerprint(folder: str | os.PathLike[str]) -> str:
    """sha256 over the weight files of a model's folder, by name. Raises RLHFError when it holds none."""
    files = sorted(
        path for pattern in ("model*.safetensors", "pytorch_model*.bin") for path in Path(folder).glob(pattern)
    )
    if not files:
        raise RLHFError(f"{folder}: no model weights (model.safetensors) there")
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.name.encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def read_identity(folder: Path) -> dict[str, Any]:
    """``rlhf.json`` of a saved policy; of a folder made elsewhere, what transformers' and peft's own files say."""
    path = folder / IDENTITY_FILE
    if path.is_file():
        identity: dict[str, Any] = json.loads(path.read_text("utf-8"))
        if identity.get("format") != FORMAT:
            raise RLHFError(f"{path}: format {identity.get('format')!r} is not {FORMAT}; update rlhf_core")
        return identity
    base: dict[str, JSON] = {}
    if (folder / ADAPTER_FILE).is_file():
        config = json.loads((folder / ADAPTER_FILE).read_text("utf-8"))
        base = {"path": config.get("base_model_name_or_path"), "revision": config.get("revision")}
    return {"base": base, "roles": {"policy": "."}, "heads": {}, "template": {}}


def require_same_base(adapter: Path, base: Mapping[str, JSON]) -> None:
    """Raises RLHFError naming both when an adapter was made for another base than the one that is loaded.

    Weights decide where their hash is known on both sides, else the names.
    """
    recorded = read_identity(adapter)["base"]
    key = "sha256" if recorded.get("sha256") and base.get("sha256") else "path"
    if recorded.get(key) and base.get(key) and recorded[key] != base[key]:
        raise RLHFError(
            f"{adapter}: the adapter was trained on {recorded['path']} ({key} {str(recorded[key])[:12]}), but the base "
            f"is {base.get('path')} ({key} {str(base[key])[:12]}); set model.path to the adapter's own base"
        )

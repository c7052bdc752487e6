"""Opening what was saved: as a frozen policy, or merged into one plain model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeAlias

import torch
from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from rlhf_core.contract.backbone import LoadContext, Trunk
from rlhf_core.contract.errors import RLHFError
from rlhf_core.contract.identity import ADAPTER_FILE, fingerprint, read_identity
from rlhf_core.contract.pretrained import PretrainedBackbone, PretrainedOptions, quietly
from rlhf_core.contract.records import JSON
from rlhf_core.contract.rows import Codec

from .full_roles import FullRoles
from .policy import TrunkPolicy, context_length, start_roles
from .roles import POLICY, Roles

__all__ = ["CodecFactory", "TrunkLoader", "fingerprint", "load_policy", "merge"]

CodecFactory: TypeAlias = Callable[[PreTrainedTokenizerBase, Mapping[str, JSON], int], Codec]
"""(tokenizer, template as ``codec.describe()`` gave it or empty, context length) to a codec."""
TrunkLoader: TypeAlias = Callable[[LoadContext], Trunk]
"""A backbone's ``load``."""


def load_policy(
    folder: str | Path, *, make_codec: CodecFactory, device: torch.device, dtype: torch.dtype,
    load_trunk: TrunkLoader | None = None, base: str | None = None,
) -> TrunkPolicy:  # fmt: skip
    """A run's model folder, an adapter, or a plain model (folder or hub name), as a frozen policy with its heads.

    Its ``"reference"`` is the plain base model, whatever the run started from.

    Args:
        load_trunk: loads a plain model; by default any causal LM of transformers.
        base: where the base is now, if it is no longer where the adapter says.

    Raises:
        RLHFError when there is nothing to load, the base is not found, or is not the one the adapter was made for.
    """
    load = load_trunk or PretrainedBackbone(PretrainedOptions(lora=None)).load
    open_trunk = partial(_open_trunk, load, device=device, dtype=dtype)
    place = Path(folder)
    if not place.is_dir():
        trunk = open_trunk(str(folder))
        return TrunkPolicy(trunk, make_codec(trunk.tokenizer, {}, context_length(trunk)), device=device)
    identity = read_identity(place)
    base_path = base or identity["base"].get("path")
    if (place / ADAPTER_FILE).is_file():
        trunk, roles = _adapter(place, _require_base(place, base_path), open_trunk)
    else:
        trunk, roles = _full(place, identity, base_path, open_trunk)
    codec = make_codec(trunk.tokenizer, identity["template"], context_length(trunk))
    policy = TrunkPolicy(trunk, codec, device=device, roles=roles)
    for role, inner in identity["roles"].items():
        if inner != ".":
            policy.roles.restore(role, place / inner)
    policy.heads.restore(place)
    return policy


def merge(folder: str | Path, out: str | Path) -> None:
    """Write a run's policy as one plain model with its tokenizer: ``AutoModelForCausalLM.from_pretrained(out)``."""
    source = Path(folder)
    identity = read_identity(source)
    if POLICY not in identity["roles"]:
        raise RLHFError(f"{source} holds {', '.join(identity['roles'])}, but no policy to export")
    options = PretrainedOptions(lora=None)  # an adapter at the start is merged into its base
    path = _require_base(source, identity["base"].get("path")) if (source / ADAPTER_FILE).is_file() else str(source)
    context = _context(path, device=torch.device("cpu"), dtype=torch.float32, start=source)
    trunk = PretrainedBackbone(options).load(context)
    with quietly():
        trunk.model.save_pretrained(out)
    trunk.tokenizer.save_pretrained(out)


def _adapter(place: Path, base_path: str, open_trunk: Callable[[str], Trunk]) -> tuple[Trunk, Roles]:
    trunk = replace(open_trunk(base_path), adapter=place, lora=None)
    if (place / "tokenizer_config.json").is_file():
        trunk = replace(trunk, tokenizer=AutoTokenizer.from_pretrained(place, local_files_only=True))
    return trunk, start_roles(trunk, seed=0, plain_reference=True)


def _full(
    place: Path, identity: Mapping[str, Mapping[str, str]], base_path: str | None, open_trunk: Callable[[str], Trunk]
) -> tuple[Trunk, Roles]:
    trunk = open_trunk(str(place))

    def open_reference() -> PreTrainedModel:
        return open_trunk(_require_base(place, base_path)).model

    here = frozenset(role for role, inner in identity["roles"].items() if inner == ".")
    # A model made from scratch records an empty path: it is its own base.
    from_base = open_reference if base_path else None
    return trunk, FullRoles(trunk, open_reference=from_base, holds=here)


def _require_base(place: Path, base_path: str | None) -> str:
    if not base_path:
        raise RLHFError(f"{place}: no base model is recorded; name it")
    if Path(base_path).is_absolute() and not Path(base_path).is_dir():
        raise RLHFError(
            f"{place}: its base model {base_path} is not there any more; put it back, or name where it is now"
        )
    return base_path


def _open_trunk(load: TrunkLoader, path: str, *, device: torch.device, dtype: torch.dtype) -> Trunk:
    return load(_context(path, device=device, dtype=dtype, start=None))


def _context(path: str, *, device: torch.device, dtype: torch.dtype, start: Path | None) -> LoadContext:
    return LoadContext(path=path, start=start, device=device, dtype=dtype, seed=0, texts=lambda: iter(()))

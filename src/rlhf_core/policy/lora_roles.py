"""Named LoRA adapters on one network."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from peft.tuners.lora import LoraLayer
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import Parameter
from transformers import PreTrainedModel

from rlhf_core.contract.backbone import Trunk
from rlhf_core.contract.errors import RLHFError
from rlhf_core.contract.identity import ADAPTER_FILE
from rlhf_core.contract.pretrained import quietly

from .roles import POLICY, REFERENCE

ADAPTER_WEIGHTS = "adapter_model.safetensors"


class LoraRoles:
    """The start is the bare trunk (then the reference is the adapters switched off), or a saved adapter.

    In the second case the policy begins as that adapter and the reference is a frozen copy of it, made here and now.

    Args:
        seed: of fresh adapters, each role's the same on every run; the global random state is left alone.
        plain_reference: the reference is the bare trunk whatever the start (evaluation against the base).
    """

    def __init__(self, trunk: Trunk, *, seed: int, plain_reference: bool) -> None:
        self._base_path = str(trunk.base.get("path") or trunk.model.name_or_path)
        self._seed = seed
        self._trained: set[str] = set()
        config = _starting_config(trunk)
        with self._seeded():
            self._peft: PeftModel = get_peft_model(trunk.model, config, adapter_name=POLICY)
        self.model: PreTrainedModel = self._peft.get_base_model()
        self._layers = [module for module in self.model.modules() if isinstance(module, LoraLayer)]
        self._refuse_embeddings()
        if trunk.adapter is not None:
            self._write(POLICY, _read(trunk.adapter))
        self._has_reference = trunk.adapter is not None and not plain_reference
        if self._has_reference:
            self._add_copy(REFERENCE, of=POLICY)
        self._restore_gradients()

    def train(self, role: str) -> list[Parameter]:
        """The adapter of ``role``; a new one is a copy of the starting adapter, or fresh (B = 0: the start, too)."""
        if role == REFERENCE:
            raise ValueError("the reference is frozen")
        if role not in self._peft.peft_config:
            self._add(role)
            if self._has_reference:
                self._write(role, self._read_adapter(REFERENCE))
        self._trained.add(role)
        self._restore_gradients()
        return [parameter for name, parameter in self._named() if self._belongs(name, role)]

    @contextmanager
    def acting(self, role: str) -> Iterator[PreTrainedModel]:
        if role == REFERENCE and not self._has_reference:
            with self._switched_off():
                yield self.model
            return
        if role not in self._peft.peft_config:
            known = ", ".join(self._peft.peft_config)
            raise RLHFError(f"the policy has no role {role!r}, only {known}, {REFERENCE}")
        if self._peft.active_adapters != [role]:
            self._peft.base_model.set_adapter(role)
            self._restore_gradients()
        yield self.model

    @contextmanager
    def sampling(self, role: str) -> Iterator[PreTrainedModel]:
        """Adds the adapter to the weights for the time being, in float32 alone: half precision would round it away."""
        if (role == REFERENCE and not self._has_reference) or self.model.dtype != torch.float32:
            with self.acting(role) as model:
                yield model
            return
        originals = [layer.get_base_layer().weight.data for layer in self._layers]
        try:
            for layer, original in zip(self._layers, originals, strict=True):
                layer.get_base_layer().weight.data = original + layer.get_delta_weight(role)
            with self._switched_off():
                yield self.model
        finally:  # the very same tensors: adding and subtracting would drift
            for layer, original in zip(self._layers, originals, strict=True):
                layer.get_base_layer().weight.data = original

    def trained(self) -> Iterator[tuple[str, Parameter]]:
        return (item for item in self._named() if any(self._belongs(item[0], role) for role in self._trained))

    def weights(self, role: str) -> Iterator[tuple[str, Tensor]]:
        return (
            (name.replace(".base_layer", ""), parameter)
            for name, parameter in self._peft.named_parameters()
            if ".lora_" not in name or self._belongs(name, role)
        )

    def fixed(self) -> dict[str, Parameter]:
        named = self._peft.base_model.model.named_parameters()
        return {name.replace(".base_layer", ""): weight for name, weight in named if ".lora_" not in name}

    def frozen(self) -> Iterator[tuple[str, Parameter]]:
        trained = dict(self.trained())
        return (item for item in self._peft.named_parameters() if item[0] not in trained)

    @property
    def keeps_reference(self) -> bool:
        return True

    def role_of(self, name: str) -> str:
        return name.split(".")[-2]  # … .lora_A.ROLE.weight

    def before_loading(self, state: Mapping[str, Tensor]) -> None:
        """The reference is kept from the beginning."""

    def marks(self) -> Mapping[str, Tensor]:
        return {}

    def networks(self) -> Iterator[PreTrainedModel]:
        yield self.model

    def save(self, folder: Path) -> dict[str, str]:
        """The policy's adapter at the root, so that ``PeftModel.from_pretrained(base, folder)`` finds it."""
        places = {role: "." if role == POLICY else role for role in self._peft.peft_config if role != REFERENCE}
        for role, place in places.items():
            target = folder / place
            target.mkdir(parents=True, exist_ok=True)
            config = copy.deepcopy(self._peft.peft_config[role])
            config.inference_mode = True
            config.base_model_name_or_path = self._base_path
            config.save_pretrained(str(target))
            weights = {name: value.detach().cpu().contiguous() for name, value in self._read_adapter(role).items()}
            save_file(weights, target / ADAPTER_WEIGHTS, metadata={"format": "pt"})
        return places

    def restore(self, role: str, folder: Path) -> None:
        with self._seeded():
            self._peft.add_adapter(role, LoraConfig.from_pretrained(str(folder)))
        self._write(role, _read(folder))
        self._restore_gradients()

    @contextmanager
    def _switched_off(self) -> Iterator[None]:
        self._peft.base_model.disable_adapter_layers()
        self._restore_gradients()
        try:
            yield
        finally:
            self._peft.base_model.enable_adapter_layers()
            self._restore_gradients()

    def _restore_gradients(self) -> None:
        """PEFT's ``set_adapter`` and its switches freeze adapters that are trained, and thaw others; put that right."""
        for name, parameter in self._named():
            parameter.requires_grad_(any(self._belongs(name, role) for role in self._trained))

    def _named(self) -> Iterator[tuple[str, Parameter]]:
        return ((name, parameter) for name, parameter in self._peft.named_parameters() if ".lora_" in name)

    @staticmethod
    def _belongs(name: str, role: str) -> bool:
        return f".{role}." in name

    def _add(self, role: str) -> None:
        with self._seeded():
            self._peft.add_adapter(role, copy.deepcopy(self._peft.peft_config[POLICY]))

    def _add_copy(self, role: str, *, of: str) -> None:
        self._add(role)
        self._write(role, self._read_adapter(of))

    def _read_adapter(self, role: str) -> dict[str, Tensor]:
        found: dict[str, Tensor] = get_peft_model_state_dict(self._peft, adapter_name=role, save_embedding_layers=False)
        return found

    def _write(self, role: str, weights: Mapping[str, Tensor]) -> None:
        expected = {name: value.shape for name, value in self._read_adapter(role).items()}
        if expected != {name: value.shape for name, value in weights.items()}:
            raise RLHFError(
                f"the adapter of role {role!r} does not fit the model {self._base_path}: names or shapes differ"
            )
        set_peft_model_state_dict(self._peft, dict(weights), adapter_name=role)

    @contextmanager
    def _seeded(self) -> Iterator[None]:
        with torch.random.fork_rng(), quietly():
            torch.manual_seed(self._seed)
            yield

    def _refuse_embeddings(self) -> None:
        """The output layer is applied in tiles, outside the role's forward pass, and is often the embedding itself."""
        if any(
            isinstance(m, LoraLayer) for m in (self.model.get_input_embeddings(), self.model.get_output_embeddings())
        ):
            raise RLHFError("model.lora.targets: embeddings and the output layer cannot be adapted; leave them out")


def _starting_config(trunk: Trunk) -> LoraConfig:
    """Of fresh adapters, or of the saved one with this stage's dropout.

    Raises: RLHFError when recipe and saved adapter disagree on the adapter's shape or scale.
    """
    asked: dict[str, Any] = dict(trunk.lora or {})
    if trunk.adapter is None:
        return LoraConfig(**asked)
    config = LoraConfig.from_pretrained(str(trunk.adapter))
    config.inference_mode = False
    config.base_model_name_or_path = trunk.model.name_or_path or None
    for name, key in (("r", "r"), ("lora_alpha", "alpha"), ("target_modules", "targets")):
        saved = getattr(config, name)
        if name in asked and asked[name] != (sorted(saved) if isinstance(saved, set) else saved):
            raise RLHFError(
                f"model.lora.{key} = {asked[name]}, but the adapter in {trunk.adapter} has {saved}: "
                f"set model.lora.{key} to {saved}, or start from the base"
            )
    config.lora_dropout = asked.get("lora_dropout", config.lora_dropout)
    return config


def _read(folder: Path) -> dict[str, Tensor]:
    path = folder / ADAPTER_WEIGHTS
    if not path.is_file():
        raise RLHFError(f"{folder}: {ADAPTER_FILE} is there, but not {ADAPTER_WEIGHTS}; save the adapter again")
    weights: dict[str, Tensor] = load_file(path)
    return weights

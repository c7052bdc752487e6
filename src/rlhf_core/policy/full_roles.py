"""One network per role: full fine-tuning, and plain models without adapters.

The trunk belongs to the first role that is trained (``reward`` alone needs no second network). While it is untouched it
answers for every role; a copy is made when a second role is trained, or when the reference is first asked for, which
must come before the first update. A stage that never asks for the reference pays nothing for it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import Parameter
from transformers import AutoModelForCausalLM, PreTrainedModel

from rlhf_core.contract.backbone import Trunk
from rlhf_core.contract.errors import RLHFError
from rlhf_core.contract.pretrained import quietly

from .roles import POLICY, REFERENCE, Opener

KEPT_REFERENCE = "roles.reference"
"""Name of the mark in a checkpoint: a reference was kept, so one must be taken before the weights are overwritten."""


class FullRoles:
    """See the module.

    Args:
        open_reference: opens the network of the reference where it is not the start (evaluation against the base).
        holds: the roles that ``trunk`` is; a saved reward model is ``reward`` and no policy.
    """

    def __init__(
        self, trunk: Trunk, *, open_reference: Opener | None = None, holds: frozenset[str] = frozenset({POLICY})
    ) -> None:
        self.model = trunk.model
        self._open_reference = open_reference
        self._holds = holds
        self._owned: dict[str, PreTrainedModel] = {}
        self._trained: set[str] = set()
        self._start_versions = _versions(trunk.model)

    def train(self, role: str) -> list[Parameter]:
        if role == REFERENCE:
            raise ValueError("the reference is frozen")
        if role not in self._owned:
            free = all(network is not self.model for network in self._owned.values())
            self._owned[role] = self.model if free else self._copy_of_start(role)
        self._trained.add(role)
        parameters = [parameter for _, parameter in self._trainable(role)]
        for parameter in parameters:
            parameter.requires_grad_(True)
        return parameters

    def acting(self, role: str) -> AbstractContextManager[PreTrainedModel]:
        return nullcontext(self._network(role))

    def sampling(self, role: str) -> AbstractContextManager[PreTrainedModel]:
        return self.acting(role)

    def trained(self) -> Iterator[tuple[str, Parameter]]:
        return (
            (f"{role}.{name}", parameter) for role in sorted(self._trained) for name, parameter in self._trainable(role)
        )

    def weights(self, role: str) -> Iterator[tuple[str, Tensor]]:
        yield from self._network(role).named_parameters()

    def fixed(self) -> dict[str, Parameter]:
        return {}

    def frozen(self) -> Iterator[tuple[str, Parameter]]:
        return (
            (f"{role}.{name}", parameter)
            for role in sorted(self._owned.keys() - self._trained)
            for name, parameter in self._owned[role].named_parameters()
        )

    @property
    def keeps_reference(self) -> bool:
        return REFERENCE in self._owned

    def role_of(self, name: str) -> str:
        return name.partition(".")[0]

    def before_loading(self, state: Mapping[str, Tensor]) -> None:
        if KEPT_REFERENCE in state:
            self._network(REFERENCE)

    def marks(self) -> Mapping[str, Tensor]:
        return {KEPT_REFERENCE: torch.ones(1)} if REFERENCE in self._owned else {}

    def networks(self) -> Iterator[PreTrainedModel]:
        yield self.model
        yield from (network for network in self._owned.values() if network is not self.model)

    def save(self, folder: Path) -> dict[str, str]:
        """The policy's network (or that of the one trained role) at the root, others in folders of their name."""
        kept = {role: network for role, network in self._owned.items() if role != REFERENCE}
        if not kept:
            kept = dict.fromkeys(sorted(self._holds), self.model)
        root = POLICY if POLICY in kept else next(iter(kept))
        places = {role: "." if role == root else role for role in kept}
        with quietly():
            for role, place in places.items():
                kept[role].save_pretrained(folder / place)
        return places

    def restore(self, role: str, folder: Path) -> None:
        with quietly():
            network = AutoModelForCausalLM.from_pretrained(folder, dtype=self.model.dtype, local_files_only=True)
        self._owned[role] = network.to(self.model.device).requires_grad_(False)

    def _trainable(self, role: str) -> Iterator[tuple[str, Parameter]]:
        """All weights; without the output layer where a role is read through heads and the layer is its own.

        It would have no part in the loss, and weight decay alone would move it.
        """
        network = self._owned[role]
        output = network.get_output_embeddings()
        embedded = {id(parameter) for parameter in network.get_input_embeddings().parameters()}
        unread = set() if role == POLICY else {id(parameter) for parameter in output.parameters()} - embedded
        return (item for item in network.named_parameters() if id(item[1]) not in unread)

    def _network(self, role: str) -> PreTrainedModel:
        if role in self._owned:
            return self._owned[role]
        if role == REFERENCE and self._open_reference is not None:
            self._owned[role] = self._open_reference().requires_grad_(False)
            return self._owned[role]
        if role not in self._holds | {REFERENCE}:
            raise RLHFError(
                f"the policy has no role {role!r}, only {', '.join(sorted(self._holds | set(self._owned)))}"
            )
        if not self._trained or all(self._owned[trained] is not self.model for trained in self._trained):
            return self.model
        self._owned[role] = self._copy_of_start(role)
        return self._owned[role]

    def _copy_of_start(self, role: str) -> PreTrainedModel:
        """A frozen copy of the weights as the stage found them. They are still there, or an earlier copy of them is."""
        if _versions(self.model) == self._start_versions:
            source = self.model
        elif REFERENCE in self._owned and self._open_reference is None:
            source = self._owned[REFERENCE]
        else:
            raise RuntimeError(
                f"role {role!r} was first asked for after the first update, when the start was gone: under full "
                "fine-tuning score it once in collect(), or train it in prepare()"
            )
        network: PreTrainedModel = copy.deepcopy(source)
        return network.requires_grad_(False)


def _versions(model: PreTrainedModel) -> list[int]:
    """Counters that torch moves with every in-place change of a tensor, an optimizer's step included."""
    return [parameter._version for parameter in model.parameters()]

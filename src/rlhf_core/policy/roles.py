"""Roles of one trunk: which weights answer as ``policy``, ``reference``, ``value`` and ``reward``.

:class:`LoraRoles` keeps one network with named adapters; :class:`FullRoles` one network per role, each made only
when it is needed. Both hand out a plain causal LM whose forward pass is that of the role.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from torch import Tensor
from torch.nn import Parameter
from transformers import PreTrainedModel

POLICY = "policy"
REFERENCE = "reference"


class Roles(Protocol):
    """What a policy needs of its roles."""

    model: PreTrainedModel
    """The trunk as the backbone gave it (adapters inside it), for its configuration and device."""

    def train(self, role: str) -> list[Parameter]:
        """Make a role trainable, creating it as a copy of the start, and return its parameters."""

    def acting(self, role: str) -> AbstractContextManager[PreTrainedModel]:
        """The network that answers as ``role``. Raises RLHFError for a role there is not."""

    def sampling(self, role: str) -> AbstractContextManager[PreTrainedModel]:
        """As ``acting``, for many passes without gradient: adapters may be folded into the weights meanwhile."""

    def trained(self) -> Iterator[tuple[str, Parameter]]:
        """Trained parameters by stable names."""

    def weights(self, role: str) -> Iterator[tuple[str, Tensor]]:
        """All that a role's answers depend on, by stable names."""

    def fixed(self) -> dict[str, Parameter]:
        """Weights of the base that no role ever trains, by the base's own names; empty under full fine-tuning."""

    def frozen(self) -> Iterator[tuple[str, Parameter]]:
        """Weights in memory that no update may move, by stable names."""

    @property
    def keeps_reference(self) -> bool:
        """Whether the reference can be asked without a copy being made for it."""

    def role_of(self, name: str) -> str:
        """The role that a trained parameter of that name belongs to."""

    def before_loading(self, state: Mapping[str, Tensor]) -> None:
        """Called with a checkpoint's tensors before the trained weights are overwritten by them."""

    def marks(self) -> Mapping[str, Tensor]:
        """Further entries of a checkpoint, for ``before_loading``."""

    def networks(self) -> Iterator[PreTrainedModel]:
        """Every network in memory, once."""

    def save(self, folder: Path) -> dict[str, str]:
        """Write each role that is kept and return its place within ``folder``."""

    def restore(self, role: str, folder: Path) -> None:
        """Add a saved role, frozen."""


Opener = Callable[[], PreTrainedModel]

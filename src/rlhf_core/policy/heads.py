"""Linear heads on the last hidden state."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

HEADS_FILE = "heads.safetensors"


class Heads(nn.Module):
    """Heads by name, in float32 and zero at first: a value of 0 everywhere, and a reward that prefers nothing."""

    def __init__(self, hidden: int, device: torch.device) -> None:
        super().__init__()
        self._hidden = hidden
        self._device = device
        self._heads = nn.ModuleDict()

    def add(self, name: str, outputs: int) -> list[nn.Parameter]:
        if name in self._heads:
            raise ValueError(f"head {name!r} is there already")
        head = nn.Linear(self._hidden, outputs, device=self._device, dtype=torch.float32)
        nn.init.zeros_(head.weight)
        nn.init.zeros_(head.bias)
        self._heads[name] = head
        return list(head.parameters())

    def apply_to(self, hidden: Tensor, name: str) -> Tensor:
        """``[N, hidden]`` to ``[N]``, or ``[N, n]`` for a head of n outputs."""
        if name not in self._heads:
            raise ValueError(f"no head {name!r}; there are: {', '.join(self._heads) or 'none'}")
        with torch.autocast(hidden.device.type, enabled=False):  # a value in bfloat16 has three digits
            output: Tensor = self._heads[name](hidden.float())
        return output.squeeze(-1) if output.shape[-1] == 1 else output

    def outputs(self) -> dict[str, int]:
        """How many outputs each head has."""
        return {name: len(self._heads.get_parameter(f"{name}.bias")) for name in self._heads}

    def save(self, folder: Path) -> None:
        if len(self._heads):
            save_file(
                {name: value.detach().cpu() for name, value in self._heads.state_dict().items()}, folder / HEADS_FILE
            )

    def restore(self, folder: Path) -> None:
        """Add the saved heads, frozen."""
        if not (folder / HEADS_FILE).is_file():
            return
        weights = load_file(folder / HEADS_FILE)
        for key, value in weights.items():
            if key.endswith(".weight"):
                self.add(key.removesuffix(".weight"), len(value))
        self._heads.load_state_dict(weights)
        self.requires_grad_(False)

    def trained(self) -> dict[str, nn.Parameter]:
        return {f"heads.{name}": value for name, value in self._heads.named_parameters() if value.requires_grad}

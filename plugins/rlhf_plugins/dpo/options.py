"""Options of DPO."""

from __future__ import annotations

from pydantic import Field

from rlhf_core.contract.options import Options


class DPOOptions(Options):
    beta: float = Field(default=0.1, gt=0)
    """Inverse temperature of the implicit reward: the smaller, the further the policy may move from the reference."""

    label_smoothing: float = Field(default=0.0, ge=0, lt=0.5)
    """Assumed share of pairs whose labels are swapped (conservative DPO); 0 trusts every label."""

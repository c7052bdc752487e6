"""Options of DPO."""

from __future__ import annotations

from pydantic import Field

from rlhf_core.contract.options import Options


class DPOOptions(Options):
    beta: float = Field(default=0.1, gt=0)
    """Inverse temperature of the implicit reward: the smaller, the further the policy may move from the reference."""

    label_smoothing: float = Field(default=0.0, ge=0, lt=0.5)
    """Assumed share of pairs whose labels are swapped (conservative DPO); 0 trusts every label."""

    exact_kl_positions: int | None = Field(default=8, ge=0)
    """Tokens of each held-out sample at which the exact KL over the vocabulary is measured (kl_exact, unbiased); null
    measures at all of them, 0 at none."""

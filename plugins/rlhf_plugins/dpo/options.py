"""Options of DPO."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from rlhf_core.contract.options import Options


class DPOOptions(Options):
    beta: float = Field(default=0.1, gt=0)
    """Inverse temperature of the implicit reward: the smaller, the further the policy may move from the reference."""

    loss: Literal["sigmoid", "ipo", "hinge", "robust"] = "sigmoid"
    """``sigmoid``: DPO. ``ipo``: draws each margin to 1 / (2 beta), for labels that leave no doubt. ``hinge``: stops at
    a margin of 1 / beta. ``robust``: unbiased where a known share of the labels is swapped (``label_smoothing``)."""

    label_smoothing: float = Field(default=0.0, ge=0, lt=0.5)
    """Assumed share of pairs whose labels are swapped: of loss sigmoid (conservative DPO; 0 trusts every label) and of
    loss robust."""

    length_normalised: bool = False
    """Divide each sequence logprob by its number of tokens, so that length does not pay; beta is then larger, about 1
    to 10 (Lambert et al. 2024), and rewards and logprob changes are per token."""

    exact_kl_positions: int | None = Field(default=8, ge=0)
    """Tokens of each held-out sample at which the exact KL over the vocabulary is measured (kl_exact, unbiased); null
    measures at all of them, 0 at none."""

    @model_validator(mode="after")
    def _smoothing_where_it_means_something(self) -> DPOOptions:
        if self.label_smoothing and self.loss in ("ipo", "hinge"):
            raise ValueError(
                f"label_smoothing = {self.label_smoothing:g}: loss {self.loss} has none; set it to 0, or loss to "
                "sigmoid or robust"
            )
        if not self.label_smoothing and self.loss == "robust":
            raise ValueError(
                "loss robust corrects for swapped labels: set label_smoothing to their share (0 would be loss sigmoid)"
            )
        return self

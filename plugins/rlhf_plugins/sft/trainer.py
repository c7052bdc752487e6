"""Supervised fine-tuning: maximise the likelihood of completions given their prompts (Ouyang et al. 2022, step 1).

The loss is on completion tokens alone, EOS included, so that the policy learns to end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rlhf_core.contract.options import NoOptions
from rlhf_core.contract.policy import Params
from rlhf_core.contract.records import Demonstration
from rlhf_core.contract.rows import Loss, Row, Totals
from rlhf_core.contract.trainer import AnyRow, BaseTrainer, TrainContext
from rlhf_core.math.logprobs import mean_logprobs
from rlhf_core.math.masking import masked_sum


class SFT(BaseTrainer[Row]):
    Record = Demonstration
    Row = Row

    def __init__(self, options: NoOptions) -> None:
        self.options = options

    @property
    def readings(self) -> Mapping[str, str]:
        return {
            "How should this loss move?": (
                "It is the mean nats per completion token, never below 0, and should fall on held-out data too; it "
                "cannot fall below the entropy of the texts. Where the held-out loss turns up while the other falls, "
                "the texts are learnt by heart: fewer epochs, or more data."
            )
        }

    def prepare(self, context: TrainContext) -> Mapping[str, Params]:
        self.policy = context.policy
        return {"policy": self.policy.train_role("policy")}

    def loss(self, rows: Sequence[AnyRow], totals: Totals) -> Loss:
        scored = self.policy.score(rows)
        return Loss(
            -masked_sum(scored.logprobs, scored.mask) / totals.tokens,
            per_row=-mean_logprobs(scored.logprobs.detach(), scored.mask),
        )

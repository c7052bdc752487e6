"""Pretraining: the likelihood of running text, cut into blocks (Radford et al. 2019)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rlhf_core.contract.options import NoOptions
from rlhf_core.contract.policy import Params
from rlhf_core.contract.records import Text
from rlhf_core.contract.rows import Loss, Row, Totals
from rlhf_core.contract.trainer import AnyRow, BaseTrainer, TrainContext
from rlhf_core.math.logprobs import mean_logprobs
from rlhf_core.math.masking import masked_sum


class Pretrain(BaseTrainer[Row]):
    """Rows are blocks: the prompt is the single start token, the completion the block's text."""

    Record = Text
    Row = Row

    def __init__(self, options: NoOptions) -> None:
        self.options = options

    @property
    def readings(self) -> Mapping[str, str]:
        return {
            "How should this loss move?": (
                "It is the mean nats per token of running text. It starts near ln of the vocabulary's size where the "
                "model is new, falls fast, then ever more slowly, and cannot fall below the entropy of the text. The "
                "held-out loss turns up once the text has been gone through too often: take more text, or fewer epochs."
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

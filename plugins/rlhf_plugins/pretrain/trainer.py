"""Pretraining: the likelihood of running text, cut into blocks (Radford et al. 2019)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rlhf_core.contract.options import NoOptions
from rlhf_core.contract.policy import Params
from rlhf_core.contract.records import Text
from rlhf_core.contract.rows import Loss, Row, Totals
from rlhf_core.contract.trainer import AnyRow, BaseTrainer, TrainContext
from rlhf_core.math.masking import masked_sum


class Pretrain(BaseTrainer[Row]):
    """Rows are blocks: the prompt is the single start token, the completion the block's text."""

    Record = Text
    Row = Row

    def __init__(self, options: NoOptions) -> None:
        self.options = options

    def prepare(self, context: TrainContext) -> Mapping[str, Params]:
        self.policy = context.policy
        return {"policy": self.policy.train_role("policy")}

    def loss(self, rows: Sequence[AnyRow], totals: Totals) -> Loss:
        scored = self.policy.score(rows)
        return Loss(-masked_sum(scored.logprobs, scored.mask) / totals.tokens)

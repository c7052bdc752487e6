"""A reward model: one number for a completion, read off the last real token by a linear head.

From pairs: −log sigma(r_chosen − r_rejected − margin) (Ouyang et al. 2022, eq. 1; the margin of Touvron et al. 2023,
eq. 2), plus centring (Eisenstein et al. 2023), because pairs leave the mean free. From labelled texts: logistic
regression, the reward being the log-odds of the positive class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from rlhf_core.contract.errors import RLHFError
from rlhf_core.contract.policy import Params
from rlhf_core.contract.records import Labelled, Preference
from rlhf_core.contract.rows import LabelledRow, Loss, PairRow, Row, Totals
from rlhf_core.contract.trainer import AnyRow, BaseTrainer, TrainContext
from rlhf_core.math.averages import averages
from rlhf_core.math.losses import bradley_terry_loss, centering_loss, classification_loss

from .options import RewardModelOptions


class RewardModel(BaseTrainer[Row]):
    generates = False

    def __init__(self, options: RewardModelOptions) -> None:
        self.options = options
        self.Record = Preference if options.learn == "pairs" else Labelled
        self.Row = PairRow if options.learn == "pairs" else LabelledRow

    @property
    def readings(self) -> Mapping[str, str]:
        return {
            "How should this loss move?": (
                "It starts at ln 2 = 0.693, a coin's guess, and falls towards 0 as the right side gets the higher "
                "number. Where the held-out loss turns up the model is too sure of what it learnt by heart; held-out "
                "accuracy says how often it is right. The rewards of pairs have no zero of their own: only "
                "differences mean something."
            )
        }

    def prepare(self, context: TrainContext) -> Mapping[str, Params]:
        self.policy = context.policy
        if self.options.learn == "classes":
            self.positive = self._positive_label(context.labels)
        return {"reward": self.policy.train_role("reward"), "head": self.policy.add_head("reward")}

    def loss(self, rows: Sequence[AnyRow], totals: Totals) -> Loss:
        rewards = self.policy.score(rows, "reward", want={"last"}, head="reward").last
        return (
            self._pair_loss(rows, rewards, totals)
            if self.options.learn == "pairs"
            else self._class_loss(rows, rewards, totals)
        )

    def _pair_loss(self, rows: Sequence[AnyRow], rewards: Tensor, totals: Totals) -> Loss:
        chosen, rejected = rewards.view(-1, 2).unbind(1)
        margins = rewards.new_tensor([row.margin if isinstance(row, PairRow) else 0.0 for row in rows])
        losses = bradley_terry_loss(chosen, rejected, margins if self.options.margin else 0.0)
        total = losses + self.options.centering * centering_loss(chosen, rejected)
        with torch.no_grad():
            metrics = {
                "preference_loss": losses,
                "accuracy": (chosen > rejected).float() + 0.5 * (chosen == rejected).float(),
                "margin": chosen - rejected,
                "mean_reward": 0.5 * (chosen + rejected),
            }
        return Loss(total.sum() / totals.rows, averages(metrics, totals.rows), per_row=total.detach())

    def _class_loss(self, rows: Sequence[AnyRow], rewards: Tensor, totals: Totals) -> Loss:
        positive = rewards.new_tensor(
            [float(isinstance(row, LabelledRow) and row.label == self.positive) for row in rows]
        )
        losses = classification_loss(rewards, positive)
        correct = ((rewards > 0) == (positive > 0.5)).float()
        return Loss(losses.sum() / totals.rows, averages({"accuracy": correct}, totals.rows), per_row=losses.detach())

    def _positive_label(self, labels: Sequence[str]) -> int:
        if len(labels) != 2:
            raise RLHFError(
                f"reward: learn=classes needs two labels; the data have {len(labels)}: {', '.join(labels) or 'none'}"
            )
        positive = self.options.positive or labels[0]
        if positive not in labels:
            raise RLHFError(
                f"reward: positive = {positive!r} is no label of the data; labels are {labels[0]!r} and {labels[1]!r}"
            )
        return list(labels).index(positive)

"""Proximal policy optimization for language models (Schulman et al. 2017; Ziegler et al. 2019; Stiennon et al. 2020).

"Naive" is the plain single-process loop: sample, score, subtract the KL to the reference on each token, estimate
advantages, then several passes in minibatches with clipping. Everything an update compares against (old and
reference logprobs, values, advantages) is worked out once in ``collect`` and kept with the rows. Where sampling and
scoring round differently (bfloat16), the old logprobs are those of scoring, so that clipping is about the update alone,
and each token's loss is weighted by how much likelier scoring finds it than sampling did.
Left out: asynchronous rollouts, value-function pretraining, reward shaping per token.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

import torch
from torch import Tensor

from rlhf_core.contract.errors import RLHFError
from rlhf_core.contract.policy import Output, Params, SamplingSpec
from rlhf_core.contract.records import PromptRecord
from rlhf_core.contract.reward import Scores
from rlhf_core.contract.rows import Loss, Rollout, Scored, Totals
from rlhf_core.contract.trainer import PER_ROW, AnyRow, BaseTrainer, Check, Next, State, TrainContext
from rlhf_core.math.advantages import center_and_scale, estimate_advantages, mean_and_std, moments
from rlhf_core.math.averages import averages
from rlhf_core.math.importance import truncated_importance
from rlhf_core.math.kl import LARGEST_ERROR, adapt_kl_coef, k3, sequence_estimates
from rlhf_core.math.losses import clipped_policy_loss, clipped_value_loss
from rlhf_core.math.masking import pad
from rlhf_core.math.rewards import per_token_rewards

from .options import PPOOptions
from .readings import readings
from .scores import ScoreNormaliser


@dataclass(frozen=True, eq=False, kw_only=True)
class PPORow(Rollout):
    """A rollout with all that its updates need: per completion a tensor ``[tokens]``, unless said otherwise.

    Args:
        logprobs: (of :class:`Rollout`) of the distribution that was sampled from.
        old_logprobs: of the same policy as scoring gives them, from which the ratio is taken.
        scores: ``[completions]``, as the reward source gave them; ``part_scores`` is ``[parts, completions]``, and
            ``part_names`` names its lines, one per line.
        exact_kl: ``[completions]``, estimates of each completion's KL from the positions that were measured (nats);
            zero where none was.
        explained_variance: 1 − Var(returns − values) / Var(returns) of the whole batch, carried by each of its rows.
    """

    old_logprobs: tuple[Tensor, ...]
    ref_logprobs: tuple[Tensor, ...]
    values: tuple[Tensor, ...]
    advantages: tuple[Tensor, ...]
    returns: tuple[Tensor, ...]
    scores: Tensor
    part_scores: Tensor
    part_names: str
    exact_kl: Tensor
    explained_variance: float


class PPO(BaseTrainer[PPORow]):
    Record = PromptRecord
    Row = PPORow
    dropout_ok = False

    def __init__(self, options: PPOOptions) -> None:
        self.options = options
        self.inner_epochs = options.inner_epochs
        self.minibatches = options.minibatches
        self.kl_coef = options.kl_coef
        self.best = ("reward", "max") if options.keep == "best" else None
        self.normaliser = ScoreNormaliser(options)
        self.value_role = "policy" if options.value_model == "shared" else "value"

    @property
    def readings(self) -> Mapping[str, str]:
        return readings(self.options)

    def prepare(self, context: TrainContext) -> Mapping[str, Params]:
        if context.reward is None:
            raise RLHFError("ppo needs a reward: set `reward: {reward: NAME, …}` in the stage, or --reward")
        require_trainable_sampling(context.sampling)
        self.context = context
        self.policy = context.policy
        policy = self.policy.train_role("policy")
        value_network = [] if self.value_role == "policy" else list(self.policy.train_role("value"))
        return {"policy": policy, "value": [*value_network, *self.policy.add_head("value")]}

    def collect(self, rows: Sequence[AnyRow], *, seed: int) -> Sequence[PPORow]:
        rollouts = self.policy.sample(rows, self.context.sampling, seed=seed)
        scores = self.context.score(rollouts)
        measured = self.policy.compare(
            rollouts, want=self._with_values({"logprobs"}, "policy"), temperature=self.context.sampling.temperature,
            positions=self.options.exact_kl_positions, seed=seed,
        )  # fmt: skip
        old, reference = measured.own, measured.other
        before = old if self.value_role == "policy" else self._score(rollouts, {"values"}, role="value")
        rewards = self._rewards(rollouts, scores, reference)
        advantages, returns = estimate_advantages(
            rewards, before.values, before.mask, gamma=self.options.gamma, gae_lambda=self.options.gae_lambda
        )
        explained = self._explained_variance(before.values[before.mask], returns[before.mask])
        advantages = center_and_scale(advantages, *self._moments(advantages[before.mask]))
        columns = {
            "old_logprobs": old.logprobs, "ref_logprobs": reference.logprobs, "values": before.values,
            "advantages": advantages, "returns": returns,
        }  # fmt: skip
        return ppo_rows(rollouts, scores, columns, before.mask, measured.kl.sum(1).cpu(), explained)

    def loss(self, rows: Sequence[PPORow], totals: Totals) -> Loss:
        now = self._score(rows, {"logprobs", "entropy"})
        values = self._score(rows, {"values"}, role="value").values if self.value_role == "value" else now.values
        mask = now.mask
        sampled_logprobs, old_logprobs, old_values, advantages, returns = (
            column(rows, name).to(now.logprobs)[mask]
            for name in ("logprobs", "old_logprobs", "values", "advantages", "returns")
        )
        logprobs = now.logprobs[mask]
        weights = truncated_importance(old_logprobs, sampled_logprobs, cap=self.options.importance_cap)
        policy_loss = weights * clipped_policy_loss(
            logprobs, old_logprobs, advantages, clip_range=self.options.clip_range
        )
        value_loss = clipped_value_loss(values[mask], old_values, returns, clip_range=self.options.value_clip_range)
        entropy = now.entropy[mask]
        total = policy_loss + self.options.value_coef * value_loss - self.options.entropy_coef * entropy
        ratio = (logprobs - old_logprobs).exp().detach()
        metrics = {
            "policy_loss": policy_loss,
            "value_loss": value_loss,
            "entropy": entropy,
            "ratio": ratio,
            "clip_fraction": ((ratio - 1.0).abs() > self.options.clip_range).float(),
            "step_kl": k3(old_logprobs, logprobs),
        }
        return Loss(total.sum() / totals.tokens, {k: v.detach().sum() / totals.tokens for k, v in metrics.items()})

    def batch_metrics(self, rows: Sequence[PPORow], totals: Totals) -> Mapping[str, Tensor]:
        estimates = sequence_estimates(column(rows, "logprobs"), column(rows, "ref_logprobs"))
        scores = torch.cat([row.scores for row in rows])
        per_completion = {
            "score": scores,
            **estimates,
            "kl_in_reward": estimates[f"kl_{self.options.kl_estimator}"],
            "length": torch.tensor([float(len(tokens)) for row in rows for tokens in row.completions]),
            "finished": torch.tensor([float(done) for row in rows for done in row.finished]),
        }
        if self.options.exact_kl_positions != 0:
            per_completion["kl_exact"] = torch.cat([row.exact_kl for row in rows])
        for index, name in enumerate(filter(None, rows[0].part_names.split("\n"))):
            per_completion[f"score/{name}"] = torch.cat([row.part_scores[index] for row in rows])
        return {
            **averages({name: values.view(len(rows), -1) for name, values in per_completion.items()}, totals.rows),
            # For after_batch. float64: the normaliser takes the variance from the difference of two means.
            "_completion_score_square": scores.double().square().sum() / totals.completions,
            "_completions": torch.tensor(float(len(scores))),
            # Numbers of the whole batch: each rank adds its share of the rows.
            "explained_variance": torch.tensor(sum(row.explained_variance for row in rows) / totals.rows),
            "kl_coef": torch.tensor(self.kl_coef * len(rows) / totals.rows),
        }

    def validate(self, rows: Sequence[AnyRow], totals: Totals, *, seed: int) -> Mapping[str, Tensor]:
        """Score and KL of fresh samples on held-out prompts; PPO's own loss says nothing there."""
        collected = self.collect(rows, seed=seed)
        metrics = self.batch_metrics(collected, totals)
        found = {name: metrics[name] for name in metrics if name not in {"explained_variance", "kl_coef"}}
        found[f"{PER_ROW}score"] = torch.stack([row.scores.mean() for row in collected])
        if self.best is not None:
            kl = metrics["kl_exact"] if "kl_exact" in metrics else metrics["kl_k3"]
            found["reward"] = metrics["score"] - self.options.kl_coef * kl
        return found

    def after_step(self, metrics: Mapping[str, float]) -> Next:
        limit = self.options.step_kl_limit
        return Next.NEXT_BATCH if limit is not None and metrics["step_kl"] > limit else Next.CONTINUE

    def after_batch(self, metrics: Mapping[str, float]) -> None:
        self.normaliser.update(metrics["score"], metrics["_completion_score_square"])
        if self.options.kl_target is not None:
            samples, horizon = round(metrics["_completions"]), self.options.kl_horizon
            require_slow_control(samples, horizon)
            self.kl_coef = adapt_kl_coef(
                self.kl_coef, metrics["kl_k1"], target=self.options.kl_target, horizon=horizon, samples=samples
            )

    def checks(self) -> Sequence[Check]:
        return [
            Check(
                metric="ratio",
                expected=1.0,
                tolerance=1e-3,
                meaning="before the first update the policy must give each sampled token the probability that it had "
                "when the batch was collected; it does not: weights moved in between, or dropout is on",
            )
        ]

    def state_dict(self) -> State:
        return {"kl_coef": self.kl_coef, "normaliser": self.normaliser.state_dict()}

    def load_state_dict(self, state: State) -> None:
        self.kl_coef = state["kl_coef"]
        self.normaliser.load_state_dict(state["normaliser"])

    def _score(self, rows: Sequence[AnyRow], want: Set[Output], *, role: str = "policy") -> Scored:
        """One forward pass at the temperature that the rollouts were sampled at."""
        temperature = self.context.sampling.temperature
        return self.policy.score(rows, role, want=self._with_values(want, role), head="value", temperature=temperature)

    def _with_values(self, want: Set[Output], role: str) -> Set[Output]:
        """A value head on the policy's trunk rides along."""
        return {*want, "values"} if role == self.value_role else want

    def _rewards(self, rollouts: Sequence[Rollout], scores: Scores, reference: Scored) -> Tensor:
        ref_logprobs = reference.logprobs
        total = torch.tensor(scores.total, dtype=torch.float32, device=ref_logprobs.device)
        finished = torch.tensor([done for row in rollouts for done in row.finished], device=ref_logprobs.device)
        return per_token_rewards(
            self.normaliser(total, finished, *self._moments(total)),
            column(rollouts, "logprobs").to(ref_logprobs), ref_logprobs, reference.mask,
            kl_coef=self.kl_coef, estimator=self.options.kl_estimator,
        )  # fmt: skip

    def _moments(self, values: Tensor) -> tuple[float, float]:
        """Mean and standard deviation over all ranks."""
        return mean_and_std(self.context.all_reduce(moments(values)))

    def _explained_variance(self, values: Tensor, returns: Tensor) -> float:
        _, spread = self._moments(returns)
        _, error = self._moments(returns - values)
        return 1.0 - (error / spread) ** 2 if spread > 0 else 0.0


def require_trainable_sampling(sampling: SamplingSpec) -> None:
    """Raises: RLHFError where rollouts would come from another distribution than the one that the loss scores."""
    if sampling.temperature <= 0:
        raise RLHFError("ppo: sampling.temperature = 0 never explores; set it above 0")
    for name in ("top_k", "top_p"):
        if getattr(sampling, name) is not None:
            raise RLHFError(
                f"ppo: sampling.{name} truncates the distribution that rollouts are drawn from, while the loss scores "
                f"the whole one; set sampling.{name} to null"
            )


def require_slow_control(samples: int, horizon: int) -> None:
    """Raises: RLHFError where one batch of ``samples`` could take the adaptive coefficient to zero or below."""
    if LARGEST_ERROR * samples >= horizon:
        raise RLHFError(
            f"ppo: kl_horizon = {horizon} with {samples} completions a batch could turn kl_coef negative in one step; "
            f"set kl_horizon to {samples} or more (many times that moves it smoothly)"
        )


def column(rows: Sequence[Rollout], name: str) -> Tensor:
    """A per-token field of all completions, right-padded with zeros: ``[K, C]``."""
    return pad([tensor for row in rows for tensor in getattr(row, name)])


def ppo_rows(
    rollouts: Sequence[Rollout], scores: Scores, columns: Mapping[str, Tensor], mask: Tensor, exact_kl: Tensor,
    explained_variance: float,
) -> list[PPORow]:  # fmt: skip
    """Cut padded ``[K, C]`` columns back into rows, without their padding."""
    lengths = mask.sum(1).tolist()
    total = torch.tensor(scores.total, dtype=torch.float32)
    parts = torch.tensor(list(scores.parts.values()), dtype=torch.float32).view(-1, len(lengths))
    rows, start = [], 0
    for rollout in rollouts:
        span = range(start, start + len(rollout.completions))
        start = span.stop
        per_token = {name: tuple(values[i, : lengths[i]].cpu() for i in span) for name, values in columns.items()}
        rows.append(
            PPORow(
                record_id=rollout.record_id, prompt=rollout.prompt, completions=rollout.completions,
                logprobs=tuple(values.cpu() for values in rollout.logprobs), finished=rollout.finished, **per_token,
                scores=total[span.start : span.stop], part_scores=parts[:, span.start : span.stop].contiguous(),
                part_names="\n".join(scores.parts), exact_kl=exact_kl[span.start : span.stop].clone(),
                explained_variance=explained_variance,
            )
        )  # fmt: skip
    return rows

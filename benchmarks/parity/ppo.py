"""PPO beside TRL 1.12 over several rollouts: TRL rolls out and trains, watched; ours goes the same way on its rollouts.

TRL's mathematics stands inside one long method, so its inputs and results are read off the functions that it calls:
generation, logprobs, the value and reward passes, whitening, the masked means of its losses, and its log. Ours gets
tokens and scores alone; logprobs, KL, values, advantages, losses and weights are its own from the first to the last.
"""

from __future__ import annotations

import copy
import dataclasses
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import Any

import torch
from parts import (
    BATCH,
    PAD,
    STEPS,
    Result,
    context_of,
    flat,
    new_classifier,
    new_model,
    new_policy,
    new_tokenizer,
    random_texts,
)  # fmt: skip
from torch import Tensor
from transformers import PrinterCallback

from rlhf_core.contract.reward import Scores
from rlhf_core.contract.rows import Rollout, Row
from rlhf_core.policy.policy import TrunkPolicy
from rlhf_core.training.batching import count
from rlhf_plugins.naive_ppo.options import PPOOptions
from rlhf_plugins.naive_ppo.trainer import PPO, PPORow

ROLLOUTS = 4
"""Batches of rollouts, each gone through STEPS / ROLLOUTS times."""
LEARNING_RATE = 3e-4
LENGTH = 10
"""Tokens of every completion: TRL counts the end of shorter ones otherwise than we do (docs/parity.md)."""


@dataclasses.dataclass
class Watched:
    """What TRL computed on one batch of rollouts. ``[K, LENGTH]`` unless said otherwise.

    Args:
        sequences: ``[K, prompt and completion]``, left-padded. scores: ``[K]``.
        advantages, whitened: before and after whitening.
        passes: results of its passes of value model and reward model, in this order.
        logprobs: of policy, of reference, and then of each optimizer step.
        means: masked means of its losses, four per optimizer step.
        kl: per completion, with the estimator that is in the reward.
    """

    sequences: Tensor
    passes: list[Any] = dataclasses.field(default_factory=list)
    logprobs: list[Tensor] = dataclasses.field(default_factory=list)
    means: list[float] = dataclasses.field(default_factory=list)
    advantages: Tensor = dataclasses.field(default_factory=lambda: torch.empty(0))
    whitened: Tensor = dataclasses.field(default_factory=lambda: torch.empty(0))
    kl: float = 0.0

    @property
    def values(self) -> Tensor:
        values: Tensor = self.passes[0][0][:, -LENGTH - 1 : -1, 0]
        return values

    @property
    def scores(self) -> Tensor:
        scores: Tensor = self.passes[1][1]
        return scores

    @property
    def losses(self) -> tuple[list[float], list[float]]:
        """Policy and value losses. TRL takes four means per step: of the value loss (before its factor of one half), of
        where that was clipped, of the policy loss, and of where that was."""
        return self.means[2::4], [0.5 * mean for mean in self.means[0::4]]


def compare_ppo() -> list[Result]:
    return [
        result
        for options in (
            PPOOptions(kl_coef=0.2, kl_estimator="k1", value_model="separate"),
            PPOOptions(kl_coef=0.2, kl_estimator="k3", gamma=0.9, value_model="separate"),
        )
        for result in compare_with(options)
    ]


def compare_with(options: PPOOptions) -> list[Result]:
    base = new_model(vocabulary=PAD)  # TRL finds padding by its id: the model must not be able to write it
    start = moved(base)
    value_model, reward_model = new_classifier(base, seed=3), new_classifier(base, seed=4)
    # TRL trains these very models, so ours come first.
    ours = OurSide(base, start, value_model, options)
    seen = run_trl(options, start, base, reward_model, value_model)
    for rollout in seen:
        ours.go_through(rollout)
    theirs = {
        "policy logprobs": flat(rollout.logprobs[0] for rollout in seen),
        "reference logprobs": flat(rollout.logprobs[1] for rollout in seen),
        "KL in the reward, per completion": [rollout.kl for rollout in seen],
        "values": flat(rollout.values for rollout in seen),
        "advantages (rewards, KL, GAE)": flat(rollout.advantages for rollout in seen),
        "whitened advantages": flat(rollout.whitened for rollout in seen),
        "policy loss of each step": [loss for rollout in seen for loss in rollout.losses[0]],
        "value loss of each step": [loss for rollout in seen for loss in rollout.losses[1]],
        "policy weights after the last step": with_gradient(start, start.parameters()),
        "value weights after the last step": with_gradient(value_model, value_model.parameters()),
    }
    label = f"PPO ({options.kl_estimator}, γ = {options.gamma:g}): "
    return [Result(label + name, numbers, ours.found(name)) for name, numbers in theirs.items()]


def with_gradient(model: Any, weights: Iterable[Tensor]) -> list[float]:
    """All numbers but the biases of attention's keys, ``weights`` in the order of ``model``'s.

    Those biases add the same to all logits of a query: their gradient is rounding error, and Adam steps by its sign.
    """
    kept = []
    for (name, _), tensor in zip(model.named_parameters(), weights, strict=True):
        if name.endswith("c_attn.bias"):
            query, _, value = tensor.chunk(3)
            kept += [query, value]
        else:
            kept.append(tensor)
    return flat(kept)


@torch.no_grad()
def moved(model: Any) -> Any:
    """A policy that has left its reference."""
    model = copy.deepcopy(model)
    noise = torch.Generator().manual_seed(9)
    for parameter in model.parameters():
        parameter.add_(0.02 * torch.randn(parameter.shape, generator=noise))
    return model


# --- TRL


def run_trl(options: PPOOptions, policy: Any, reference: Any, reward_model: Any, value_model: Any) -> list[Watched]:
    import trl.experimental.ppo.ppo_trainer as module
    from datasets import Dataset
    from trl.experimental.ppo import PPOConfig

    prompts = [new_tokenizer()(text).input_ids for text in random_texts(BATCH * ROLLOUTS, (2, 8), 7)]
    with tempfile.TemporaryDirectory() as output, watching(module) as seen:
        config = PPOConfig(
            output_dir=output, per_device_train_batch_size=BATCH, gradient_accumulation_steps=1, num_mini_batches=1,
            num_ppo_epochs=STEPS // ROLLOUTS, total_episodes=BATCH * ROLLOUTS, response_length=LENGTH,
            local_rollout_forward_batch_size=BATCH,
            learning_rate=LEARNING_RATE, lr_scheduler_type="constant", optim="adamw_torch", temperature=1.0,
            kl_coef=options.kl_coef, kl_estimator=options.kl_estimator, gamma=options.gamma, lam=options.gae_lambda,
            cliprange=options.clip_range, cliprange_value=options.value_clip_range, vf_coef=options.value_coef,
            whiten_rewards=False, missing_eos_penalty=None, num_sample_generations=0, bf16=False, use_cpu=True,
            gradient_checkpointing=False, report_to="none", save_strategy="no", logging_strategy="no",
            disable_tqdm=True,
        )  # fmt: skip
        trainer = module.PPOTrainer(
            args=config, processing_class=new_tokenizer(), model=policy, ref_model=reference,
            reward_model=reward_model, value_model=value_model, train_dataset=Dataset.from_dict({"input_ids": prompts}),
        )  # fmt: skip
        trainer.remove_callback(PrinterCallback)
        trainer.log = overheard(trainer.log, lambda _, logged: setattr(seen[-1], "kl", logged["objective/kl"]))
        with redirect_stdout(None):
            trainer.train()
    return seen


@contextmanager
def watching(module: Any) -> Iterator[list[Watched]]:
    """Reads inputs and results of the functions that TRL's training loop calls, rollout after rollout."""
    seen: list[Watched] = []

    def generated(result: Any, *_: Any) -> None:
        seen.append(Watched(sequences=result[0].clone()))

    def passed(result: Any, *_: Any) -> None:
        seen[-1].passes.append(tuple(tensor.clone() for tensor in result))

    def scored(result: Any, *_: Any) -> None:
        seen[-1].logprobs.append(result.detach().clone())

    def whitened(result: Any, *arguments: Any) -> None:
        seen[-1].advantages, seen[-1].whitened = arguments[0].clone(), result.clone()
        seen[-1].means.clear()  # those of the whitening itself

    def averaged(result: Any, *_: Any) -> None:
        seen[-1].means.append(float(result))

    watchers = {
        "batch_generation": generated, "get_reward": passed, "selective_log_softmax": scored,
        "masked_whiten": whitened, "masked_mean": averaged,
    }  # fmt: skip
    originals = {name: getattr(module, name) for name in watchers}
    for name, watcher in watchers.items():
        setattr(module, name, overheard(originals[name], watcher))
    try:
        yield seen
    finally:
        for name, original in originals.items():
            setattr(module, name, original)


def overheard(function: Callable[..., Any], watcher: Callable[..., None]) -> Callable[..., Any]:
    def call(*arguments: Any, **keywords: Any) -> Any:
        result = function(*arguments, **keywords)
        watcher(result, *arguments)
        return result

    return call


# --- ours


class OurSide:
    """Our trainer from TRL's weights: reference, policy and value network; all is trained but our head's bias.

    TRL's PPO does not clip gradients, so neither do we here.
    """

    def __init__(self, base: Any, start: Any, value_model: Any, options: PPOOptions) -> None:
        self.policy: TrunkPolicy = new_policy(base, lora=None)
        self.trainer = PPO(options)
        groups = self.trainer.prepare(context_of(self.policy, reward=object(), score=None))
        row = Row(record_id="", prompt=(1,), completions=((1,),))
        self.policy.score([row], "reference")  # keeps the start as reference
        *network, weight, _ = groups["value"]
        self.weights = {"policy": list(groups["policy"]), "value": [*network, weight]}
        self.models = {"policy": start, "value": value_model}
        with torch.no_grad():
            weight.copy_(value_model.score.weight)
            for ours, theirs in zip(groups["policy"], start.parameters(), strict=True):
                ours.copy_(theirs)
        self.optimizer = torch.optim.AdamW(
            [*self.weights["policy"], *self.weights["value"]], lr=LEARNING_RATE, weight_decay=0.0
        )
        self.numbers: dict[str, list[float]] = {}

    def go_through(self, seen: Watched) -> None:
        rows = self.collect(seen)
        advantages = [r - v for row in rows for r, v in zip(row.returns, row.values, strict=True)]
        # TRL divides by the sample's standard deviation, we by the population's.
        tokens = sum(map(len, advantages))
        bessel = ((tokens - 1) / tokens) ** 0.5
        rows = [dataclasses.replace(row, advantages=tuple(x * bessel for x in row.advantages)) for row in rows]
        self.add("policy logprobs", flat(x for row in rows for x in row.logprobs))
        self.add("reference logprobs", flat(x for row in rows for x in row.ref_logprobs))
        self.add(
            "KL in the reward, per completion", [float(self.trainer.batch_metrics(rows, count(rows))["kl_in_reward"])]
        )
        self.add("values", flat(x for row in rows for x in row.values))
        self.add("advantages (rewards, KL, GAE)", flat(advantages))
        self.add("whitened advantages", flat(x for row in rows for x in row.advantages))
        for _ in range(STEPS // ROLLOUTS):
            loss = self.trainer.loss(rows, count(rows))
            self.optimizer.zero_grad()
            loss.total.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            self.add("policy loss of each step", [float(loss.metrics["policy_loss"])])
            self.add("value loss of each step", [float(loss.metrics["value_loss"])])

    def collect(self, seen: Watched) -> list[PPORow]:
        """``PPO.collect`` on TRL's rollouts and scores, with our own logprobs of them."""
        prompts = [tuple(token for token in ids[:-LENGTH].tolist() if token != PAD) for ids in seen.sequences]
        completions = [tuple(ids[-LENGTH:].tolist()) for ids in seen.sequences]
        rows = [
            Row(record_id=str(i), prompt=prompt, completions=(completion,))
            for i, (prompt, completion) in enumerate(zip(prompts, completions, strict=True))
        ]
        with torch.no_grad():
            logprobs = self.policy.score(rows).logprobs
            rollouts = [
                Rollout(**vars(row), logprobs=(of_row,), finished=(False,))
                for row, of_row in zip(rows, logprobs, strict=True)
            ]
            self.policy.sample = lambda *_, **__: rollouts  # type: ignore[method-assign]
            self.trainer.context = context_of(self.policy, score=lambda _: Scores(seen.scores.tolist()))
            bare = [Row(record_id=row.record_id, prompt=row.prompt) for row in rows]
            return list(self.trainer.collect(bare, seed=0))

    def add(self, name: str, numbers: Sequence[float]) -> None:
        self.numbers.setdefault(name, []).extend(numbers)

    def found(self, name: str) -> list[float]:
        kind, _, rest = name.partition(" ")
        if rest.startswith("weights"):
            return with_gradient(self.models[kind], self.weights[kind])
        return self.numbers[name]

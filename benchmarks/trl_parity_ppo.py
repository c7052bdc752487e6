"""PPO beside TRL 1.12: TRL rolls out and trains on one batch, watched; ours works on the same rollouts.

TRL's mathematics stands inside one long method, so its inputs and results are read off the functions that it calls:
generation, the value and reward passes, whitening, and the masked means of its losses.
"""

from __future__ import annotations

import copy
import dataclasses
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter
from transformers import PrinterCallback
from trl_parity_parts import (
    BATCH,
    PAD,
    STEPS,
    Result,
    context_of,
    new_classifier,
    new_model,
    new_policy,
    new_tokenizer,
    random_texts,
)  # fmt: skip

from rlhf_core.contract.reward import Scores
from rlhf_core.contract.rows import Rollout, Row
from rlhf_core.policy.policy import TrunkPolicy
from rlhf_core.training.batching import count
from rlhf_plugins.naive_ppo.options import PPOOptions
from rlhf_plugins.naive_ppo.trainer import PPO, PPORow

LEARNING_RATE = 3e-4
LENGTH = 10
"""Tokens of every completion: TRL counts the end of shorter ones otherwise than we do (docs/parity.md)."""


@dataclasses.dataclass
class Watched:
    """What TRL computed. ``[K, LENGTH]`` unless said otherwise.

    Args:
        sequences: ``[K, prompt and completion]``, left-padded. scores: ``[K]``.
        advantages, whitened: before and after whitening.
        losses: (policy, value) of each optimizer step.
    """

    sequences: Tensor = dataclasses.field(default_factory=lambda: torch.empty(0))
    values: Tensor = dataclasses.field(default_factory=lambda: torch.empty(0))
    scores: Tensor = dataclasses.field(default_factory=lambda: torch.empty(0))
    advantages: Tensor = dataclasses.field(default_factory=lambda: torch.empty(0))
    whitened: Tensor = dataclasses.field(default_factory=lambda: torch.empty(0))
    means: list[float] = dataclasses.field(default_factory=list)

    @property
    def losses(self) -> tuple[list[float], list[float]]:
        """Policy and value losses. TRL takes four means per step: of the value loss (before its factor of one half), of
        where that was clipped, of the policy loss, and of where that was."""
        return self.means[2::4], [0.5 * mean for mean in self.means[0::4]]


def compare() -> list[Result]:
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
    policy, trainer, parameters = our_side(base, start, value_model, options)
    seen = run_trl(options, start, base, reward_model, value_model)
    rows = collect(trainer, policy, seen)
    advantages = torch.stack([r - v for row in rows for r, v in zip(row.returns, row.values, strict=True)])
    # TRL divides by the sample's standard deviation, we by the population's.
    bessel = ((advantages.numel() - 1) / advantages.numel()) ** 0.5
    rows = [dataclasses.replace(row, advantages=tuple(x * bessel for x in row.advantages)) for row in rows]
    policy_losses, value_losses = train(trainer, parameters, rows)
    label = f"PPO ({options.kl_estimator}, γ = {options.gamma:g}): "
    theirs_policy, theirs_value = seen.losses
    return [
        Result(label + "values", flat(seen.values), flat(torch.stack([v for row in rows for v in row.values]))),
        Result(label + "advantages (rewards, KL, GAE)", flat(seen.advantages), flat(advantages)),
        Result(
            label + "whitened advantages",
            flat(seen.whitened),
            flat(torch.stack([a for row in rows for a in row.advantages])),
        ),
        Result(label + "policy loss of each step", theirs_policy, policy_losses),
        Result(label + "value loss of each step", theirs_value, value_losses),
    ]


def flat(tensor: Tensor) -> list[float]:
    numbers: list[float] = tensor.flatten().tolist()
    return numbers


@torch.no_grad()
def moved(model: Any) -> Any:
    """A policy that has left its reference."""
    model = copy.deepcopy(model)
    noise = torch.Generator().manual_seed(9)
    for parameter in model.parameters():
        parameter.add_(0.02 * torch.randn(parameter.shape, generator=noise))
    return model


# --- TRL


def run_trl(options: PPOOptions, policy: Any, reference: Any, reward_model: Any, value_model: Any) -> Watched:
    import trl.experimental.ppo.ppo_trainer as module
    from datasets import Dataset
    from trl.experimental.ppo import PPOConfig

    prompts = [new_tokenizer()(text).input_ids for text in random_texts(BATCH, (2, 8), 7)]
    with tempfile.TemporaryDirectory() as output, watching(module) as seen:
        config = PPOConfig(
            output_dir=output, per_device_train_batch_size=BATCH, gradient_accumulation_steps=1, num_mini_batches=1,
            num_ppo_epochs=STEPS, total_episodes=BATCH, response_length=LENGTH, local_rollout_forward_batch_size=BATCH,
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
        with redirect_stdout(None):
            trainer.train()
    return seen


@contextmanager
def watching(module: Any) -> Iterator[Watched]:
    """Reads inputs and results of the functions that TRL's training loop calls."""
    seen = Watched()
    rewards: list[Any] = []

    def generated(result: Any, *_: Any) -> None:
        seen.sequences = result[0].clone()

    def passed(result: Any, *arguments: Any) -> None:
        """TRL asks for the values first, then for the scores."""
        rewards.append(result)
        if len(rewards) == 1:
            seen.values = result[0][:, arguments[3] - 1 : -1, 0].clone()
        elif len(rewards) == 2:
            seen.scores = result[1].clone()

    def whitened(result: Any, *arguments: Any) -> None:
        seen.advantages, seen.whitened = arguments[0].clone(), result.clone()
        seen.means.clear()  # those of the whitening itself

    def averaged(result: Any, *_: Any) -> None:
        seen.means.append(float(result))

    watchers = {
        "batch_generation": generated, "get_reward": passed, "masked_whiten": whitened, "masked_mean": averaged,
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


def our_side(base: Any, start: Any, value_model: Any, options: PPOOptions) -> tuple[TrunkPolicy, PPO, list[Parameter]]:
    """Reference, policy and value network with TRL's weights; and what is trained: all but our head's bias."""
    policy = new_policy(base, lora=None)
    trainer = PPO(options)
    groups = trainer.prepare(context_of(policy, reward=object(), score=None))
    policy.score([Row(record_id="", prompt=(1,), completions=((1,),))], "reference")  # keeps the start as reference
    weight, bias = groups["value"][-2:]
    with torch.no_grad():
        weight.copy_(value_model.score.weight)
        for ours, theirs in zip(groups["policy"], start.parameters(), strict=True):
            ours.copy_(theirs)
    return policy, trainer, [*groups["policy"], *(p for p in groups["value"] if p is not bias)]


def collect(trainer: PPO, policy: TrunkPolicy, seen: Watched) -> list[PPORow]:
    """``PPO.collect`` on TRL's rollouts and scores, with our own logprobs of them."""
    rows = []
    for index, ids in enumerate(seen.sequences):
        prompt = tuple(token for token in ids[:-LENGTH].tolist() if token != PAD)
        rows.append(Row(record_id=str(index), prompt=prompt, completions=(tuple(ids[-LENGTH:].tolist()),)))
    with torch.no_grad():
        logprobs = policy.score(rows).logprobs
        rollouts = [
            Rollout(
                record_id=row.record_id, prompt=row.prompt, completions=row.completions,
                logprobs=(of_row,), finished=(False,),
            )
            for row, of_row in zip(rows, logprobs, strict=True)
        ]  # fmt: skip
        policy.sample = lambda *_, **__: rollouts  # type: ignore[method-assign]
        trainer.context = context_of(policy, score=lambda _: Scores(seen.scores.tolist()))
        return list(trainer.collect([Row(record_id=row.record_id, prompt=row.prompt) for row in rows], seed=0))


def train(trainer: PPO, parameters: list[Parameter], rows: list[PPORow]) -> tuple[list[float], list[float]]:
    """Policy and value loss of each step. TRL's PPO does not clip gradients, so neither do we here."""
    optimizer = torch.optim.AdamW(parameters, lr=LEARNING_RATE, weight_decay=0.0)
    policy_losses, value_losses = [], []
    for _ in range(STEPS):
        loss = trainer.loss(rows, count(rows))
        optimizer.zero_grad()
        loss.total.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        policy_losses.append(float(loss.metrics["policy_loss"]))
        value_losses.append(float(loss.metrics["value_loss"]))
    return policy_losses, value_losses

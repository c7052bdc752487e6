"""SFT, DPO and reward models beside TRL 1.16, step by step: TRL's trainers from text, ours in a plain loop."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import datasets
import torch
from parts import (
    BATCH,
    CLIP_NORM,
    LEARNING_RATE,
    LORA,
    RECORDS,
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
from peft import LoraConfig
from torch import Tensor
from torch.nn import Parameter
from transformers import PrinterCallback

from rlhf_core.contract.options import NoOptions
from rlhf_core.contract.records import Demonstration, Preference, Record
from rlhf_core.contract.rows import Row
from rlhf_core.contract.trainer import Trainer
from rlhf_core.policy.policy import TrunkPolicy
from rlhf_core.training.batching import count
from rlhf_plugins.dpo.options import DPOOptions
from rlhf_plugins.dpo.trainer import DPO
from rlhf_plugins.reward_model.options import RewardModelOptions
from rlhf_plugins.reward_model.trainer import RewardModel
from rlhf_plugins.sft.trainer import SFT

Weights = Mapping[str, Tensor]

# --- TRL's side


def run_trl(
    trainer_class: type, config_class: type, model: Any, table: Mapping[str, Sequence[Any]], rows: Sequence[Row],
    begin: Callable[[Weights], None], *, task: str, batch: int = BATCH, **options: Any,
) -> tuple[list[float], Weights]:  # fmt: skip
    """Losses of TRL's trainer over its steps, and its trained weights after the last; ``begin`` gets the first ones."""
    with tempfile.TemporaryDirectory() as output:
        config = config_class(
            output_dir=output, per_device_train_batch_size=batch, gradient_accumulation_steps=BATCH // batch,
            max_steps=STEPS, learning_rate=LEARNING_RATE, lr_scheduler_type="constant", max_grad_norm=CLIP_NORM,
            optim="adamw_torch", bf16=False, gradient_checkpointing=False, use_cpu=True, report_to="none",
            save_strategy="no", logging_strategy="no", disable_tqdm=True, **options,
        )  # fmt: skip
        trainer = trainer_class(
            model=model, args=config, processing_class=new_tokenizer(),
            train_dataset=datasets.Dataset.from_dict(dict(table)), peft_config=LoraConfig(**LORA, task_type=task),
        )  # fmt: skip
        trainer.remove_callback(PrinterCallback)
        trainer._get_train_sampler = lambda *_: torch.utils.data.SequentialSampler(trainer.train_dataset)
        trained = {name: p for name, p in trainer.model.named_parameters() if p.requires_grad}
        begin({name: p.detach().clone() for name, p in trained.items()})
        losses = record_losses(trainer, rows, batch)
        trainer.train()
    parts = BATCH // batch
    return [sum(losses[i : i + parts]) / parts for i in range(0, len(losses), parts)], trained


def record_losses(trainer: Any, rows: Sequence[Row], batch: int) -> list[float]:
    """The list that the trainer's losses will be in; stops where it sees other tokens than ``rows``."""
    losses: list[float] = []
    compute_loss = trainer.compute_loss

    def compute_and_record(model: Any, inputs: Any, *arguments: Any, **keywords: Any) -> Any:
        start = len(losses) * batch % len(rows)
        require_same_tokens(inputs, rows[start : start + batch])
        loss = compute_loss(model, inputs, *arguments, **keywords)
        losses.append(float(loss))
        return loss

    trainer.compute_loss = compute_and_record
    return losses


def require_same_tokens(inputs: Mapping[str, Tensor], rows: Sequence[Row]) -> None:
    masks = inputs["attention_mask"].bool()
    theirs = sorted(tuple(ids[mask].tolist()) for ids, mask in zip(inputs["input_ids"], masks, strict=True))
    ours = sorted(row.prompt + completion for row in rows for completion in row.completions)
    if theirs != ours:
        raise SystemExit(f"not the same rows: TRL has {theirs[0]} …, we have {ours[0]} …")


# --- our side


def encode(policy: TrunkPolicy, records: Sequence[Record]) -> list[Row]:
    return [policy.codec.encode(record) for record in records]


class Ours:
    """What of ours is trained, by TRL's names: its adapters are those of ``role``, its linear layer is ``head``."""

    def __init__(self, policy: TrunkPolicy, role: str, head: Tensor | None = None) -> None:
        self.policy, self.role, self.head = policy, role, head

    def of(self, name: str) -> Tensor:
        if ".score." in name:
            assert self.head is not None
            return self.head
        return self.policy.trained()[name.replace(".default.", f".{self.role}.")]

    @torch.no_grad()
    def begin(self, theirs: Weights) -> None:
        """Take TRL's initial weights."""
        for name, value in theirs.items():
            self.of(name).copy_(value)

    def results(self, what: str, theirs: tuple[list[float], Weights], losses: list[float]) -> list[Result]:
        their_losses, weights = theirs
        return [
            Result(f"{what}: loss of each step", their_losses, losses),
            Result(f"{what}: weights after the last", flat(weights.values()), flat(map(self.of, weights))),
        ]


def run_ours(trainer: Trainer[Any], parameters: Sequence[Parameter], rows: Sequence[Row]) -> list[float]:
    """Loss, backward, clip, AdamW: batch by batch."""
    optimizer = torch.optim.AdamW(parameters, lr=LEARNING_RATE, weight_decay=0.0)
    losses = []
    for step in range(STEPS):
        start = step * BATCH % len(rows)
        with torch.no_grad():
            batch = trainer.collect(rows[start : start + BATCH], seed=0)
        loss = trainer.loss(batch, count(batch)).total
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(parameters, CLIP_NORM)
        optimizer.step()
        losses.append(loss.item())
    return losses


def compare_sft() -> list[Result]:
    from trl import SFTConfig, SFTTrainer

    prompts, completions = random_texts(RECORDS, (1, 8), 1), random_texts(RECORDS, (1, 12), 2)
    policy = new_policy(new_model())
    trainer = SFT(NoOptions())
    groups = trainer.prepare(context_of(policy))
    texts = enumerate(zip(prompts, completions, strict=True))
    rows = encode(policy, [Demonstration(id=str(i), prompt=p, completion=c) for i, (p, c) in texts])
    table = {"prompt": prompts, "completion": [f" {text}" for text in completions]}
    ours = Ours(policy, "policy")
    theirs = run_trl(SFTTrainer, SFTConfig, new_model(), table, rows, ours.begin, task="CAUSAL_LM")
    return ours.results("SFT", theirs, run_ours(trainer, groups["policy"], rows))


def preferences() -> tuple[list[Preference], dict[str, list[Any]]]:
    """Records, and the columns that TRL reads."""
    texts = [random_texts(RECORDS, words, seed) for words, seed in (((1, 8), 3), ((1, 12), 4), ((1, 12), 5))]
    margins = torch.rand(RECORDS, generator=torch.Generator().manual_seed(6)).tolist()
    records = [
        Preference(id=str(i), prompt=prompt, chosen=chosen, rejected=rejected, margin=margin)
        for i, (prompt, chosen, rejected, margin) in enumerate(zip(*texts, margins, strict=True))
    ]
    prompts, chosen, rejected = texts
    spaced = {"chosen": [f" {text}" for text in chosen], "rejected": [f" {text}" for text in rejected]}
    return records, {"prompt": prompts, **spaced, "margin": margins}


def compare_dpo() -> list[Result]:
    smoothed = DPOOptions(beta=0.5, label_smoothing=0.2)
    return [
        *dpo("DPO", DPOOptions(beta=0.5), loss_type="sigmoid"),
        # TRL's `sigmoid` loss knows no smoothing. Its `aot` does; sorted within a batch of one pair, it is cDPO.
        *dpo("DPO, label smoothing 0.2 (cDPO)", smoothed, loss_type="aot", batch=1),
        *dpo("DPO, length-normalised", DPOOptions(beta=5, length_normalised=True), loss_type="sigmoid_norm"),
        *dpo("robust DPO, 0.2", DPOOptions(beta=0.5, loss="robust", label_smoothing=0.2), loss_type="robust"),
        *dpo("hinge", DPOOptions(beta=0.5, loss="hinge"), loss_type="hinge"),
        *dpo("IPO, length-normalised", DPOOptions(beta=0.5, loss="ipo", length_normalised=True), loss_type="ipo"),
    ]


def dpo(what: str, options: DPOOptions, **theirs_only: Any) -> list[Result]:
    from trl import DPOConfig, DPOTrainer

    records, table = preferences()
    del table["margin"]
    policy = new_policy(new_model())
    trainer = DPO(options)
    groups = trainer.prepare(context_of(policy))
    rows = encode(policy, records)
    ours = Ours(policy, "policy")
    theirs = run_trl(
        DPOTrainer, DPOConfig, new_model(), table, rows, ours.begin, task="CAUSAL_LM",
        beta=options.beta, label_smoothing=options.label_smoothing, **theirs_only,
    )  # fmt: skip
    return ours.results(what, theirs, run_ours(trainer, groups["policy"], rows))


def compare_reward() -> list[Result]:
    return [
        *reward("reward model", centering=0.0, margin=False),
        *reward("reward model, margins and centring 0.05", centering=0.05, margin=True),
    ]


def reward(what: str, *, centering: float, margin: bool) -> list[Result]:
    from trl import RewardConfig, RewardTrainer

    records, table = preferences()
    if not margin:
        del table["margin"]
    body = new_model()
    policy = new_policy(body)
    trainer = RewardModel(RewardModelOptions(centering=centering, margin=margin))
    groups = trainer.prepare(context_of(policy))
    weight, _ = groups["head"]  # TRL's head has no bias; ours stays at 0
    rows = encode(policy, records)
    ours = Ours(policy, "reward", weight)
    theirs = run_trl(
        RewardTrainer, RewardConfig, new_classifier(body), table, rows, ours.begin,
        task="SEQ_CLS", center_rewards_coefficient=centering,
    )  # fmt: skip
    return ours.results(what, theirs, run_ours(trainer, [*groups["reward"], weight], rows))

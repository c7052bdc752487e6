"""The trainers beside TRL, an implementation by others: the same model, adapters, rows and AdamW, loss by loss.

    python -m venv trl && trl/bin/pip install -e . trl==1.16.0
    trl/bin/python benchmarks/trl_parity.py sft dpo reward
    trl/bin/pip install --no-deps --target trl-1.12 trl==1.12.0      # the last release that has PPO
    trl/bin/python benchmarks/trl_parity.py ppo --trl trl-1.12

TRL's own trainers run, from text to optimizer step; beside them our trainer in a plain loop. Only numbers are compared.
A row's tokens must be the same on both sides, or the script stops. What is not the same mathematics is said in
docs/parity.md. CPU, float32, a minute in all.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import datasets
import torch
from peft import LoraConfig
from torch import Tensor
from torch.nn import Parameter
from transformers import PrinterCallback, logging
from trl_parity_parts import (
    BATCH,
    CLIP_NORM,
    LEARNING_RATE,
    LORA,
    RECORDS,
    STEPS,
    Result,
    context_of,
    new_classifier,
    new_model,
    new_policy,
    new_tokenizer,
    random_texts,
)  # fmt: skip

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trainers", nargs="+", choices=COMPARISONS)
    parser.add_argument("--trl", help="folder of another TRL (for ppo: 1.12)")
    arguments = parser.parse_args()
    if arguments.trl:
        sys.path.insert(0, arguments.trl)
    quieten()
    import trl

    torch.set_num_threads(1)
    print(f"TRL {trl.__version__}, torch {torch.__version__}\n")
    print("| compared | numbers | first | last | max. difference |\n|---|---|---|---|---|")
    for name in arguments.trainers:
        for result in COMPARISONS[name]():
            print(result.line(), flush=True)


def quieten() -> None:
    os.environ |= {"HF_HUB_OFFLINE": "1", "TRL_EXPERIMENTAL_SILENCE": "1"}
    warnings.filterwarnings("ignore")
    logging.set_verbosity_error()
    datasets.disable_progress_bars()


# --- TRL's side of offline trainers


def run_trl(
    trainer_class: type, config_class: type, model: Any, table: Mapping[str, Sequence[Any]], rows: Sequence[Row],
    begin: Callable[[Mapping[str, Tensor]], None], *, task: str, batch: int = BATCH, **options: Any,
) -> list[float]:  # fmt: skip
    """Losses of TRL's trainer over its steps. ``begin`` gets its trained weights before the first of them."""
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
        begin({name: p.detach().clone() for name, p in trainer.model.named_parameters() if p.requires_grad})
        losses = record_losses(trainer, rows, batch)
        trainer.train()
    parts = BATCH // batch
    return [sum(losses[i : i + parts]) / parts for i in range(0, len(losses), parts)]


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


def take_weights(policy: TrunkPolicy, role: str, head: Tensor | None = None) -> Callable[[Mapping[str, Tensor]], None]:
    """Puts TRL's initial adapters, and its linear layer into ``head``, in place of ours."""

    @torch.no_grad()
    def take(theirs: Mapping[str, Tensor]) -> None:
        ours = policy.trained()
        for name, value in theirs.items():
            mine = head if ".score." in name else ours[name.replace(".default.", f".{role}.")]
            assert mine is not None
            mine.copy_(value)

    return take


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
    theirs = run_trl(SFTTrainer, SFTConfig, new_model(), table, rows, take_weights(policy, "policy"), task="CAUSAL_LM")
    return [Result("SFT, loss of each step", theirs, run_ours(trainer, groups["policy"], rows))]


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
    return [
        dpo("DPO, loss of each step", beta=0.5),
        # TRL's `sigmoid` loss knows no smoothing. Its `aot` does; sorted within a batch of one pair, it is cDPO.
        dpo("DPO with label smoothing 0.2 (cDPO)", beta=0.5, label_smoothing=0.2, loss_type="aot", batch=1),
    ]


def dpo(what: str, *, beta: float, label_smoothing: float = 0.0, **theirs_only: Any) -> Result:
    from trl import DPOConfig, DPOTrainer

    records, table = preferences()
    del table["margin"]
    policy = new_policy(new_model())
    trainer = DPO(DPOOptions(beta=beta, label_smoothing=label_smoothing))
    groups = trainer.prepare(context_of(policy))
    rows = encode(policy, records)
    theirs = run_trl(
        DPOTrainer, DPOConfig, new_model(), table, rows, take_weights(policy, "policy"), task="CAUSAL_LM",
        beta=beta, label_smoothing=label_smoothing, **theirs_only,
    )  # fmt: skip
    return Result(what, theirs, run_ours(trainer, groups["policy"], rows))


def compare_reward() -> list[Result]:
    return [
        reward("reward model, loss of each step", centering=0.0, margin=False),
        reward("reward model with margins and centring 0.05", centering=0.05, margin=True),
    ]


def reward(what: str, *, centering: float, margin: bool) -> Result:
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
    theirs = run_trl(
        RewardTrainer, RewardConfig, new_classifier(body), table, rows, take_weights(policy, "reward", weight),
        task="SEQ_CLS", center_rewards_coefficient=centering,
    )  # fmt: skip
    return Result(what, theirs, run_ours(trainer, [*groups["reward"], weight], rows))


def compare_ppo() -> list[Result]:
    from trl_parity_ppo import compare

    return compare()


COMPARISONS: Mapping[str, Callable[[], list[Result]]] = {
    "sft": compare_sft,
    "dpo": compare_dpo,
    "reward": compare_reward,
    "ppo": compare_ppo,
}

if __name__ == "__main__":
    main()

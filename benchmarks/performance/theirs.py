"""One training of TRL on a workload, in its best setting for a CPU; prints what was measured as JSON, as ours.py does.

Best means float32, no gradient checkpointing, no logging, no saving. TRL 1.16.0 is measured for SFT, DPO and reward
models; PPO left TRL after 1.12.0. Same rows, order, first weights and AdamW as ours.
"""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

os.environ |= {"HF_HUB_OFFLINE": "1", "TRL_EXPERIMENTAL_SILENCE": "1", "TOKENIZERS_PARALLELISM": "false"}
warnings.filterwarnings("ignore")

import datasets  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402
import trl  # noqa: E402
from fixtures import EOS, fixture, read_table  # noqa: E402
from measuring import THREADS, Watch  # noqa: E402
from peft import LoraConfig  # noqa: E402
from safetensors.torch import load_file  # noqa: E402
from task import Task, parser, task_of  # noqa: E402
from transformers import (  # noqa: E402
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    TrainerCallback,
)
from transformers.models.gpt2.modeling_gpt2 import GPT2Model  # noqa: E402
from transformers.utils import logging  # noqa: E402
from workloads import BETA, LORA_ALPHA, LORA_R, LORA_TARGET, PPO_EPOCHS  # noqa: E402

from rlhf_core.data.cursor import Cursor  # noqa: E402


class Marks(TrainerCallback):  # type: ignore[misc]
    def __init__(self, watch: Watch) -> None:
        self.watch = watch

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        self.watch.mark()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.watch.mark()


class Side:
    """TRL's side of a workload: its models, tokenizer and rows."""

    def __init__(self, task: Task, output: str) -> None:
        self.workload, self.algo, self.job = task.workload, task.algo, task.job
        job = task.job
        self.folder = fixture(task.workload)
        self.start = load_file(self.folder / "start.safetensors")
        self.tokenizer = AutoTokenizer.from_pretrained(self.folder / "base")
        self.watch = Watch(GPT2Model, task.device)
        self.common: dict[str, Any] = {
            "output_dir": output, "per_device_train_batch_size": job.batch, "gradient_accumulation_steps": 1,
            "learning_rate": job.learning_rate, "lr_scheduler_type": "constant", "bf16": task.device == "cuda",
            "use_cpu": task.device == "cpu",
            "gradient_checkpointing": False, "report_to": "none", "save_strategy": "no", "logging_strategy": "no",
            "disable_tqdm": True,
        }  # fmt: skip

    def lora(self) -> LoraConfig:
        task = "SEQ_CLS" if self.algo == "reward" else "CAUSAL_LM"
        return LoraConfig(
            r=LORA_R, lora_alpha=LORA_ALPHA, target_modules=[LORA_TARGET], lora_dropout=0.0, fan_in_fan_out=True,
            bias="none", task_type=task,
        )  # fmt: skip

    def policy(self) -> Any:
        return AutoModelForCausalLM.from_pretrained(self.folder / "base", dtype=torch.float32)

    @torch.no_grad()
    def classifier(self) -> Any:
        model = AutoModelForSequenceClassification.from_pretrained(
            self.folder / "base", num_labels=1, dtype=torch.float32
        )
        model.score.weight.copy_(self.start["score"])
        return model

    @torch.no_grad()
    def begin(self, model: Any) -> None:
        """The first weights of LoRA."""
        for name, parameter in model.named_parameters():
            if ".lora_" in name:
                layer, letter = name.split(".h.")[1].split(".")[0], name.split(".lora_")[1][0]
                parameter.copy_(self.start[f"{layer}.{letter}"])

    def rows(self, table: str) -> list[dict[str, str]]:
        """In the order in which ours goes through them, and those that it does not come to behind them."""
        rows = read_table(self.folder, table)
        cursor = Cursor(len(rows), self.job.batch, seed=0)
        order = [index for step in range(self.job.steps) for index in cursor.batch(step)]
        return [rows[index] for index in [*order, *sorted(set(range(len(rows))) - set(order))]]

    def in_order(self, trainer: Any) -> None:
        trainer._get_train_sampler = lambda *_, **__: torch.utils.data.SequentialSampler(trainer.train_dataset)

    def keep_losses(self, trainer: Any) -> None:
        compute_loss = trainer.compute_loss

        def compute_and_keep(*arguments: Any, **keywords: Any) -> Any:
            loss = compute_loss(*arguments, **keywords)
            self.watch.losses.append(float((loss[0] if isinstance(loss, tuple) else loss).detach()))
            return loss

        trainer.compute_loss = compute_and_keep


def train_offline(side: Side, *, precompute: bool) -> None:
    """SFT, DPO or a reward model.

    Args:
        precompute: DPO's reference logprobs before the training, outside the steps.
    """
    options: dict[str, Any] = {**side.common, "max_steps": side.job.steps, "max_grad_norm": 0.0}
    rows: Sequence[Mapping[str, str]]
    if side.algo == "sft":
        trainer_class, config_class, model = trl.SFTTrainer, trl.SFTConfig, side.policy()
        rows = [{**row, "completion": f" {row['completion']}"} for row in side.rows("demonstrations")]
    else:
        rows = [{**row, "chosen": f" {row['chosen']}", "rejected": f" {row['rejected']}"} for row in side.rows("pairs")]
        if side.algo == "dpo":
            trainer_class, config_class, model = trl.DPOTrainer, trl.DPOConfig, side.policy()
            options |= {"beta": BETA, "precompute_ref_log_probs": precompute}
        else:
            trainer_class, config_class, model = trl.RewardTrainer, trl.RewardConfig, side.classifier()
    trainer = trainer_class(
        model=model, args=config_class(**options), processing_class=side.tokenizer, peft_config=side.lora(),
        train_dataset=datasets.Dataset.from_list(list(rows)), callbacks=[Marks(side.watch)],
    )  # fmt: skip
    side.begin(trainer.model)
    side.in_order(trainer)
    side.keep_losses(trainer)
    trainer.train()


def train_ppo(side: Side) -> None:
    import trl.experimental.ppo.ppo_trainer as ppo

    job, tokenizer = side.job, side.tokenizer
    tokenizer.padding_side = "left"
    rows = [{"input_ids": tokenizer(row["prompt"])["input_ids"]} for row in side.rows("prompts")]
    config = ppo.PPOConfig(
        **side.common, num_ppo_epochs=PPO_EPOCHS, num_mini_batches=1, total_episodes=job.batch * job.steps,
        response_length=side.workload.response_length, stop_token="eos", temperature=1.0, num_sample_generations=0,
        local_rollout_forward_batch_size=job.batch,
    )  # fmt: skip
    count_generated(ppo, side.watch)
    trainer = ppo.PPOTrainer(
        args=config, processing_class=tokenizer, model=side.policy(), ref_model=None, reward_model=side.classifier(),
        value_model=side.classifier(), train_dataset=datasets.Dataset.from_list(rows), peft_config=side.lora(),
        callbacks=[Marks(side.watch)],
    )  # fmt: skip
    trainer.train()


def count_generated(ppo: Any, watch: Watch) -> None:
    """Tokens up to the end of each response, EOS included."""
    generate = ppo.batch_generation

    def generate_and_count(model: Any, queries: torch.Tensor, *arguments: Any, **keywords: Any) -> Any:
        sequences, logits = generate(model, queries, *arguments, **keywords)
        ended = sequences[:, queries.shape[1] :] == EOS
        watch.generated.append(float(((ended.cumsum(1) - ended.int()) == 0).sum()))
        return sequences, logits

    ppo.batch_generation = generate_and_count


def main() -> None:
    task = task_of(parser(__doc__).parse_args())
    torch.set_num_threads(THREADS)
    logging.set_verbosity_error()
    datasets.disable_progress_bars()
    with tempfile.TemporaryDirectory() as output:
        side = Side(task, output)
        if task.algo == "ppo":
            train_ppo(side)
        else:
            train_offline(side, precompute=task.cached)
    versions = {"trl": trl.__version__, "torch": torch.__version__, "transformers": transformers.__version__}
    side.watch.result(versions, warmup=task.job.warmup).print()


if __name__ == "__main__":
    main()

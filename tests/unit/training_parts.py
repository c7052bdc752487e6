"""A bigram policy and toy trainers for the tests of the engine: real gradients, real sampling, milliseconds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import Parameter

from rlhf_core.contract.policy import Params, SamplingSpec
from rlhf_core.contract.records import Demonstration, PromptRecord
from rlhf_core.contract.rows import Comparison, Loss, Rollout, Row, Scored, Tokens, Totals
from rlhf_core.contract.trainer import BaseTrainer, Check, Next, TrainContext
from rlhf_core.math.averages import averages
from rlhf_core.policy.layout import Reading, pad
from rlhf_core.store.run import RunFolder
from rlhf_core.training.engine import Engine
from rlhf_core.training.options import TrainingOptions
from rlhf_core.training.randomness import derive

VOCABULARY = 12
EOS = 1


class LetterCodec:
    eos = EOS

    def encode_prompt(self, prompt: str) -> Tokens:
        return tuple(ord(letter) - ord("a") for letter in prompt)

    def decode(self, tokens: Tokens) -> str:
        return "".join(chr(ord("a") + token) for token in tokens if token != EOS)


_LETTERS = LetterCodec()


class BigramPolicy:
    """Each token follows from the one before it: a table of logits, a frozen copy as reference, a value per token."""

    context_length = 64
    device = torch.device("cpu")
    samples_exactly = True
    pass_tokens = 20

    def __init__(self, seed: int = 0, dropout: float = 0.0) -> None:
        self.codec = LetterCodec()
        self.table = torch.randn(VOCABULARY, VOCABULARY, generator=torch.Generator().manual_seed(seed)).mul_(0.3)
        self.table = Parameter(self.table, requires_grad=False)
        self.reference = self.table.detach().clone()
        self.heads: dict[str, Parameter] = {}
        self.dropout = dropout
        self.allow_dropout = False

    def train_role(self, role: str) -> Params:
        self.table.requires_grad_(True)
        return [self.table]

    def add_head(self, name: str, *, outputs: int = 1) -> Params:
        self.heads[name] = Parameter(torch.zeros(VOCABULARY))
        return [self.heads[name]]

    def score(self, rows, role="policy", *, want=frozenset({"logprobs"}), head="value", temperature=1.0) -> Scored:
        pairs = [(row.prompt, tokens) for row in rows for tokens in row.completions]
        width = max(len(tokens) for _, tokens in pairs)
        before, after, mask = (torch.zeros(len(pairs), width, dtype=torch.long) for _ in range(3))
        for at, (prompt, tokens) in enumerate(pairs):
            before[at, : len(tokens)] = torch.tensor((prompt[-1], *tokens[:-1]))
            after[at, : len(tokens)] = torch.tensor(tokens)
            mask[at, : len(tokens)] = 1
        table = self.reference if role == "reference" else self.table
        if self.allow_dropout and self.dropout and torch.is_grad_enabled():
            table = torch.nn.functional.dropout(table, self.dropout)
        logprobs = (table[before] / temperature).log_softmax(-1).gather(-1, after[..., None])[..., 0]
        values = self.heads[head][before] if "values" in want else torch.zeros(())
        found = mask.bool()
        return Scored(mask=found, logprobs=logprobs.where(found, 0.0), values=values)

    def sample(self, rows, spec: SamplingSpec, *, seed: int, role="policy") -> list[Rollout]:
        return [self._roll(row, spec, seed) for row in rows]

    def _roll(self, row: Row, spec: SamplingSpec, seed: int) -> Rollout:
        completions, logprobs = [], []
        for index in range(spec.n):
            generator = torch.Generator().manual_seed(derive(seed, row.record_id, index))
            tokens, chosen = [row.prompt[-1]], []
            while len(tokens) <= spec.max_new_tokens and tokens[1:][-1:] != [EOS]:
                table = (self.table.detach()[tokens[-1]] / spec.temperature).log_softmax(-1)
                tokens.append(int(torch.multinomial(table.exp(), 1, generator=generator)))
                chosen.append(table[tokens[-1]])
            completions.append(tuple(tokens[1:]))
            logprobs.append(torch.stack(chosen))
        return Rollout(
            record_id=row.record_id, prompt=row.prompt, completions=tuple(completions), logprobs=tuple(logprobs),
            finished=tuple(tokens[-1] == EOS for tokens in completions),
        )  # fmt: skip

    def compare(self, rows, role="policy", other="reference") -> Comparison:
        before = torch.tensor(
            [token for row in rows for c in row.completions for token in (row.prompt + c)[-len(c) - 1 : -1]]
        )
        own, reference = self.table[before].log_softmax(-1), self.reference[before].log_softmax(-1)
        kl = (own.exp() * (own - reference)).sum(-1)[None]
        return Comparison(self.score(rows, role), self.score(rows, other), kl)

    keeps_reference = True

    def frozen(self) -> Mapping[str, Tensor]:
        return {"reference": self.reference}

    def readings(self, rows) -> list[Reading]:
        return pad(rows, self.device).readings()

    def trained(self) -> Mapping[str, Parameter]:
        table = {"table": self.table} if self.table.requires_grad else {}
        return table | {f"heads.{name}": head for name, head in self.heads.items()}

    def state(self) -> Mapping[str, Tensor]:
        return {name: parameter.detach() for name, parameter in self.trained().items()}

    @torch.no_grad()
    def load_state(self, state: Mapping[str, Tensor]) -> None:
        for name, parameter in self.trained().items():
            parameter.copy_(state[name])

    def save(self, folder: Path) -> None:
        save_file({name: value.clone() for name, value in self.state().items()}, folder / "table.safetensors")


class ToySFT(BaseTrainer[Row]):
    """Likelihood of completions, per token; beside it the surprise per completion with its standard error."""

    Record = Demonstration
    Row = Row

    def prepare(self, context: TrainContext) -> Mapping[str, Params]:
        self.policy = context.policy
        return {"policy": self.policy.train_role("policy")}

    def loss(self, rows, totals: Totals) -> Loss:
        scored = self.policy.score(rows)
        surprise = averages({"surprise": -scored.logprobs.sum(1)}, totals.rows)
        metrics = {"rows": torch.tensor(len(rows) / totals.rows), **surprise}
        per_row = -scored.logprobs.detach().sum(1) / scored.mask.sum(1)
        return Loss(-scored.logprobs.sum() / totals.tokens, metrics, per_row=per_row)


@dataclass(frozen=True, eq=False, kw_only=True)
class ToyRow(Rollout):
    ref_logprobs: tuple[Tensor, ...]
    advantage: float
    noise: Tensor


class ToyPPO(BaseTrainer[ToyRow]):
    """A clipped online trainer with a moving coefficient, a value head, and draws from the global random state."""

    Record = PromptRecord
    Row = ToyRow
    dropout_ok = False
    best = ("score", "max")
    inner_epochs = 2
    minibatches = 2
    noise = 0.01

    def __init__(self, step_kl_limit: float = math.inf) -> None:
        self.step_kl_limit = step_kl_limit
        self.kl_coef = 0.1
        self.on_collect = lambda: None

    def prepare(self, context: TrainContext) -> Mapping[str, Params]:
        self.context, self.policy = context, context.policy
        return {"policy": self.policy.train_role("policy"), "value": self.policy.add_head("value")}

    def collect(self, rows, *, seed: int) -> Sequence[ToyRow]:
        rollouts = self.policy.sample(rows, self.context.sampling, seed=seed)
        noise = torch.rand(len(rollouts), 2)
        self.on_collect()
        scores = torch.tensor(self.context.score(rollouts).total)
        reference = self.policy.score(rollouts, "reference").logprobs
        moments = torch.tensor([float(len(scores)), float(scores.sum())])
        count, total = self.context.all_reduce(moments).tolist()
        return [
            ToyRow(
                **vars(rollout), advantage=float(scores[i]) - total / count, noise=noise[i],
                ref_logprobs=(reference[i, : len(rollout.completions[0])],),
            )
            for i, rollout in enumerate(rollouts)
        ]  # fmt: skip

    def loss(self, rows, totals: Totals) -> Loss:
        scored = self.policy.score(rows, want={"logprobs", "values"})
        old = torch.nn.utils.rnn.pad_sequence([row.logprobs[0] for row in rows], batch_first=True)
        ref = torch.nn.utils.rnn.pad_sequence([row.ref_logprobs[0] for row in rows], batch_first=True)
        advantage = torch.tensor([row.advantage + self.noise * float(row.noise[0]) for row in rows])[:, None]
        log_ratio = (scored.logprobs - old)[scored.mask]
        ratio = log_ratio.exp()
        weight = advantage.expand_as(scored.mask)[scored.mask]
        loss = torch.maximum(-weight * ratio, -weight * ratio.clamp(0.8, 1.2)).sum()
        loss = loss + self.kl_coef * (scored.logprobs - ref)[scored.mask].square().sum()
        loss = loss + (scored.values[scored.mask] - weight).square().sum()
        kl = (ratio - 1 - log_ratio).detach().sum()
        return Loss(
            loss / totals.tokens, {"ratio": ratio.detach().sum() / totals.tokens, "step_kl": kl / totals.tokens}
        )

    def batch_metrics(self, rows, totals: Totals) -> Mapping[str, Tensor]:
        length = sum(len(row.completions[0]) for row in rows)
        return {
            "length": torch.tensor(length / totals.completions),
            "all_rows": torch.tensor(len(rows) / totals.rows),
        }

    def validate(self, rows, totals: Totals, *, seed: int) -> Mapping[str, Tensor]:
        scores = self.context.score(self.policy.sample(rows, self.context.sampling, seed=seed)).total
        return {"score": torch.tensor(sum(scores) / totals.completions), "drawn": torch.rand(()) / len(rows)}

    def after_step(self, metrics: Mapping[str, float]) -> Next:
        self.kl_coef *= 1.01
        return Next.NEXT_BATCH if metrics["step_kl"] > self.step_kl_limit else Next.CONTINUE

    def after_batch(self, metrics: Mapping[str, float]) -> None:
        self.kl_coef *= 0.9 if metrics["length"] > 3 else 1.1

    def checks(self) -> Sequence[Check]:
        return [Check(metric="ratio", expected=1.0, tolerance=1e-5, meaning="sampled and scored differently")]

    def state_dict(self) -> Mapping[str, Any]:
        return {"kl_coef": self.kl_coef}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.kl_coef = state["kl_coef"]


class CountC:
    """The share of the letter c in a completion."""

    def prepare(self, context: Any) -> None: ...

    def score(self, completions):
        return [completion.text.count("c") / max(len(completion.text), 1) for completion in completions]


def demonstrations(count: int, seed: int = 0, name: str = "train") -> list[Row]:
    generator = torch.Generator().manual_seed(seed)
    rows = []
    for index in range(count):
        length = int(torch.randint(1, 6, (), generator=generator))
        tokens = torch.randint(2, VOCABULARY, (2 + length,), generator=generator).tolist()
        rows.append(Row(record_id=f"{name}:{index}", prompt=tuple(tokens[:2]), completions=((*tokens[2:], EOS),)))
    return rows


def prompts(count: int, seed: int = 0, name: str = "train") -> list[Row]:
    return [Row(record_id=row.record_id, prompt=row.prompt) for row in demonstrations(count, seed, name)]


def records_of(*rows: Row, codec: Any = _LETTERS) -> dict[str, PromptRecord]:
    return {row.record_id: PromptRecord(id=row.record_id, prompt=codec.decode(row.prompt), fields={}) for row in rows}


def engine(
    folder: Path, trainer, *, policy=None, train=None, validation=None, resume=False, reward=None, observers=(), seed=0,
    **options: Any,
) -> Engine:  # fmt: skip
    """An engine over toy data; ``folder`` is created unless it is to be resumed."""
    online = isinstance(trainer, ToyPPO)
    make = prompts if online else demonstrations
    train = make(10) if train is None else train
    validation = make(6, seed=1, name="held-out") if validation is None else validation
    settings = {"steps": 6, "batch_size": 4, "learning_rate": 0.05, "micro_batch_tokens": 20, **options}
    return Engine(
        policy or BigramPolicy(dropout=0.2), trainer, train, validation, records_of(*train, *validation),
        TrainingOptions(**settings), sampling=SamplingSpec(max_new_tokens=5),
        run=RunFolder.open(folder) if resume else RunFolder.create(folder),
        reward=CountC() if online and reward is None else reward, seed=seed, observers=observers,
    )  # fmt: skip


def weights(built: Engine) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in built.policy.state().items()}

"""A small real policy and codec for the tests of evaluation: a random GPT-2 over characters, row by row, unpacked."""

from __future__ import annotations

import importlib
from collections.abc import Sequence, Set
from typing import Any

import torch
from transformers import GPT2Config, GPT2LMHeadModel

from rlhf_core.contract.policy import SamplingSpec
from rlhf_core.contract.records import Prompt, PromptRecord, prompt_text
from rlhf_core.contract.reward import RewardContext
from rlhf_core.contract.rows import Comparison, Rollout, Row, Scored
from rlhf_core.math.masking import pad

EOS, BOS = 95, 94
VOCABULARY = 96


class CharacterCodec:
    """Printable ASCII characters as tokens 0 to 93; BOS before each prompt."""

    eos = EOS

    def encode(self, record: PromptRecord) -> Row:
        own = [getattr(record, name) for name in ("completion", "chosen", "rejected") if hasattr(record, name)]
        completions = tuple((*self.characters(text), EOS) for text in own)
        return Row(record_id=record.id, prompt=self.encode_prompt(record.prompt), completions=completions)

    def encode_prompt(self, prompt: Prompt) -> tuple[int, ...]:
        return (BOS, *self.characters(prompt_text(prompt)))

    def encode_completion(self, prompt: Prompt, completion: str, *, finished: bool = True) -> Row:
        tokens = (*self.characters(completion), *((EOS,) if finished else ()))
        return Row(record_id="", prompt=self.encode_prompt(prompt), completions=(tokens,))

    def decode(self, tokens: Sequence[int]) -> str:
        return "".join(chr(token + 32) for token in tokens if token < BOS).strip()

    @staticmethod
    def characters(text: str) -> list[int]:
        return [min(max(ord(character) - 32, 0), 93) for character in text]


class SmallPolicy:
    """Roles are whole models. ``"reward"`` scores with a fixed head on the first hidden channel."""

    device = torch.device("cpu")
    context_length = 64

    def __init__(self, seed: int = 0, reference: SmallPolicy | None = None) -> None:
        self.codec = CharacterCodec()
        torch.manual_seed(seed)
        config = GPT2Config(
            n_layer=1, n_embd=32, n_head=2, n_positions=64, vocab_size=VOCABULARY, initializer_range=0.3
        )
        own = GPT2LMHeadModel(config).eval()
        self.models = {
            "policy": own,
            "reward": own,
            "reference": own if reference is None else reference.models["policy"],
        }

    def logits(self, row: Row, completion: Sequence[int], role: str) -> torch.Tensor:
        tokens = torch.tensor([[*row.prompt, *completion]])
        return self.models[role](tokens).logits[0, len(row.prompt) - 1 : -1]

    def score(
        self,
        rows: Sequence[Row],
        role: str = "policy",
        *,
        want: Set[str] = frozenset({"logprobs"}),
        head: str = "value",
        temperature: float = 1.0,
    ) -> Scored:
        pairs = [(row, completion) for row in rows for completion in row.completions]
        logprobs = [(self.logits(row, completion, role) / temperature).log_softmax(-1) for row, completion in pairs]
        chosen = [lp[range(len(c)), list(c)] for lp, (_, c) in zip(logprobs, pairs, strict=True)]
        mask = pad([torch.ones(len(c), dtype=torch.bool) for _, c in pairs])
        # Junk where there is no token: nothing measured may depend on it.
        entropy = pad([-(lp.exp() * lp).sum(-1) for lp in logprobs]).masked_fill(~mask, float("nan"))
        return Scored(
            mask=mask,
            logprobs=pad(chosen).masked_fill(~mask, float("nan")),
            entropy=entropy,
            last=torch.stack([self.hidden(row, c, role)[-1, 0] for row, c in pairs]) if "last" in want else None,
        )

    def hidden(self, row: Row, completion: Sequence[int], role: str) -> torch.Tensor:
        return self.models[role].transformer(torch.tensor([[*row.prompt, *completion]])).last_hidden_state[0]

    def compare(
        self,
        rows: Sequence[Row],
        role: str = "policy",
        other: str = "reference",
        *,
        want: Set[str] = frozenset({"logprobs"}),
        temperature: float = 1.0,
    ) -> Comparison:
        found = []
        for row in rows:
            for completion in row.completions:
                p, q = ((self.logits(row, completion, name) / temperature).log_softmax(-1) for name in (role, other))
                found.append((p.exp() * (p - q)).sum(-1))
        own = self.score(rows, role, want=want, temperature=temperature)
        return Comparison(own, self.score(rows, other, temperature=temperature), pad(found))

    @torch.no_grad()
    def sample(self, rows: Sequence[Row], spec: SamplingSpec, *, seed: int, role: str = "policy") -> list[Rollout]:
        assert not any(row.completions for row in rows), "a prompt is sampled from, not a row with completions"
        return [self._rollout(row, spec, seed, role) for row in rows]

    def _rollout(self, row: Row, spec: SamplingSpec, seed: int, role: str) -> Rollout:
        completions = []
        for index in range(spec.n):
            random = torch.Generator().manual_seed(hash((seed, index)) % 2**31 + sum(row.prompt))
            tokens: list[int] = []
            while len(tokens) < spec.max_new_tokens and EOS not in tokens:
                last = self.models[role](torch.tensor([[*row.prompt, *tokens]])).logits[0, -1]
                tokens.append(int(torch.multinomial((last / spec.temperature).softmax(-1), 1, generator=random)))
            completions.append(tuple(tokens))
        return Rollout(
            record_id=row.record_id,
            prompt=row.prompt,
            completions=tuple(completions),
            logprobs=tuple(torch.zeros(len(tokens)) for tokens in completions),
            finished=tuple(tokens[-1] == EOS for tokens in completions),
        )


def lend(**given: object) -> RewardContext:
    """A RewardContext whose loaders are those given; asking for another fails the test."""

    def missing(*_: object) -> object:
        raise AssertionError("this test lends nothing of the kind")

    loaders = {"open_policy": missing, "build_reward": missing, "build_judge": missing, **given}
    return RewardContext(**loaders)  # type: ignore[arg-type]


def build(package: str, kind: str, name: str, **options: Any) -> Any:
    """A component of a plugin package as the registry builds it: by its declared record alone."""
    module = importlib.import_module(f"rlhf_plugins.{package}")
    component = next(c for c in module.rlhf_components() if (c.kind, c.name) == (kind, name))
    return attribute(component.target)(attribute(component.options)(**options))


def attribute(path: str) -> Any:
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)

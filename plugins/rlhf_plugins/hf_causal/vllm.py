"""Rollouts by vLLM (Kwon et al. 2023), in the training process and on its GPU; scoring stays with transformers.

Written against vLLM 0.33. The engine is started with the base's folder at the first rollout; before each, the policy's
weights are loaded into it as from a checkpoint and the cache of prompts is emptied. Logprobs are those of what was
drawn from (``processed_logprobs``). Draws depend on seed, record and sample, and, since an engine's kernels round by
batch, a little on what else is in the batch.
Left out: engines on other GPUs or machines, which need vLLM's weight transfer.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from rlhf_core.contract.backbone import LoadContext, Trunk
from rlhf_core.contract.errors import RLHFError
from rlhf_core.contract.policy import SamplingSpec
from rlhf_core.contract.pretrained import PretrainedBackbone
from rlhf_core.contract.rows import Rollout, Row

from .options import VLLMCausalOptions


class VLLMCausal(PretrainedBackbone):
    def __init__(self, options: VLLMCausalOptions) -> None:
        super().__init__(options)
        self.vllm_options = options

    def load(self, context: LoadContext) -> Trunk:
        trunk = super().load(context)
        return dataclasses.replace(trunk, sampler=VLLMSampler(trunk.model.name_or_path, self.vllm_options))


class VLLMSampler:
    """Args: model: folder or hub name of a whole model of the same architecture, with its tokenizer."""

    def __init__(self, model: str, options: VLLMCausalOptions) -> None:
        self._model = model
        self._options = options
        self._engine: Any = None

    def sample(
        self, rows: Sequence[Row], spec: SamplingSpec, *, seed: int, eos: int, context_length: int,
        weights: Callable[[], Iterator[tuple[str, Tensor]]],
    ) -> list[Rollout]:  # fmt: skip
        """Raises: RLHFError naming a record whose prompt leaves no room, or an option that vLLM does not have."""
        if spec.temperature == 0 and spec.n > 1:
            raise RLHFError("sampling.n above 1 at temperature 0: all would be the same; set one of the two")
        if spec.precision != "full":
            raise RLHFError(
                f"sampling.precision = {spec.precision}: vLLM draws in model.rollout_dtype; leave it at full"
            )
        for row in rows:
            if len(row.prompt) >= context_length:
                raise RLHFError(
                    f"{row.record_id}: the prompt has {len(row.prompt)} tokens, the context {context_length}: no room "
                    "for a completion; shorten the prompt or set data.max_prompt_tokens"
                )
        engine = self._started(context_length)

        def take_over(model: Any) -> None:
            model.load_weights(weights())

        engine.apply_model(take_over)
        engine.reset_prefix_cache()  # of the former weights
        asked = [sampling_params(row, spec, seed=seed, eos=eos, context_length=context_length) for row in rows]
        prompts = [{"prompt_token_ids": list(row.prompt)} for row in rows]
        answered = engine.generate(prompts, asked, use_tqdm=False)
        return [as_rollout(row, output) for row, output in zip(rows, answered, strict=True)]

    def _started(self, context_length: int) -> Any:
        if self._engine is None:
            # In this process: weights reach the engine as tensors on the same GPU, by a function that is not pickled.
            os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
            from vllm import LLM

            self._engine = LLM(
                model=self._model, dtype=self._options.rollout_dtype, max_model_len=context_length,
                gpu_memory_utilization=self._options.gpu_memory_utilization, logprobs_mode="processed_logprobs",
                enforce_eager=self._options.enforce_eager,
            )  # fmt: skip
        return self._engine


def sampling_params(row: Row, spec: SamplingSpec, *, seed: int, eos: int, context_length: int) -> Any:
    """vLLM's own form. Samples of one prompt get seeds of their own there, counted up from the request's."""
    from vllm import SamplingParams

    digest = hashlib.blake2b(f"{seed}\0{row.record_id}".encode(), digest_size=4).digest()
    return SamplingParams(
        n=spec.n, temperature=spec.temperature, top_k=spec.top_k or 0,
        top_p=1.0 if spec.top_p is None else spec.top_p,
        max_tokens=min(spec.max_new_tokens, context_length - len(row.prompt)),
        seed=int.from_bytes(digest, "big") // 2, ignore_eos=True, stop_token_ids=[eos], stop=list(spec.stop),
        include_stop_str_in_output=True, skip_special_tokens=False, logprobs=0,
    )  # fmt: skip


def as_rollout(row: Row, output: Any) -> Rollout:
    """Of a finished ``RequestOutput``, whose completions hold their EOS and the token that completes a stop string."""
    completions = sorted(output.outputs, key=lambda completion: completion.index)
    return Rollout(
        record_id=row.record_id,
        prompt=row.prompt,
        completions=tuple(tuple(completion.token_ids) for completion in completions),
        logprobs=tuple(
            torch.tensor([step[token].logprob for token, step in zip(c.token_ids, c.logprobs, strict=True)])
            for c in completions
        ),
        finished=tuple(completion.finish_reason == "stop" for completion in completions),
    )

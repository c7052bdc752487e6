"""A GPT-2 with random weights, and a byte-level BPE tokenizer trained on the stage's own texts."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from rlhf_core.contract.backbone import LoadContext, Trunk
from rlhf_core.contract.errors import RLHFError

from .options import NewGPT2Options

END_OF_TEXT = "<|endoftext|>"


class NewGPT2:
    def __init__(self, options: NewGPT2Options) -> None:
        if options.width % options.heads:
            raise RLHFError(
                f"new-gpt2: width {options.width} is not a multiple of heads {options.heads}: "
                f"try width {options.width // options.heads * options.heads}"
            )
        self.options = options

    def load(self, context: LoadContext) -> Trunk:
        if context.start is not None:
            raise RLHFError(
                f"new-gpt2 makes new weights and cannot go on from {context.start}: "
                "set model.backbone of this stage to lora-gpt2 or hf-causal, or from: base"
            )
        tokenizer = train_tokenizer(context.texts(), vocabulary=self.options.vocabulary, context=self.options.context)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(context.seed)
            model = GPT2LMHeadModel(self._config(tokenizer))
        model.to(device=context.device, dtype=context.dtype)
        model.requires_grad_(False)
        return Trunk(
            model=model, tokenizer=tokenizer, lora=None, adapter=None, base={"path": "", "made": "from scratch"}
        )

    def _config(self, tokenizer: PreTrainedTokenizerFast) -> GPT2Config:
        options = self.options
        return GPT2Config(
            vocab_size=len(tokenizer),
            n_positions=options.context,
            n_embd=options.width,
            n_layer=options.layers,
            n_head=options.heads,
            resid_pdrop=options.dropout,
            embd_pdrop=options.dropout,
            attn_pdrop=options.dropout,
            # The formula of gelu_new in one fused kernel.
            activation_function="gelu_pytorch_tanh",
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )


def train_tokenizer(texts: Iterator[str], *, vocabulary: int, context: int) -> PreTrainedTokenizerFast:
    """Byte-level BPE (Radford et al. 2019) with one special token that starts and ends every text.

    The tokenizer puts it in front by itself, so that every user of the saved model starts where training started.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    start = tokenizer.token_to_id(END_OF_TEXT)
    tokenizer.post_processor = processors.Sequence(
        [
            processors.ByteLevel(trim_offsets=False),
            processors.TemplateProcessing(single=f"{END_OF_TEXT} $A", special_tokens=[(END_OF_TEXT, start)]),
        ]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=END_OF_TEXT,
        eos_token=END_OF_TEXT,
        model_max_length=context,
        clean_up_tokenization_spaces=False,
    )

"""What backbones over saved models share: options, loading with errors a user can mend, the identity of a base.

A backbone of your own subclasses :class:`PretrainedBackbone` and says which modules LoRA adapts.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from .backbone import LoadContext, Trunk
from .errors import RLHFError
from .identity import ADAPTER_FILE, identify, read_identity, require_same_base
from .options import Options
from .records import JSON

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase


class LoraOptions(Options):
    """Low-rank adapters (Hu et al. 2021): W + (alpha / r)·B·A, with only A and B trained."""

    r: int = Field(default=16, gt=0)
    """Rank of the update."""
    alpha: float = Field(default=32, gt=0)
    """Scale of the update is alpha / r."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Dropout on the adapters' input; acts only for trainers that allow dropout."""
    targets: Literal["auto"] | list[str] = "auto"
    """Names of the modules to adapt; auto takes every linear layer except the output layer."""


class PretrainedOptions(Options):
    """Options of every backbone over a saved model."""

    lora: LoraOptions | None = LoraOptions()
    """Adapter options; null trains the whole model."""
    revision: str | None = None
    """Branch, tag or commit of a hub model."""
    attention: str | None = None
    """Attention of the plain model: sdpa, eager, flash_attention_2; null lets transformers choose."""
    eos_token: str | None = None
    """The token that ends a completion, for models whose tokenizer names none."""


class PretrainedBackbone:
    """Loads a causal LM from a folder or the hub, and what a stage starts from on top of it."""

    def __init__(self, options: PretrainedOptions) -> None:
        self.options = options

    def load(self, context: LoadContext) -> Trunk:
        """The trunk at ``context.path``, or at ``context.start``: an adapter on that base, or a full model of its own.

        Raises: RLHFError in one line when there is no such model, or it cannot be used.
        """
        start, adapter, source = context.start, None, context.path
        if start is not None and (start / ADAPTER_FILE).is_file():
            adapter = start
        elif start is not None:
            source = str(_policy_folder(start))
        config = self._config(source)
        self.check(config, source)
        model = self._model(source, config, context)
        with_tokenizer = start is not None and (start / "tokenizer_config.json").is_file()
        tokenizer = self._tokenizer(str(start) if with_tokenizer else source)
        base = self._base(source, start)
        if adapter is not None and self.options.lora is None:
            require_same_base(adapter, base)
            model, adapter = _merged(model, adapter), None
        model.requires_grad_(False)
        return Trunk(model=model, tokenizer=tokenizer, adapter=adapter, lora=self._lora(model), base=base)

    def check(self, config: PretrainedConfig, source: str) -> None:
        """Raises RLHFError when this backbone is not for that type of model."""

    def targets(self, model: PreTrainedModel) -> list[str]:
        """Modules that ``targets: auto`` stands for: every linear layer except the output layer, by its last name."""
        from torch.nn import Linear
        from transformers.pytorch_utils import Conv1D

        output = model.get_output_embeddings()
        linear = (n for n, m in model.named_modules() if isinstance(m, Linear | Conv1D) and m is not output)
        return sorted({name.rpartition(".")[2] for name in linear})

    def _config(self, source: str) -> PretrainedConfig:
        from transformers import AutoConfig

        return _fetch(AutoConfig, source, self._hub(source))

    def _model(self, source: str, config: PretrainedConfig, context: LoadContext) -> PreTrainedModel:
        from transformers import AutoModelForCausalLM

        asked: dict[str, Any] = {"config": config, "dtype": context.dtype, **self._hub(source)}
        if self.options.attention is not None:
            asked["attn_implementation"] = self.options.attention
        return _fetch(AutoModelForCausalLM, source, asked).to(context.device)

    def _tokenizer(self, source: str) -> PreTrainedTokenizerBase:
        from transformers import AutoTokenizer

        tokenizer = _fetch(AutoTokenizer, source, self._hub(source))
        name = self.options.eos_token
        if name is not None:
            if name not in tokenizer.get_vocab():
                raise RLHFError(f"model.eos_token {name!r} is not in the vocabulary of {source}; name a token that is")
            tokenizer.eos_token = name
        if tokenizer.eos_token_id is None:
            raise RLHFError(
                f"the tokenizer of {source} has no end-of-sequence token, so a completion could never end; "
                "name one of its tokens: model.eos_token"
            )
        return tokenizer

    def _hub(self, source: str) -> dict[str, Any]:
        return {} if Path(source).exists() else {"revision": self.options.revision}

    def _lora(self, model: PreTrainedModel) -> dict[str, Any] | None:
        options = self.options.lora
        if options is None:
            return None
        targets = self.targets(model) if options.targets == "auto" else list(options.targets)
        return {
            "r": options.r, "lora_alpha": options.alpha, "lora_dropout": options.dropout, "target_modules": targets,
            "fan_in_fan_out": _has_transposed_weights(model), "bias": "none", "task_type": "CAUSAL_LM",
        }  # fmt: skip

    def _base(self, source: str, start: Path | None) -> Mapping[str, JSON]:
        """What adapters apply to. Trained whole, a chain of stages keeps the base that it began with."""
        if self.options.lora is None and start is not None and str(start) == source:
            recorded: Mapping[str, JSON] = read_identity(start)["base"]
            if recorded:
                return recorded
        return identify(source, revision=self.options.revision)


def _policy_folder(start: Path) -> Path:
    roles = read_identity(start)["roles"]
    if roles.get("policy") != ".":
        raise RLHFError(f"from: {start} holds {', '.join(roles)}, but no policy to start from; name another stage")
    return start


def _fetch(loader: Any, source: str, keywords: Mapping[str, Any]) -> Any:
    """``loader.from_pretrained``: from disk, else from the hub; one line in place of its tracebacks."""
    local = Path(source).is_dir()
    if _looks_local(source) and not local:
        raise RLHFError(f"model.path: no folder {source}; {_MEND}")
    try:
        with quietly():
            return loader.from_pretrained(source, local_files_only=True, **keywords)
    except (OSError, ValueError) as error:
        if local:
            raise _not_loadable(source, error) from error
    if not _hub_answers():
        raise RLHFError(f"model.path: {source!r} is no folder, is not in the hub's cache, and the hub is away; {_MEND}")
    try:
        return loader.from_pretrained(source, **keywords)
    except (OSError, ValueError) as error:
        raise _not_loadable(source, error) from error


_MEND = "give a folder with config.json, model.safetensors and tokenizer files"


def _not_loadable(source: str, error: Exception) -> RLHFError:
    reason = " ".join(str(error).split())[:200]
    return RLHFError(f"model.path: {source!r} does not load as a causal language model: {reason}; {_MEND}")


def _hub_answers() -> bool:
    """One question, since the hub's own client retries for half a minute before it says that it cannot connect."""
    from huggingface_hub import constants, get_session

    try:
        get_session().head(constants.ENDPOINT, timeout=10)
    except Exception:  # of whichever HTTP library this version of the hub's client is built on
        return False
    return True


@contextmanager
def quietly() -> Iterator[None]:
    """For files on disk: transformers' bars and its quarrels with peft would break into what the command line shows."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            # peft asks transformers by a name that transformers is giving up.
            warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing", category=FutureWarning)
            yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _looks_local(source: str) -> bool:
    """Hub names are ``name`` or ``owner/name``; everything else is a path."""
    return source.startswith((".", "/", "~")) or source.count("/") > 1 or "\\" in source


def _merged(model: PreTrainedModel, adapter: Path) -> PreTrainedModel:
    from peft import PeftModel

    with quietly():
        merged: PreTrainedModel = PeftModel.from_pretrained(model, adapter).merge_and_unload()
    return merged


def _has_transposed_weights(model: PreTrainedModel) -> bool:
    """GPT-2's Conv1D holds its weights as (in, out)."""
    from transformers.pytorch_utils import Conv1D

    return any(isinstance(module, Conv1D) for module in model.modules())

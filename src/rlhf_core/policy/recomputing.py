"""Less memory for more time: a layer keeps its input alone, and is computed again when its gradient is due.

Gradient checkpointing (Chen et al. 2016) as torch and transformers have it. What they cannot know is that one network
answers for several roles: by the time of the backward pass another role may be acting, and the layer would be computed
again with that one's adapters, silently. So each layer is computed again inside the circumstances of its own pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial

from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer

from rlhf_core.contract.errors import RLHFError


@contextmanager
def recomputing(model: PreTrainedModel, again: Callable[[], AbstractContextManager[object]]) -> Iterator[None]:
    """Passes in here keep inputs of layers only.

    Args: again: what a layer's second computation is put into, in the backward pass: the role, the attention.
    Raises: RLHFError for a model whose layers do not offer it.
    """
    layers = [module for module in model.modules() if isinstance(module, GradientCheckpointingLayer)]
    if not layers:
        raise RLHFError(
            f"training.gradient_checkpointing: models of type {model.config.model_type!r} do not offer it; set it to "
            "false"
        )
    modes = [layer.training for layer in layers]
    function = partial(checkpoint, use_reentrant=False, context_fn=lambda: (nullcontext(), again()))
    for layer in layers:
        # Of the layer alone, not of what is in it: dropout acts or not as it did.
        layer.gradient_checkpointing, layer.training, layer._gradient_checkpointing_func = True, True, function
    try:
        yield
    finally:
        for layer, mode in zip(layers, modes, strict=True):
            layer.gradient_checkpointing, layer.training = False, mode

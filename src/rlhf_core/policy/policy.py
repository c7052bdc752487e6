"""The one implementation of :class:`rlhf_core.contract.policy.Policy`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager, nullcontext
from functools import cached_property, partial
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import Parameter
from transformers import PreTrainedModel

from rlhf_core.contract.backbone import Trunk
from rlhf_core.contract.errors import RLHFError
from rlhf_core.contract.identity import require_same_base
from rlhf_core.contract.policy import Output, SamplingSpec
from rlhf_core.contract.rows import Codec, Comparison, Rollout, Row, Scored

from . import decoding, saving
from .activations import use_fast_gelu
from .attention import attending
from .batching import FAST_TOKENS, micro_batches
from .drawing import draw_positions
from .fingerprints import fingerprint
from .full_roles import FullRoles
from .heads import Heads
from .layout import Layout, Reading
from .lora_roles import LoraRoles
from .packing import choose_layout, hidden_states, lay_out
from .reading import Wanted, join_grids, join_scored, read_out
from .recomputing import recomputing
from .roles import Roles
from .runner_choice import choose_runner
from .runners import Runner
from .vocabulary import kl_divergences

LOGPROBS: Set[Output] = frozenset({"logprobs"})


class TrunkPolicy:
    """Roles on one trunk, scored without padding where the model allows it, and sampled with a cache.

    Args:
        trunk: from a backbone; it is taken over, not copied.
        codec: text to tokens and back, of this trunk's tokenizer.
        seed: of fresh adapters; the global random state is neither used nor changed.
        roles: how the roles share the trunk; by default adapters when ``trunk.lora`` is set or an adapter is given,
            else one network per role.

    Attributes:
        layout: ``"packed"``, or ``"padded"`` for models whose attention cannot be packed: slower, the same numbers.
        allow_dropout: whether dropout acts in passes that build a graph.
        recompute: whether passes that build a graph keep the inputs of layers only (gradient checkpointing).
        pass_tokens: most tokens in one forward pass that builds none.
        context_length: tokens of prompt and completion together.

    Raises:
        RLHFError when the trunk's adapter was made for another base, or its model cannot be used.
    """

    def __init__(
        self, trunk: Trunk, codec: Codec, *, device: torch.device, seed: int = 0, roles: Roles | None = None
    ) -> None:
        trunk.model.to(device).eval().requires_grad_(False)
        use_fast_gelu(trunk.model)
        self.layout = choose_layout(trunk.model)
        self.codec = codec
        self.device = device
        self.tokenizer = trunk.tokenizer
        self.base = dict(trunk.base)
        self.context_length = context_length(trunk)
        self.allow_dropout = False
        self._sampler = trunk.sampler
        self.recompute = False
        self.pass_tokens = FAST_TOKENS.get(device.type, FAST_TOKENS["cuda"])
        self.roles: Roles = roles or start_roles(trunk, seed=seed)
        self.heads = Heads(trunk.model.config.hidden_size, device)

    def train_role(self, role: str) -> list[Parameter]:
        """See the contract. Under full fine-tuning the first trained role takes the trunk itself, others get a copy."""
        return self.roles.train(role)

    def add_head(self, name: str, *, outputs: int = 1) -> list[Parameter]:
        return self.heads.add(name, outputs)

    def score(
        self, rows: Sequence[Row], role: str = "policy", *, want: Set[Output] = LOGPROBS,
        head: str = "value", temperature: float = 1.0,
    ) -> Scored:  # fmt: skip
        """See the contract. Raises RLHFError naming a row that exceeds the context."""
        reading = Wanted(want, head, temperature)
        if torch.is_grad_enabled():
            return self._pass(self._checked(rows), role, reading)[0]
        return join_scored([self._pass(part, role, reading)[0] for part in self._parts(rows)])

    def sample(self, rows: Sequence[Row], spec: SamplingSpec, *, seed: int, role: str = "policy") -> list[Rollout]:
        """See the contract and :func:`rlhf_core.policy.decoding.sample`."""
        if not rows:
            return []
        with torch.no_grad(), self.roles.sampling(role) as model:
            model.eval()
            if self._sampler is not None:
                return self._sampler.sample(
                    rows, spec, seed=seed, eos=self.codec.eos, context_length=self.context_length,
                    weights=partial(saving.plain_weights, model),
                )  # fmt: skip
            return decoding.sample(
                model, self._runner, rows, spec, seed=seed, eos=self.codec.eos, context_length=self.context_length,
                decode=partial(self.tokenizer.decode, clean_up_tokenization_spaces=False),
            )  # fmt: skip

    @property
    def samples_exactly(self) -> bool:
        """Whether sampling and scoring round alike: not where an engine of its own draws."""
        return self._sampler is None

    @cached_property
    def _runner(self) -> Callable[[PreTrainedModel], Runner]:
        """Found once: all roles are of one architecture."""
        return choose_runner(self.roles.model)

    @torch.no_grad()
    def compare(
        self, rows: Sequence[Row], role: str = "policy", other: str = "reference", *, want: Set[Output] = LOGPROBS,
        head: str = "value", temperature: float = 1.0, positions: int | None = None, seed: int = 0,
    ) -> Comparison:  # fmt: skip
        """See the contract. Raises RLHFError naming a row that exceeds the context."""
        found = []
        for part in self._parts(rows):
            drawn, stands_for = (t.to(self.device) for t in draw_positions(part, positions, seed=seed))
            scored, layout, model, states = self._pass(part, role, Wanted(want, head, temperature))
            # Roles of one trunk differ in hidden states alone: the output layer is never adapted.
            other_scored, _, other_model, other_states = self._pass(part, other, Wanted(LOGPROBS, head, temperature))
            kl = kl_divergences(model, states[drawn], other_model, other_states[drawn], temperature=temperature)
            flat = kl.new_zeros(len(states))
            flat[drawn] = kl * stands_for.to(kl)
            found.append((scored, other_scored, layout.to_grid(flat)))
        own, others, divergences = zip(*found, strict=True)
        return Comparison(join_scored(own), join_scored(others), join_grids(divergences))

    def trained(self) -> dict[str, Parameter]:
        """Trained parameters of roles and heads, by names that are the same in every process."""
        return dict(self.roles.trained()) | self.heads.trained()

    def frozen(self) -> dict[str, Tensor]:
        """Weights in memory that no update may move, by stable names: of the trunk under adapters, of the reference."""
        return {name: parameter.detach() for name, parameter in self.roles.frozen()}

    def fingerprint(self, role: str) -> str:
        """Of the weights that answer as ``role`` and of the model's configuration, as they are now."""
        return fingerprint(self.roles.weights(role), self.roles.model.config)

    def share_base(self, other: TrunkPolicy) -> None:
        """Keep one copy of the base weights that both have and neither trains: this policy takes the other's."""
        theirs = other.roles.fixed()
        for name, weight in self.roles.fixed().items():
            kept = theirs.get(name)
            comparable = kept is not None and (kept.dtype, kept.device) == (weight.dtype, weight.device)
            if kept is not None and comparable and torch.equal(kept, weight):
                weight.data = kept.data

    @property
    def keeps_reference(self) -> bool:
        """Whether the reference can be asked without a copy being made for it."""
        return self.roles.keeps_reference

    def readings(self, rows: Sequence[Row]) -> list[Reading]:
        """Where :meth:`score` reads the numbers of each completion: without a forward pass, for checks."""
        return lay_out(self._checked(rows), self.layout, self.device).readings()

    def state(self) -> dict[str, Tensor]:
        """Trained weights for a checkpoint: the live tensors, so clone what is to be kept while training goes on."""
        return {name: parameter.detach() for name, parameter in self.trained().items()} | dict(self.roles.marks())

    @torch.no_grad()
    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Put a checkpoint's weights in. Raises RLHFError when it is of other roles, heads or adapters."""
        self.roles.before_loading(state)
        marks = self.roles.marks()
        parameters = self.trained()
        unlike = (set(parameters) ^ (set(state) - set(marks))) | {
            name for name, value in parameters.items() if name in state and state[name].shape != value.shape
        }
        if unlike:
            raise RLHFError(f"the checkpoint is of another policy: {sorted(unlike)[0]} differs; start the stage anew")
        for name, parameter in parameters.items():
            parameter.copy_(state[name])

    def save(self, folder: Path) -> None:
        """Write what ``transformers`` and ``peft`` load, into a folder that is there; see :mod:`.saving`."""
        saving.save(self, folder)

    def parameter_counts(self) -> dict[str, int]:
        """``trained`` and ``total`` (all networks, adapters and heads in memory)."""
        total = sum(parameter.numel() for network in self.roles.networks() for parameter in network.parameters())
        heads = sum(parameter.numel() for parameter in self.heads.parameters())
        return {"trained": sum(p.numel() for p in self.trained().values()), "total": total + heads}

    def trained_counts(self) -> dict[str, int]:
        """Trained parameters by role, and by head as ``head NAME``."""
        counts: dict[str, int] = {}
        for name, parameter in self.roles.trained():
            role = self.roles.role_of(name)
            counts[role] = counts.get(role, 0) + parameter.numel()
        for name, parameter in self.heads.trained().items():
            head = f"head {name.split('.')[1]}"
            counts[head] = counts.get(head, 0) + parameter.numel()
        return counts

    def _pass(self, rows: list[Row], role: str, wanted: Wanted) -> tuple[Scored, Layout, PreTrainedModel, Tensor]:
        """One forward pass: what was asked for, its layout, the network, and the hidden states before each token."""
        layout = lay_out(rows, self.layout, self.device)
        graph = torch.is_grad_enabled()
        with self._answering(role, layout, dropout=self.allow_dropout and graph) as model:
            again = partial(self._answering, role, layout, dropout=self.allow_dropout)
            with recomputing(model, again) if self.recompute and graph else nullcontext():
                hidden = hidden_states(model, layout)
            states = hidden[layout.sources]
            return read_out(model, self.heads, hidden, states, layout, wanted), layout, model, states

    @contextmanager
    def _answering(self, role: str, layout: Layout, *, dropout: bool) -> Iterator[PreTrainedModel]:
        """All that a forward pass depends on beside its input."""
        with self.roles.acting(role) as model, attending(model, layout):
            if model.training is not dropout:
                model.train(dropout)
            yield model

    def _parts(self, rows: Sequence[Row]) -> list[list[Row]]:
        return micro_batches(self._checked(rows), self.pass_tokens)

    def _checked(self, rows: Sequence[Row]) -> list[Row]:
        """Rows that have completions, none of them too long."""
        for row in rows:
            length = len(row.prompt) + max(map(len, row.completions), default=0)
            if length > self.context_length:
                raise RLHFError(
                    f"{row.record_id}: {length} tokens, but the context is {self.context_length}; "
                    "set data.max_prompt_tokens or data.max_completion_tokens"
                )
        scored = [row for row in rows if row.completions]
        if not scored:
            raise ValueError("score needs at least one completion")
        return scored


def start_roles(trunk: Trunk, *, seed: int, plain_reference: bool = False) -> Roles:
    if trunk.lora is None and trunk.adapter is None:
        return FullRoles(trunk)
    if trunk.adapter is not None:
        require_same_base(trunk.adapter, trunk.base)
    return LoraRoles(trunk, seed=seed, plain_reference=plain_reference)


def context_length(trunk: Trunk) -> int:
    """Of the model's positions, or the tokenizer's limit where the model states none."""
    stated = getattr(trunk.model.config, "max_position_embeddings", None)
    return int(stated or min(trunk.tokenizer.model_max_length, 2**20))

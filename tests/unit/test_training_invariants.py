"""Faults planted in a training, one per invariant: each stops it with its meaning, and nothing right is stopped."""

from __future__ import annotations

import copy
import dataclasses
import math
import re
from contextlib import contextmanager, nullcontext

import pytest
import torch
from policy_parts import CPU, EOS, LORA, WordCodec, shared_model, stir, tiny_gpt2, tiny_policy, trunk_of
from tokenizers import Tokenizer, models, pre_tokenizers
from training_parts import ToyPPO, ToySFT, records_of
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from rlhf_core.contract.errors import TrainingStopped
from rlhf_core.contract.policy import SamplingSpec
from rlhf_core.contract.records import Demonstration
from rlhf_core.contract.rows import Loss, Row
from rlhf_core.contract.trainer import Next
from rlhf_core.data.codec import TextCodec
from rlhf_core.data.options import TemplateOptions
from rlhf_core.policy import decoding, layout, vocabulary
from rlhf_core.policy.full_roles import FullRoles
from rlhf_core.policy.lora_roles import LoraRoles
from rlhf_core.policy.policy import TrunkPolicy
from rlhf_core.store.run import RunFolder
from rlhf_core.training.engine import Engine
from rlhf_core.training.invariants.checksums import checksums
from rlhf_core.training.invariants.sampling import measure_gap
from rlhf_core.training.invariants.suite import spread
from rlhf_core.training.invariants.tokens import require_one_tokenisation
from rlhf_core.training.options import TrainingOptions

SAMPLING = SamplingSpec(max_new_tokens=6)
ADAPTERS = pytest.mark.parametrize("lora", [LORA, None], ids=["lora", "full"])


class Length:
    def prepare(self, context): ...

    def score(self, completions):
        return [float(len(completion.tokens)) for completion in completions]


class ToyReward(ToySFT):
    """A zero head on a fresh adapter of its own: what moves last of all."""

    generates = False
    best = None

    def prepare(self, context):
        self.policy = context.policy
        return {"reward": self.policy.train_role("reward"), "head": self.policy.add_head("reward")}

    def loss(self, rows, totals):
        last = self.policy.score(rows, "reward", want={"last"}, head="reward").last
        return Loss((last - 1.0).square().sum() / totals.rows)


def rows_of(count, *, online):
    generator = torch.Generator().manual_seed(0)

    def draw(length):
        return tuple(torch.randint(2, 64, (length,), generator=generator).tolist())

    rows = [Row(record_id=f"r{n}", prompt=draw(1 + 2 * n), completions=((*draw(3), EOS),)) for n in range(count)]
    return [Row(record_id=row.record_id, prompt=row.prompt) for row in rows] if online else rows


def training(folder, trainer, policy, *, sampling=SAMPLING, resume=False, validation=False, **options):
    rows = rows_of(8, online=isinstance(trainer, ToyPPO))
    settings = {"steps": 3, "batch_size": 4, "learning_rate": 0.01, "eval_every": 1, "save_every": 9, **options}
    return Engine(
        policy, trainer, rows[:6], rows[6:] if validation else [], records_of(*rows, codec=WordCodec()),
        TrainingOptions(**settings), sampling=sampling, reward=Length(),
        run=RunFolder.open(folder) if resume else RunFolder.create(folder),
    )  # fmt: skip


def stopped(built, message):
    """The training stops with the message, and leaves no model."""
    with pytest.raises(TrainingStopped, match=message) as told:
        built.train()
    assert "usual cause: " in str(told.value)
    assert (built.run.status, built.run.model.exists()) == ("failed", False)


def same(left, right):
    return all(torch.equal(left[name], right[name]) for name in left)


# --- nothing right is stopped


@ADAPTERS
@pytest.mark.parametrize("make", [ToySFT, ToyPPO, ToyReward])
def test_a_right_training_passes_all_of_them_and_they_move_nothing(tmp_path, make, lora):
    found = []
    for paranoid in (False, True):
        built = training(tmp_path / str(paranoid), make(), tiny_policy(lora), paranoid=paranoid, validation=True)
        assert built.train().status == "finished"
        found.append({name: value.clone() for name, value in built.policy.state().items()})
    assert same(*found)


@pytest.mark.parametrize("options", [{"learning_rate": 1e-9}, {"schedule": "cosine", "warmup": 0.9, "steps": 3}])
def test_rates_too_small_to_move_a_weight_are_no_fault(tmp_path, options):
    assert training(tmp_path / "r", ToySFT(), tiny_policy(None), **options).train().status == "finished"


def test_an_output_layer_that_a_reward_model_never_reads_is_not_trained(tmp_path):
    built = training(tmp_path / "r", ToyReward(), tiny_policy(None, tie_word_embeddings=False))
    before = built.policy.roles.model.lm_head.weight.clone()
    assert "reward.lm_head.weight" not in built.policy.trained()
    assert built.train().status == "finished"
    assert torch.equal(built.policy.roles.model.lm_head.weight, before)
    assert (
        "policy.lm_head.weight"
        in training(tmp_path / "p", ToySFT(), tiny_policy(None, tie_word_embeddings=False)).policy.trained()
    )


def test_equal_scores_are_no_fault_of_the_adapters(tmp_path):
    class Still(ToyPPO):
        noise = 0.0

        def loss(self, rows, totals):
            found = super().loss(rows, totals)
            return Loss(0.0 * found.total, found.metrics)

    assert training(tmp_path / "r", Still(), tiny_policy()).train().status == "finished"


# --- sampling and scoring


def test_a_sampler_that_forgets_the_temperature_is_stopped(tmp_path, monkeypatch):
    def draw(logits, uniform, spec):
        return right(logits, uniform, dataclasses.replace(spec, temperature=1.0))

    right = decoding.draw
    monkeypatch.setattr(decoding, "draw", draw)
    built = training(tmp_path / "r", ToyPPO(), tiny_policy(), sampling=dataclasses.replace(SAMPLING, temperature=0.7))
    stopped(built, r"mean ratio [\d.]+, expected 1.*sampling\.temperature = 0\.7")


@pytest.mark.parametrize("lost", ["position_ids", "attention_mask"])
def test_left_padding_without_positions_or_mask_is_stopped(tmp_path, lost):
    policy = tiny_policy()
    inner = policy.roles.model.transformer
    right = inner.forward

    def forward(*inputs, **given):
        sampled = given.get("use_cache")
        return right(*inputs, **{name: value for name, value in given.items() if not (sampled and name == lost)})

    inner.forward = forward
    stopped(training(tmp_path / "r", ToyPPO(), policy), "fresh rollouts: mean ratio .*masks, positions")


def test_dropout_while_sampling_is_stopped(tmp_path):
    policy = tiny_policy()
    model = policy.roles.model
    model.eval = model.train
    stopped(training(tmp_path / "r", ToyPPO(), policy), r"mean ratio .*dropout is on")


def test_a_fault_that_begins_later_is_found_by_the_paranoid_alone(tmp_path):
    class Drifting(ToyPPO):
        noise = 0.0

        def checks(self):
            return []

        def collect(self, rows, *, seed):
            found = super().collect(rows, seed=seed)
            self.batches = getattr(self, "batches", 0) + 1
            if self.batches == 2:
                found = [dataclasses.replace(row, logprobs=tuple(x - 0.01 for x in row.logprobs)) for row in found]
            return found

    assert training(tmp_path / "quick", Drifting(), tiny_policy()).train().status == "finished"
    stopped(training(tmp_path / "all", Drifting(), tiny_policy(), paranoid=True), r"mean ratio 1\.01")


def test_the_gap_is_reported_by_the_paranoid_and_is_rounding(tmp_path):
    built = training(tmp_path / "r", ToyPPO(), tiny_policy(), paranoid=True)
    built.train()
    gaps = [row["sampling_gap"] for row in built.run.metrics() if row["split"] == "train"]
    assert len(gaps) == 3
    assert all(0 <= gap < 1e-5 for gap in gaps)


def test_in_bfloat16_the_gap_is_measured_and_a_wrong_temperature_still_stops():
    policy = tiny_policy()
    policy.train_role("policy")
    rows = rows_of(8, online=True)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        rollouts = policy.sample(rows, SAMPLING, seed=0)
        gap = measure_gap(policy, rollouts, SAMPLING)
        other = measure_gap(policy, rollouts, dataclasses.replace(SAMPLING, temperature=0.7))
    assert gap.tokens == sum(len(row.completions[0]) for row in rollouts)
    assert 1e-4 < gap.gap / gap.tokens < 0.1
    gap.require_small(SAMPLING, exact=False)
    for wrong, exact in ((gap, True), (other, False)):
        with pytest.raises(TrainingStopped, match="nats per token"):
            wrong.require_small(SAMPLING, exact=exact)


def test_with_rollouts_of_8_bit_weights_the_gap_is_a_figure_and_not_a_fault():
    policy = tiny_policy()
    policy.train_role("policy")
    rows = rows_of(8, online=True)
    spec = dataclasses.replace(SAMPLING, precision="int8")
    gap = measure_gap(policy, policy.sample(rows, spec, seed=0), spec)
    assert 1e-4 < gap.gap / gap.tokens < 0.1
    gap.require_small(spec, exact=False)
    with pytest.raises(TrainingStopped, match="nats per token"):
        gap.require_small(SAMPLING, exact=True)


@pytest.mark.parametrize("changes", [{"top_k": 3}, {"top_p": 0.5}, {"temperature": 0.0}])
def test_of_truncated_or_greedy_sampling_no_ratio_is_expected(changes):
    policy = tiny_policy()
    spec = dataclasses.replace(SAMPLING, **changes)
    rollouts = policy.sample(rows_of(4, online=True), spec, seed=0)
    gap = measure_gap(policy, rollouts, spec)
    assert gap.tokens == 0
    gap.require_small(spec, exact=True)


# --- places and tokens


@pytest.mark.parametrize("online", [True, False])
def test_a_mask_found_by_comparing_ids_is_stopped(tmp_path, monkeypatch, online):
    right = layout.Layout.mask.fget

    def mask(self):
        found = right(self).clone()
        found[self.owners, self.columns] = self.targets != EOS  # "padding" that is the real end of text
        return found

    monkeypatch.setattr(layout.Layout, "mask", property(mask))
    built = training(tmp_path / "r", ToyReward() if not online else ToySFT(), tiny_policy())
    stopped(built, "the mask covers 3 positions of a completion of 4 tokens")


def test_a_score_read_before_the_last_token_is_stopped(tmp_path, monkeypatch):
    right = layout._Cursor.add

    def add(self, sequence, completion):
        right(self, sequence, completion)
        self.last[-1] = sequence[-2]

    monkeypatch.setattr(layout._Cursor, "add", add)
    stopped(
        training(tmp_path / "r", ToyReward(), tiny_policy()), r"the score is read at position \d+, but the last real"
    )


def test_tokens_predicted_from_the_wrong_place_are_stopped(tmp_path, monkeypatch):
    right = layout._Cursor.add

    def add(self, sequence, completion):
        right(self, sequence, completion)
        self.sources[-len(completion) :] = sequence[-len(completion) :]  # the token itself, not the one before it

    policy = tiny_policy()
    monkeypatch.setattr(layout._Cursor, "add", add)
    stopped(training(tmp_path / "r", ToySFT(), policy), "not each predicted from the token before")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda row: {"completions": ((*row.completions[0], EOS, 5),)}, r"tokens stand behind EOS|1 logprobs|finished"),
        (lambda _: {"completions": ((7, EOS, 9),)}, "1 tokens stand behind EOS"),
        (lambda row: {"finished": (not row.finished[0],)}, "finished is"),
        (lambda row: {"completions": (row.completions[0][:-1] + (7,) * 2,), "finished": (False,)}, "have . logprobs"),
        (lambda _: {"prompt": ()}, "has no token"),
    ],
)
def test_rollouts_that_were_tampered_with_are_stopped(tmp_path, change, message):
    class Tampering(ToyPPO):
        def collect(self, rows, *, seed):
            return [dataclasses.replace(row, **change(row)) for row in super().collect(rows, seed=seed)]

    stopped(training(tmp_path / "r", Tampering(), tiny_policy()), message)


def test_a_prompt_tokenised_otherwise_in_its_row_is_stopped(tmp_path):
    policy = tiny_policy()
    policy.codec.encode_prompt = lambda prompt: (*WordCodec().encode_prompt(prompt), 3)
    stopped(training(tmp_path / "r", ToySFT(), policy), r"the prompt alone is \d tokens, .*\[.*3\], but its row begins")


def drifting_tokenizer():
    """ " x" is one token, so that "Assistant: " and "x" share it."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: index for index, letter in enumerate(letters)} | {"Ġx": 256, "</s>": 257}
    core = Tokenizer(models.BPE(vocab=vocabulary, merges=[("Ġ", "x")]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return PreTrainedTokenizerFast(tokenizer_object=core, eos_token="</s>")


class CutByCharacters(TextCodec):
    """The fault: prompt and completion tokenised together, and cut where the prompt's characters end."""

    def encode(self, record):
        row = super().encode(record)
        text = self._texts.prompt(record.prompt)
        together = self._tokens(text + self._texts.completion(record.prompt, record.completion))
        start = next(n for n in range(len(together) + 1) if len(self.piece(together[: n + 1])) > len(text))
        return dataclasses.replace(row, prompt=together[:start], completions=((*together[start:], self.eos),))


@pytest.mark.parametrize("name", ["own", pytest.param("gpt2", marks=pytest.mark.shared_data)])
def test_a_token_across_the_end_of_the_prompt_is_stopped_and_our_codec_makes_none(name):
    tokenizer = drifting_tokenizer() if name == "own" else AutoTokenizer.from_pretrained(shared_model("gpt2-tokenizer"))
    template = TemplateOptions(prompt="Human: {prompt}\nAssistant: ", completion="{completion}")
    record = Demonstration(id="r", prompt="hi", completion="x y")
    right, wrong = (make(tokenizer, template, context_length=100) for make in (TextCodec, CutByCharacters))
    assert right.inspect(record).drifted == 1, "there is such a token"
    require_one_tokenisation([right.encode(record)], {"r": record}, right)
    with pytest.raises(TrainingStopped, match="it is trained on as other tokens than it is sampled from"):
        require_one_tokenisation([wrong.encode(record)], {"r": record}, wrong)


# --- reference, frozen and trained weights


def test_a_reference_that_shares_the_trained_weights_is_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(FullRoles, "_copy_of_start", lambda self, _: self.model)
    stopped(training(tmp_path / "r", ToyPPO(), tiny_policy(None)), r"frozen weights have moved: reference\.")


def test_a_reference_whose_adapter_stays_on_is_stopped_and_the_paranoid_see_it_sooner(tmp_path, monkeypatch):
    monkeypatch.setattr(LoraRoles, "_switched_off", nullcontext)
    for paranoid, step in ((False, 3), (True, 1)):
        built = training(tmp_path / str(paranoid), ToyPPO(), tiny_policy(), paranoid=paranoid, validation=True)
        stopped(built, r"the reference has moved: a token's logprob differs by 0\.\d+ nats")
        assert built.progress.step == step


def test_an_adapter_left_in_the_base_after_sampling_is_stopped(tmp_path, monkeypatch):
    @contextmanager
    def sampling(self, role):
        for layer in self._layers:
            layer.get_base_layer().weight.data += layer.get_delta_weight(role)
        with self._switched_off():
            yield self.model

    monkeypatch.setattr(LoraRoles, "sampling", sampling)
    stopped(training(tmp_path / "r", ToyPPO(), tiny_policy()), r"frozen weights have moved: .*base_layer\.weight")


def test_a_policy_that_does_not_start_as_its_reference_is_stopped(tmp_path):
    class Stirred(ToyPPO):
        def prepare(self, context):
            groups = super().prepare(context)
            stir(context.policy)
            return groups

    stopped(training(tmp_path / "r", Stirred(), tiny_policy()), r"before the first update the exact KL .* expected 0")


@pytest.mark.parametrize("wrong", [-1.0, math.nan])
def test_a_kl_below_zero_is_stopped(tmp_path, monkeypatch, wrong):
    right = vocabulary.exact_kl
    monkeypatch.setattr(vocabulary, "exact_kl", lambda own, other: wrong * right(own, other))
    stopped(training(tmp_path / "r", ToyPPO(), tiny_policy()), "the exact KL to the reference is .* below 0")


def test_an_adapter_frozen_by_switching_to_another_is_stopped(tmp_path, monkeypatch):
    class Joint(ToySFT):
        """One backward pass over two adapters, the second switched to while the first one's graph is there."""

        def prepare(self, context):
            self.policy = context.policy
            groups = {role: self.policy.train_role(role) for role in ("policy", "value")}
            monkeypatch.setattr(LoraRoles, "_restore_gradients", lambda _: None)
            return groups

        def loss(self, rows, totals):
            self.policy.roles._peft.base_model.set_adapter("value")  # which freezes the policy's adapter
            return super().loss(rows, totals)

    policy = tiny_policy()
    policy.roles.acting = lambda _: nullcontext(policy.roles.model)
    stopped(training(tmp_path / "r", Joint(), policy), r"trained weight \S+\.policy\.\S+ had no part in the loss")


def test_a_value_head_that_is_left_out_is_stopped(tmp_path):
    class Headless(ToySFT):
        def prepare(self, context):
            return super().prepare(context) | {"value": context.policy.add_head("value")}

    stopped(training(tmp_path / "r", Headless(), tiny_policy()), r"trained weight heads\.value\.weight had no part")


def test_a_weight_that_the_optimizer_does_not_hold_any_more_is_stopped(tmp_path):
    class Replacing(ToyReward):
        def after_step(self, metrics):
            self.policy.heads._heads["reward"] = copy.deepcopy(self.policy.heads._heads["reward"])
            return super().after_step(metrics)

    stopped(training(tmp_path / "r", Replacing(), tiny_policy()), r"heads\.reward\.weight is another tensor than")


def test_a_weight_that_no_step_moves_is_stopped(tmp_path):
    built = training(tmp_path / "r", ToySFT(), tiny_policy())
    name = next(name for name in built.policy.trained() if ".lora_B." in name)
    frozen = built.policy.trained()[name]
    step = built.updates.optimizer.step
    built.updates.optimizer.step = lambda: (step(), frozen.data.zero_())
    stopped(built, f"trained weight {re.escape(name)} did not move in 3 updates although")


# --- going on


@ADAPTERS
def test_a_run_that_goes_on_is_held_to_the_reference_that_it_began_with(tmp_path, lora):
    def cut(folder):
        first = training(folder, ToyPPO(), tiny_policy(lora))
        first.trainer.after_step = lambda _: first.interrupts.request() or Next.CONTINUE
        assert first.train().status == "stopped"

    cut(tmp_path / "same")
    assert training(tmp_path / "same", ToyPPO(), tiny_policy(lora), resume=True).train(resume=True).step == 3
    cut(tmp_path / "other")
    other = TrunkPolicy(trunk_of(tiny_gpt2(seed=5), lora), WordCodec(), device=CPU)
    with pytest.raises(TrainingStopped, match=r"frozen weights have moved: .*resumed on another base"):
        training(tmp_path / "other", ToyPPO(), other, resume=True).train(resume=True)


# --- parts


def test_a_checksum_moves_with_any_bit_of_any_type():
    for dtype in (torch.float64, torch.float32, torch.bfloat16, torch.int8):
        weights = torch.arange(12).to(dtype).view(3, 4)
        before = checksums([weights, weights.t()])
        assert before[0] == before[1], "however it lies in memory"
        weights[1, 2] = 7
        assert checksums([weights])[0] != before[0]
    assert checksums([]) == []
    assert checksums([torch.zeros(3), torch.tensor([0.0, -0.0, 0.0])])[1] != 0, "bits, not values"


def test_the_rows_looked_at_are_the_shortest_and_the_longest():
    rows = rows_of(8, online=True)
    assert [len(row.prompt) for row in spread(rows, 4)] == [1, 3, 13, 15]
    assert spread(rows, 8) == rows

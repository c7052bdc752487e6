"""Laws of the loop: what a step is, what is written, when it stops. Weights against closed forms."""

from __future__ import annotations

import json
import statistics
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from training_parts import (
    BigramPolicy,
    ToyPPO,
    ToySFT,
    demonstrations,
    engine,
    prompts,
    weights,
)

from rlhf_core.contract.errors import RLHFError, TrainingStopped
from rlhf_core.contract.policy import SamplingSpec
from rlhf_core.contract.rows import Row
from rlhf_core.contract.trainer import Check
from rlhf_core.policy.batching import micro_batches
from rlhf_core.training.batching import count
from rlhf_core.training.observers import Observer
from rlhf_core.training.options import TrainingOptions
from rlhf_core.training.progress import Means
from rlhf_core.training.updates import Updates
from rlhf_core.training.world import World


def updates(trainer, policy, groups, **options):
    return Updates(trainer, policy, groups, TrainingOptions(**options), dtype=torch.float32, world=World())


def one_step(rows, **options):
    """Weights and metrics after one optimizer step of likelihood on ``rows``."""
    policy, trainer = BigramPolicy(), ToySFT()
    trainer.policy = policy
    built = updates(trainer, policy, {"policy": policy.train_role("policy")}, **options)
    metrics = built.step(rows, 0.5)
    return policy.table.detach(), metrics


def plain_gradient(rows):
    """Of minus the mean logprob per token, token by token, with no batches at all."""
    table = BigramPolicy().table.detach().requires_grad_()
    logprobs = []
    for row in rows:
        previous = row.prompt[-1]
        for token in row.completions[0]:
            logprobs.append(table[previous].log_softmax(-1)[token])
            previous = token
    loss = -torch.stack(logprobs).mean()
    loss.backward()
    return float(loss.detach()), table.grad


def test_micro_batches_hold_consecutive_rows_within_the_budget():
    rows = [Row(record_id=str(n), prompt=(1,), completions=((2,) * n,)) for n in (3, 4, 9, 1, 2, 1)]
    assert [[row.record_id for row in part] for part in micro_batches(rows, 9)] == [["3", "4"], ["9"], ["1", "2", "1"]]
    assert [len(part) for part in micro_batches(rows, 1)] == [1] * 6


def test_counts_are_of_rows_completions_and_completion_tokens():
    rows = [Row(record_id="a", prompt=(1, 1), completions=((2, 3), (4,))), Row(record_id="b", prompt=(1,))]
    assert vars(count(rows, sampled=4)) == {"rows": 2.0, "completions": 6.0, "tokens": 3.0}


def test_one_step_is_adamw_on_the_gradient_of_the_whole_minibatch():
    rows = demonstrations(7)
    loss, gradient = plain_gradient(rows)
    found, metrics = one_step(
        rows, learning_rate=0.2, adam_epsilon=1.0, weight_decay=0.3, max_grad_norm=None, micro_batch_tokens=12
    )
    # After one step the bias-corrected moments are g and g²: AdamW moves by rate · g / (|g| + ε), decay apart.
    start = BigramPolicy().table.detach()
    expected = start * (1 - 0.1 * 0.3) - 0.1 * gradient / (gradient.abs() + 1.0)
    assert torch.allclose(found, expected, atol=1e-7)
    assert metrics["loss"] == pytest.approx(loss, abs=1e-6)
    assert metrics["rows"] == pytest.approx(1.0)
    assert metrics["grad_norm"] == pytest.approx(float(gradient.norm()), rel=1e-5)


def test_gradients_are_clipped_to_the_global_norm_before_the_step():
    rows = demonstrations(7)
    _, gradient = plain_gradient(rows)
    found, metrics = one_step(rows, learning_rate=0.2, adam_epsilon=1.0, max_grad_norm=0.01)
    clipped = gradient * 0.01 / gradient.norm()
    assert torch.allclose(found, BigramPolicy().table - 0.1 * clipped / (clipped.abs() + 1.0), atol=1e-7)
    assert metrics["grad_norm"] == pytest.approx(float(gradient.norm()), rel=1e-5), "the norm is that before clipping"


def test_how_rows_are_split_into_micro_batches_changes_nothing():
    rows = demonstrations(9)
    whole, metrics = one_step(rows, learning_rate=0.2, adam_epsilon=1.0, micro_batch_tokens=10_000)
    for tokens in (1, 8, 15):
        split, of_split = one_step(rows, learning_rate=0.2, adam_epsilon=1.0, micro_batch_tokens=tokens)
        assert torch.allclose(split, whole, atol=1e-7)
        assert of_split == pytest.approx(metrics, abs=1e-6)


def test_groups_have_their_own_learning_rates(tmp_path):
    built = engine(tmp_path / "r", ToyPPO(), learning_rates={"value": 0.5}, schedule="constant", warmup=0.0)
    metrics = built.train().metrics
    assert (metrics["learning_rate/value"], metrics["learning_rate/policy"]) == (0.5, 0.05)
    with pytest.raises(RLHFError, match=r"training\.learning_rates\.valu: the trainer's groups are policy, value"):
        engine(tmp_path / "s", ToyPPO(), learning_rates={"valu": 0.5})


def test_weights_in_no_group_or_frozen_are_a_mistake_of_the_trainer():
    policy = BigramPolicy()
    table, head = policy.train_role("policy"), policy.add_head("value")
    with pytest.raises(RuntimeError, match=r"trains heads\.value, which is in no group"):
        updates(ToySFT(), policy, {"policy": table})
    stray = [torch.nn.Parameter(torch.zeros(1))]
    with pytest.raises(RuntimeError, match="'stray' holds weights that the policy does not know"):
        updates(ToySFT(), policy, {"policy": [*table, *head], "stray": stray})
    head[0].requires_grad_(False)
    with pytest.raises(RuntimeError, match="group 'value' of the trainer holds frozen weights"):
        updates(ToySFT(), policy, {"policy": table, "value": head})


def test_every_row_is_seen_once_per_epoch(tmp_path):
    class Watching(ToySFT):
        seen: list[str]

        def collect(self, rows, *, seed):
            self.seen += [row.record_id for row in rows]
            return rows

        def validate(self, rows, totals, *, seed):
            return {"loss": torch.zeros(())}

    trainer = Watching()
    trainer.seen = []
    built = engine(tmp_path / "r", trainer, train=demonstrations(12), steps=None, epochs=2)
    assert built.train().step == 6
    assert sorted(trainer.seen[:12]) == sorted(trainer.seen[12:]) == sorted(f"train:{n}" for n in range(12))
    assert trainer.seen[:12] != trainer.seen[12:]


def test_inner_epochs_go_through_the_whole_batch_in_new_orders(tmp_path):
    class Watching(ToyPPO):
        def loss(self, rows, totals):
            self.seen.append([row.record_id for row in rows])
            return super().loss(rows, totals)

    trainer = Watching()
    trainer.seen = []
    engine(tmp_path / "r", trainer, steps=1, batch_size=10, micro_batch_tokens=10_000).train()
    assert [len(rows) for rows in trainer.seen] == [5, 5, 5, 5]
    first, second = trainer.seen[0] + trainer.seen[1], trainer.seen[2] + trainer.seen[3]
    assert sorted(first) == sorted(second) == sorted(f"train:{n}" for n in range(10))
    assert first != second


def test_reaching_the_target_drops_the_rest_of_the_batch(tmp_path):
    built = engine(tmp_path / "r", ToyPPO(step_kl_limit=-1.0), steps=3, log_every=1)
    built.train()
    assert [row["updates"] for row in built.run.metrics() if row["split"] == "train"] == [1.0, 1.0, 1.0]


def test_the_learning_rate_follows_batches_and_not_updates(tmp_path):
    rates = []
    for name, limit in (("whole", float("inf")), ("cut", -1.0)):
        built = engine(tmp_path / name, ToyPPO(step_kl_limit=limit), steps=4)
        built.train()
        rates.append([row["learning_rate/policy"] for row in built.run.metrics() if row["split"] == "train"])
    assert rates[0] == rates[1] == pytest.approx([0.05 * (1 - (x - 0.05) / 0.95) for x in (0.125, 0.375, 0.625, 0.875)])


def test_metrics_hold_every_step_and_the_evaluations_of_start_and_end(tmp_path):
    built = engine(tmp_path / "r", ToySFT(), steps=5, eval_every=2)
    built.train()
    rows = built.run.metrics()
    assert [(row["step"], row["split"][0]) for row in rows] == [
        (0, "v"), (1, "t"), (2, "t"), (2, "v"), (3, "t"), (4, "t"), (4, "v"), (5, "t"), (5, "v"),
    ]  # fmt: skip
    train = next(row for row in rows if row["split"] == "train")
    assert train["records"] == 4
    assert {"loss", "grad_norm", "learning_rate/policy", "tokens_per_second", "updates", "seconds"} <= set(train)


def test_a_line_of_metrics_is_the_mean_over_its_steps(tmp_path):
    every = engine(tmp_path / "a", ToySFT(), steps=5)
    third = engine(tmp_path / "b", ToySFT(), steps=5, log_every=3)
    every.train(), third.train()
    loss = [row["loss"] for row in every.run.metrics() if row["split"] == "train"]
    found = [(row["step"], row["loss"]) for row in third.run.metrics() if row["split"] == "train"]
    assert found == [(3, pytest.approx(sum(loss[:3]) / 3)), (5, pytest.approx(sum(loss[3:]) / 2))]


def test_validation_is_exact_whatever_its_micro_batches_and_takes_as_many_rows_as_asked(tmp_path):
    held_out = demonstrations(9, seed=3, name="held-out")
    loss, _ = plain_gradient(held_out)
    for name, tokens in (("a", 1), ("b", 14), ("c", 10_000)):
        built = engine(tmp_path / name, ToySFT(), validation=held_out, steps=1, micro_batch_tokens=tokens)
        built.train()
        assert built.run.metrics()[0]["loss"] == pytest.approx(loss, abs=1e-6)
    few = engine(tmp_path / "few", ToySFT(), validation=held_out, eval_rows=4)
    assert len(few.validation.rows) == 4
    assert few.validation.rows == engine(tmp_path / "again", ToySFT(), validation=few.validation.rows).validation.rows


def test_the_loss_of_each_held_out_row_is_kept_by_name_whatever_the_micro_batches(tmp_path):
    held_out = demonstrations(9, seed=3, name="held-out")
    table = BigramPolicy().table.detach()
    expected = [nats / len(row.completions[0]) for nats, row in zip(surprise(table, held_out), held_out, strict=True)]
    for name, tokens in (("a", 1), ("b", 14), ("c", 10_000)):
        built = engine(tmp_path / name, ToySFT(), validation=held_out, steps=1, micro_batch_tokens=tokens)
        built.train()
        first = [row for row in built.run.held_out() if row["step"] == 0]
        assert [row["record_id"] for row in first] == [row.record_id for row in held_out]
        assert [row["loss"] for row in first] == pytest.approx(expected, abs=1e-5)
        assert {row["step"] for row in built.run.held_out()} == {0, 1}
        assert not [name for row in built.run.metrics() for name in row if name.startswith("rows/")]


def test_a_trainer_that_tells_nothing_of_single_rows_leaves_no_file_and_a_wrong_number_of_them_is_its_mistake(tmp_path):
    class Silent(ToySFT):
        def loss(self, rows, totals):
            return replace(super().loss(rows, totals), per_row=None)

    class Short(ToySFT):
        def loss(self, rows, totals):
            return replace(super().loss(rows, totals), per_row=torch.zeros(1))

    silent = engine(tmp_path / "silent", Silent(), steps=1)
    silent.train()
    assert silent.run.held_out() == []
    with pytest.raises(RuntimeError, match=r"Short: validate\(\) gives rows/loss of shape \[1\] for \d+ rows"):
        engine(tmp_path / "short", Short(), steps=1).train()


def test_how_often_is_evaluated_changes_no_weight(tmp_path):
    found = []
    for name, options in (("a", {"eval_every": 1}), ("b", {"eval_every": 6}), ("c", {"validation": []})):
        built = engine(tmp_path / name, ToyPPO(), policy=BigramPolicy(), **options)
        built.train()
        found.append(weights(built))
    for other in found[1:]:
        assert all(torch.equal(found[0][name], other[name]) for name in other)


def test_samples_are_of_the_same_prompts_at_every_evaluation_with_their_scores(tmp_path):
    twice = prompts(6, seed=1, name="held-out")
    twice += [Row(record_id="double", prompt=twice[0].prompt)]
    built = engine(tmp_path / "r", ToyPPO(), validation=twice, steps=4, eval_every=2, sample_prompts=9)
    built.train()
    samples = built.run.samples()
    asked = {row.record_id: built.policy.codec.decode(row.prompt) for row in twice}
    assert [sample["step"] for sample in samples] == [0] * 6 + [2] * 6 + [4] * 6
    assert [s["record_id"] for s in samples[:6]] == [f"held-out:{n}" for n in range(6)]
    assert [s["record_id"] for s in samples[6:12]] == [s["record_id"] for s in samples[:6]]
    for sample in samples:
        text = sample["completion"]
        assert sample["score"] == text.count("c") / max(len(text), 1)
        assert sample["prompt"] == asked[sample["record_id"]]


def test_a_reward_model_writes_no_samples(tmp_path):
    class Silent(ToySFT):
        generates = False

    built = engine(tmp_path / "r", Silent())
    built.train()
    assert built.run.samples() == []


class Scripted(ToySFT):
    """Its validation loss is dictated."""

    def __init__(self, losses):
        self.losses = iter(losses)

    def validate(self, rows, totals, *, seed):
        if rows[0].record_id == "held-out:0":
            self.now = next(self.losses)
        return {"loss": torch.tensor(self.now * len(rows) / totals.rows)}


def test_the_best_evaluation_is_what_the_run_gives(tmp_path):
    kept = {}

    class Watching(Observer):
        def evaluated(self, step, metrics):
            kept[step] = weights(built)["table"]

    built = engine(tmp_path / "r", Scripted([5.0, 3.0, 4.0, 2.0, 2.0, 6.0, 7.0]), eval_every=1, observers=[Watching()])
    outcome = built.train()
    assert outcome.best_step == built.run.info["best_step"] == 3
    from safetensors.torch import load_file

    for folder in (built.run.best, built.run.model):
        assert torch.equal(load_file(folder / "table.safetensors")["table"], kept[3])
    assert not torch.equal(kept[3], weights(built)["table"])


def test_without_a_best_metric_or_held_out_rows_the_last_weights_win(tmp_path):
    class Last(ToySFT):
        best = None

    from safetensors.torch import load_file

    for name, trainer, options in (("a", Last(), {}), ("b", ToySFT(), {"validation": []})):
        built = engine(tmp_path / name, trainer, **options)
        assert built.train().best_step is None
        assert torch.equal(load_file(built.run.model / "table.safetensors")["table"], weights(built)["table"])
        assert not built.run.best.exists()


def test_training_stops_early_when_evaluations_get_no_better(tmp_path):
    built = engine(
        tmp_path / "r", Scripted([5.0, 4.0, 4.5, 4.2, 1.0]), eval_every=2, early_stopping=2, steps=20
    )  # fmt: skip
    outcome = built.train()
    assert (outcome.status, outcome.stopped_early, outcome.step, outcome.best_step) == ("finished", True, 6, 2)
    assert built.run.info["stopped_early"] is True
    again = engine(tmp_path / "r", Scripted([]), eval_every=2, early_stopping=2, steps=20, resume=True)
    assert again.train(resume=True).stopped_early, "a run that stopped early is finished"


@pytest.mark.parametrize(
    ("trainer", "options", "message"),
    [
        (ToySFT, {"early_stopping": 1, "validation": []}, "there is no validation data"),
        (ToyPPO, {"dropout": True}, "ToyPPO compares logprobs of two times"),
        (ToySFT, {"train": []}, "left no row to train on"),
    ],
)
def test_options_that_cannot_be_are_refused_before_anything_is_done(tmp_path, trainer, options, message):
    with pytest.raises(RLHFError, match=message):
        engine(tmp_path / "r", trainer(), **options)


def test_a_best_metric_that_validation_does_not_give_is_named(tmp_path):
    class Wrong(ToySFT):
        best = ("accuracy", "max")

    with pytest.raises(RLHFError, match="no metric 'accuracy'; there are: loss, rows"):
        engine(tmp_path / "r", Wrong()).train()


@pytest.mark.parametrize(("option", "acts"), [(None, True), (True, True), (False, False)])
def test_dropout_acts_where_trainer_and_option_allow_it(tmp_path, option, acts):
    assert engine(tmp_path / "r", ToySFT(), dropout=option).policy.allow_dropout is acts
    assert engine(tmp_path / "s", ToyPPO(), dropout=None).policy.allow_dropout is False


def test_observers_hear_of_everything_in_order(tmp_path):
    heard = []

    class Ear(Observer):
        def started(self, step, steps):
            heard.append(f"start {step}/{steps}")

        def step(self, step, metrics):
            heard.append(f"step {step}")

        def evaluated(self, step, metrics):
            heard.append(f"eval {step}")

        def saved(self, step, folder):
            heard.append(f"save {step}")
            assert (folder / "progress.json").is_file()

        def finished(self, outcome):
            heard.append(outcome.status)

    engine(tmp_path / "r", ToySFT(), steps=2, eval_every=2, save_every=1, observers=[Ear()]).train()
    assert heard == [
        "start 0/2", "eval 0", "step 1", "save 1", "step 2", "eval 2", "save 2", "finished",
    ]  # fmt: skip


def test_only_the_newest_checkpoints_are_kept(tmp_path):
    built = engine(tmp_path / "r", ToySFT(), steps=6, save_every=1, keep_checkpoints=3)
    built.train()
    assert [path.name[-1] for path in built.run.checkpoints.paths()] == ["4", "5", "6"]


# --- what must stop training


class Poisoned(ToySFT):
    def __init__(self, bad_from, value=float("nan"), hide=False):
        self.bad_from, self.value, self.hide, self.count = bad_from, value, hide, 0

    def loss(self, rows, totals):
        loss = super().loss(rows, totals)
        self.count += 1
        if self.count < self.bad_from:
            return loss
        if self.hide:
            return type(loss)(loss.total + (self.policy.table[0, 0] - self.policy.table[0, 0].detach()).sqrt())
        return type(loss)(loss.total * self.value)


def test_a_loss_that_is_not_finite_stops_before_the_weights_move(tmp_path):
    built = engine(tmp_path / "r", Poisoned(4), validation=[], micro_batch_tokens=10_000, save_every=1)
    with pytest.raises(TrainingStopped, match=r"the loss is nan \(rows train:\d+, train:\d+, train:\d+ and 1 more\)"):
        built.train()
    assert built.run.status == "failed"
    assert "the loss is nan" in built.run.info["error"]
    assert all(torch.isfinite(value).all() for value in weights(built).values())
    assert built.run.checkpoints.paths()[-1].name == "step-00000003"
    assert not built.run.model.exists()


def test_a_gradient_that_is_not_finite_stops_training_too(tmp_path):
    built = engine(tmp_path / "r", Poisoned(1, hide=True), validation=[], train=demonstrations(4))
    before = weights(built)
    with pytest.raises(TrainingStopped, match=r"gradient's norm is (inf|nan) while the loss is 2\.\d+"):
        built.train()
    assert torch.equal(weights(built)["table"], before["table"])


def test_a_validation_loss_that_is_not_finite_stops_training(tmp_path):
    with pytest.raises(TrainingStopped, match="the validation loss is nan"):
        engine(tmp_path / "r", Scripted([float("nan")])).train()


def test_a_reward_that_gives_nan_stops_and_writes_nothing_of_the_step(tmp_path):
    class Turning:
        calls = 0

        def score(self, completions):
            self.calls += 1
            return [float("nan") if self.calls == 4 else 0.5] * len(completions)

    built = engine(tmp_path / "r", ToyPPO(), reward=Turning(), validation=[], save_every=1)
    with pytest.raises(TrainingStopped, match=r"reward Turning gave score nan to train:\d+ \('"):
        built.train()
    assert built.run.checkpoints.paths()[-1].name == "step-00000003"
    assert [row["step"] for row in built.run.metrics()] == [1, 2, 3]


def test_a_check_that_fails_at_the_first_step_stops_with_its_meaning(tmp_path):
    class Checked(ToySFT):
        def checks(self):
            return [Check(metric="loss", expected=0.6931, tolerance=1e-3, meaning="the reference is another model")]

    built = engine(tmp_path / "r", Checked())
    before = weights(built)
    with pytest.raises(TrainingStopped, match=r"loss is 2\.\d+, expected 0\.6931 ± 0\.001: the reference is another"):
        built.train()
    assert torch.equal(weights(built)["table"], before["table"])


def test_checks_are_made_at_the_first_step_alone(tmp_path):
    assert engine(tmp_path / "r", ToyPPO()).train().metrics["ratio"] != 1.0


def test_rows_of_an_undeclared_class_are_a_mistake_of_the_trainer(tmp_path):
    class Other(ToySFT):
        def collect(self, rows, *, seed):
            return self.policy.sample(rows, SamplingSpec(max_new_tokens=2), seed=seed)

    with pytest.raises(RuntimeError, match="collect of Other returned a Rollout, but it declares Row = Row"):
        engine(tmp_path / "r", Other(), validation=[]).train()


def test_metrics_are_plain_numbers_in_json(tmp_path):
    built = engine(tmp_path / "r", ToyPPO(), steps=1)
    built.train()
    for line in (built.run.path / "metrics.jsonl").read_text().splitlines():
        row = json.loads(line)
        assert all(isinstance(value, int | float) for name, value in row.items() if name != "split")


def test_the_toy_really_learns(tmp_path):
    built = engine(
        tmp_path / "r", ToyPPO(), policy=BigramPolicy(), train=prompts(64), validation=prompts(64, seed=2, name="v"),
        steps=60, eval_every=60, batch_size=64, learning_rate=0.1, micro_batch_tokens=10_000,
    )  # fmt: skip
    built.train()
    first, last = (row["score"] for row in built.run.metrics() if row["split"] == "validation")
    assert last > first + 0.2, "the share of the letter c, which the reward asks for"


# --- standard errors


def surprise(table, rows):
    """Of each row's completion, added up token by token."""
    logprobs = table.log_softmax(-1)
    return [-sum(float(logprobs[a, b]) for a, b in pairwise((row.prompt[-1], *row.completions[0]))) for row in rows]


def test_a_trainers_averages_are_written_with_their_standard_error_and_nothing_private(tmp_path):
    built = engine(tmp_path / "r", ToySFT(), policy=BigramPolicy(), steps=1, batch_size=4, micro_batch_tokens=1)
    built.train()
    written = {(row["split"], row["step"]): row for row in built.run.metrics()}
    expected = surprise(BigramPolicy().table.detach(), built.validation.rows)
    held_out = written["validation", 0]
    assert held_out["surprise"] == pytest.approx(statistics.fmean(expected), abs=1e-5)
    assert held_out["surprise_se"] == pytest.approx(statistics.stdev(expected) / 6**0.5, abs=1e-5)
    batch = surprise(BigramPolicy().table.detach(), [built.train_rows[index] for index in built.cursor.batch(0)])
    assert written["train", 1]["surprise_se"] == pytest.approx(statistics.stdev(batch) / 4**0.5, abs=1e-5)
    assert not [name for row in written.values() for name in row if name.startswith("_")]


def test_the_error_of_a_mean_over_steps_follows_from_theirs():
    """Means of two independent batches, errors 3 and 4: their mean has √(9 + 16) / 2."""
    means = Means()
    means.add({"x": 1.0, "x_se": 3.0})
    means.add({"x": 2.0, "x_se": 4.0})
    assert means.take() == {"x": 1.5, "x_se": 2.5}

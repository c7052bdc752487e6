"""Detectors on rows made by hand: each fires on its fault, and not on the sound run beside it."""

from __future__ import annotations

import dataclasses
import math
from itertools import pairwise

import pytest
from training_parts import BigramPolicy, ToyPPO, ToySFT, demonstrations, engine

from rlhf_core.contract.health import Alarm
from rlhf_core.store.run import RunFolder
from rlhf_core.training.health.change import change
from rlhf_core.training.health.detectors import DETECTORS
from rlhf_core.training.health.history import Facts, History
from rlhf_core.training.health.text import text_health, words_taught
from rlhf_core.training.health.watch import Watch
from rlhf_core.training.observers import Observer
from rlhf_core.training.options import TrainingOptions

STEPS = 12
FACTS = Facts(
    rows=1000, epochs=1.0, steps=STEPS, held_out=100, shows_answers=True, answers_end=True, max_grad_norm=1.0,
    adam_epsilon=1e-8, max_new_tokens=32,
)  # fmt: skip


def rows(split="train", **series):
    """A row per step; each metric from a list, or by a function of the step. A little noise, the same each time."""
    made = []
    for step in range(1, STEPS + 1):
        wobble = 0.001 * math.sin(9 * step)
        values = {
            name: values[step - 1] if isinstance(values, list) else values(step) + wobble
            for name, values in series.items()
        }
        made.append({"step": step, "split": split, **values})
    return made


def names(given, **facts):
    history = History(given, dataclasses.replace(FACTS, **facts))
    return {name for name, detector in DETECTORS.items() if detector(history)}


def flat(value):
    return lambda _step: value


def line(start, slope):
    return lambda step: start + slope * step


def held_out(**series):
    return rows("validation", **series)


FIRES = {
    "kl-without-reward": (rows(kl_k3=line(0, 1), score=flat(0.5)), rows(kl_k3=line(0, 1), score=line(0, 0.1))),
    "over-optimisation": (
        rows(score=line(0, 1)) + held_out(**{"text/separators": line(0.05, 0.03)}),
        rows(score=line(0, 1)) + held_out(**{"text/separators": flat(0.05)}),
    ),
    "length-drift": (rows(length=line(60, -3), score=line(0, 1)), rows(length=line(60, -0.5), score=line(0, 1))),
    "chosen-falling": (held_out(chosen_logprob_change=line(0, -2)), held_out(chosen_logprob_change=line(0, -0.2))),
    "dead-value": (rows(explained_variance=flat(-0.2)), rows(explained_variance=line(-0.2, 0.08))),
    "clip-idle": (rows(clip_fraction=[0.0] * STEPS), rows(clip_fraction=flat(0.02))),
    "clip-heavy": (rows(clip_fraction=flat(0.7)), rows(clip_fraction=flat(0.3))),
    "no-eos": (rows(finished=[0.0] * STEPS), rows(finished=flat(0.4))),
    "constant-scores": (rows(score=[0.5] * STEPS), rows(score=flat(0.5))),
    "chance-accuracy": (held_out(accuracy=flat(0.52)), held_out(accuracy=flat(0.8))),
    "validation-rising": (
        held_out(loss=[2.0, 1.5, 1.4, *[1.5 + 0.05 * step for step in range(9)]]),
        held_out(loss=line(2.0, -0.05)),
    ),
    "gradients-gone": (rows(grad_norm=[1e-9] * STEPS), rows(grad_norm=[0.001] * STEPS)),
    "gradients-exploding": (
        rows(grad_norm=line(0, 5), loss=line(1, 1)),
        rows(grad_norm=line(0, 5), loss=line(3, -0.2)),
    ),
}


@pytest.mark.parametrize("name", FIRES)
def test_a_detector_fires_on_its_fault_and_not_on_a_sound_run(name):
    fault, sound = FIRES[name]
    assert name in names(fault)
    assert name not in names(sound)


def test_every_detector_is_tried_here():
    assert {*FIRES, "few-data"} == set(DETECTORS)


def test_few_rows_for_many_epochs_are_told_unless_they_are_bare_prompts():
    assert "few-data" in names(rows(loss=flat(1.0)), rows=8, epochs=50)
    assert "few-data" not in names(rows(loss=flat(1.0)), rows=8, epochs=50, shows_answers=False)
    assert "few-data" not in names(rows(loss=flat(1.0)), rows=5000, epochs=3)


def test_gradients_that_are_clipped_to_nothing_are_gone_however_large_they_were():
    assert "gradients-gone" in names(rows(grad_norm=flat(2.0)), max_grad_norm=1e-10)


def test_a_series_of_zeros_is_no_trouble_to_any_detector():
    zeros = [0.0] * STEPS
    metrics = ("loss", "score", "kl_k3", "length", "entropy", "accuracy", "grad_norm", "text/word-length")
    names(rows(**dict.fromkeys(metrics, zeros)) + held_out(**dict.fromkeys(metrics, zeros)))
    assert "validation-rising" not in names(held_out(loss=zeros))


@pytest.mark.parametrize(
    ("explained", "value_loss", "told"),
    [
        ([0.02, -0.02] * 6, flat(0.3), False),  # moves, and may yet find something
        ([0.0] * STEPS, flat(0.3), True),  # says the same of every text, and does not even find the mean
        ([0.0] * STEPS, line(0.3, -0.02), False),  # finds the mean of returns that depend on nothing
        (flat(-0.2), flat(0.3), True),  # worse than no head
        (flat(-0.2), line(0.3, -0.02), True),
        ([*[0.02, -0.02] * 5, -4.0, 0.02], flat(0.3), False),  # one batch of returns that were all alike
    ],
)
def test_a_value_head_is_dead_early_only_if_it_and_its_loss_stand_still_or_it_does_harm(explained, value_loss, told):
    assert ("dead-value" in names(rows(explained_variance=explained, value_loss=value_loss))) == told


def test_a_value_head_that_moves_is_given_forty_rows():
    def after(count):
        given = [{"step": step, "split": "train", "explained_variance": 0.01 * (-1) ** step} for step in range(count)]
        return names(given)

    assert "dead-value" not in after(39)
    assert "dead-value" in after(40)


def test_a_fall_of_the_chosen_is_told_sooner_where_the_held_out_margin_gains_nothing_by_it():
    sinking = {"chosen_logprob_change": line(0, -0.2)}  # to −2.3 over the last four rows
    assert "chosen-falling" in names(held_out(**sinking, rejected_logprob_change=line(0, -0.21)))
    assert "chosen-falling" not in names(held_out(**sinking, rejected_logprob_change=line(0, -0.3)))


def test_a_held_out_loss_that_rises_is_told_while_the_training_loss_falls_and_not_before_anything_is_learnt():
    rising = held_out(loss=[0.7, *[0.7 + 0.02 * step for step in range(1, STEPS)]])
    assert "validation-rising" in names(rising + rows(loss=line(0.7, -0.03)))
    assert "validation-rising" not in names(rising + rows(loss=flat(0.7)))
    assert "validation-rising" not in names(rising + rows(loss=line(0.7, 0.03)))


def test_one_or_two_worse_evaluations_are_no_rise():
    def after(*tail):
        return names(
            [{"step": step, "split": "validation", "loss": loss} for step, loss in enumerate((1.0, 0.5, *tail))]
        )

    assert "validation-rising" not in after(0.6, 0.6)
    assert "validation-rising" in after(0.6, 0.6, 0.6)
    assert "validation-rising" not in after(0.6, 0.51, 0.6)


def test_a_falling_held_out_loss_tells_learning_from_chance_before_the_accuracy_does():
    guessing = {"accuracy": flat(0.55)}
    assert "chance-accuracy" in names(held_out(**guessing, loss=flat(0.69)))
    assert "chance-accuracy" not in names(held_out(**guessing, loss=line(0.69, -0.005)))


def test_running_text_need_not_end():
    assert "no-eos" not in names(held_out(**{"text/finished": [0.0] * STEPS}), answers_end=False)


def test_ending_early_for_a_higher_score_is_told_as_the_shakespeare_runs_did_it():
    found = DETECTORS["length-drift"](History(rows(length=line(62, -2.5), score=line(-0.75, 0.02)), FACTS))
    assert found is not None
    assert "shorter" in found.says
    assert "score rises with it" in found.says
    assert "ending early" in found.cause


def test_a_change_is_weighed_by_the_noise_of_its_rows():
    clear = change(History(rows(score=[0.0, 0.1] * 3 + [1.0, 1.1] * 3), FACTS).series("score", "train"))
    noisy = change(History(rows(score=[0.0, 2.0] * 3 + [1.0, 3.0] * 3), FACTS).series("score", "train"))
    # The same difference; neighbours differ by .1 and by 2: the scatter is .1 and 2 over √(2 · .455), four rows each.
    assert clear.by == pytest.approx(1.0)
    assert noisy.by == pytest.approx(1.0)
    assert clear.error == pytest.approx(0.1 / math.sqrt(0.91) * math.sqrt(1 / 4 + 1 / 4))
    assert noisy.error == pytest.approx(20 * clear.error)
    assert clear.rises()
    assert not noisy.rises()


def test_the_errors_that_rows_state_count_where_they_are_larger_than_the_scatter():
    given = [{**row, "score_se": 0.5} for row in rows(score=line(0, 0.01))]
    assert change(History(given, FACTS).series("score", "train")).error == pytest.approx(0.5 * math.sqrt(1 / 4 + 1 / 4))


def test_text_is_measured_with_its_errors():
    measured = text_health([("a a b c!", True), ("d e f g", False)], known={"a", "b", "c", "d"})
    assert measured["text/immediate-repeats"] == pytest.approx((1 / 3 + 0) / 2)
    assert measured["text/separators"] == pytest.approx((1 / 5 + 0) / 2)
    assert measured["text/unknown-words"] == pytest.approx((0 + 3 / 4) / 2)
    assert measured["text/finished"] == 0.5
    # Two values x and y: the standard error of their mean is |x − y| / 2.
    assert measured["text/separators_se"] == pytest.approx(0.1)
    assert text_health([]) == {}
    assert words_taught([]) == frozenset()


def test_an_alarm_is_raised_once_and_again_when_it_has_become_twice_as_bad():
    watch = Watch(FACTS)
    raised = watch.look_at_all(held_out(chosen_logprob_change=lambda step: -0.2 * 2.0**step))
    assert {alarm.name for alarm in raised} == {"chosen-falling"}
    sizes = [-float(alarm.evidence.split("→ ")[1].split()[0]) for alarm in raised]
    assert len(sizes) >= 2
    assert all(later >= 2 * earlier for earlier, later in pairwise(sizes))
    steady = Watch(FACTS).look_at_all(held_out(chosen_logprob_change=[0.0] * 4 + [-9.0] * 8))
    assert [alarm.name for alarm in steady] == ["chosen-falling"]


def test_an_alarm_that_is_off_is_not_raised_and_a_misspelled_one_is_refused():
    assert Watch(FACTS, off=["clip-idle"]).look_at_all(rows(clip_fraction=[0.0] * STEPS)) == []
    assert [alarm.name for alarm in Watch(FACTS).look_at_all(rows(clip_fraction=[0.0] * STEPS))] == ["clip-idle"]
    with pytest.raises(ValueError, match="no alarm is called 'clip-idel'; did you mean 'clip-idle'"):
        TrainingOptions(alarms={"off": ["clip-idel"]})


class Hearing(Observer):
    def __init__(self):
        self.alarms: list[Alarm] = []

    def alarmed(self, alarm):
        self.alarms.append(alarm)


class Constant:
    def prepare(self, context): ...

    def score(self, completions):
        return [0.5] * len(completions)


class Scored(ToyPPO):
    """The toy, which also says its score."""

    def batch_metrics(self, batch, totals):
        scores = sum(self.context.score(batch).total)
        return {**super().batch_metrics(batch, totals), "score": self.tensor(scores / totals.completions)}

    def tensor(self, value):
        return BigramPolicy().table.new_tensor(value)


def test_a_training_on_a_constant_reward_says_so_and_goes_on(tmp_path):
    hearing = Hearing()
    built = engine(tmp_path / "r", Scored(), reward=Constant(), observers=[hearing], steps=8)
    assert built.train().status == "finished"
    assert "constant-scores" in {alarm.name for alarm in hearing.alarms}
    assert RunFolder.open(tmp_path / "r").alarms() == [alarm.to_json() for alarm in hearing.alarms]
    assert all(Alarm.from_json(row) in hearing.alarms for row in built.run.alarms())


def test_alarms_are_those_of_an_uncut_run_after_a_resume(tmp_path):
    few = demonstrations(3)
    options = {"steps": 20, "batch_size": 3, "learning_rate": 0.5, "save_every": 7}
    whole = engine(tmp_path / "whole", ToySFT(), train=few, **options)
    whole.train()
    expected = whole.run.alarms()
    assert expected[0]["name"] == "few-data"

    class Cut(Observer):
        def step(self, step, metrics):
            if step == 11:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        engine(tmp_path / "cut", ToySFT(), train=few, observers=[Cut()], **options).train()
    engine(tmp_path / "cut", ToySFT(), train=few, resume=True, **options).train(resume=True)
    assert RunFolder.open(tmp_path / "cut").alarms() == expected

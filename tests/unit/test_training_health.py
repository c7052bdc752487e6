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


def test_short_answers_have_less_to_lose():
    sinking = {"chosen_logprob_change": line(0, -0.3), "rejected_logprob_change": line(0, -2)}  # to −3.2
    assert "chosen-falling" not in names(held_out(**sinking))
    assert "chosen-falling" not in names(held_out(**sinking, length=flat(20)))
    assert "chosen-falling" in names(held_out(**sinking, length=flat(7)))


def test_a_value_head_that_forgot_what_it_knew_is_dead():
    forgot = [0.0, 0.4, *[0.005, -0.005] * 5]
    assert "dead-value" in names(rows(explained_variance=forgot, value_loss=line(0.3, -0.02)))
    assert "dead-value" not in names(rows(explained_variance=[0.0, *forgot[2:], 0.0], value_loss=line(0.3, -0.02)))


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

    assert "validation-rising" not in after(0.55, 0.55)
    assert "validation-rising" in after(0.55, 0.55, 0.55)
    assert "validation-rising" not in after(0.55, 0.51, 0.55)


def test_few_evaluations_tell_a_rise_that_is_steep():
    def after(*losses):
        return names([{"step": step, "split": "validation", "loss": loss} for step, loss in enumerate(losses)])

    assert "validation-rising" in after(1.0, 0.5, 0.6, 0.6)
    assert "validation-rising" in after(1.0, 0.5, 0.8)
    assert "validation-rising" not in after(1.0, 0.5, 0.7)
    assert "validation-rising" not in after(0.7, 0.002, 0.008)  # four times next to nothing


def test_a_falling_held_out_loss_tells_learning_from_chance_before_the_accuracy_does():
    guessing = {"accuracy": flat(0.55)}
    assert "chance-accuracy" in names(held_out(**guessing, loss=flat(0.69)))
    assert "chance-accuracy" not in names(held_out(**guessing, loss=line(0.69, -0.005)))


def test_a_held_out_loss_that_falls_by_next_to_nothing_is_not_learning():
    assert "chance-accuracy" in names(
        held_out(accuracy=flat(0.55), loss=[0.693 - 1e-4 * step for step in range(STEPS)])
    )


def test_learning_may_come_late():
    late = held_out(accuracy=[0.5] * 11 + [1.0])
    assert "chance-accuracy" not in names(late[:10])
    assert "chance-accuracy" not in names(late)
    assert "chance-accuracy" in names(late[:11])


def test_a_held_out_loss_that_rises_while_the_accuracy_holds_is_told_when_it_is_steep():
    def after(loss, accuracy):
        return names(held_out(loss=[0.7, 0.5, *[loss] * 10], accuracy=[0.5, 0.75, *[accuracy] * 10]))

    assert "validation-rising" in after(0.55, 0.65)
    assert "validation-rising" not in after(0.55, 0.72)  # of 100 rows: a standard error of .043
    assert "validation-rising" not in after(0.55, 0.76)
    assert "validation-rising" in after(0.65, 0.76)


def test_a_rise_is_one_of_learning_by_heart_only_if_the_training_loss_has_fallen_enough_for_it():
    rising = held_out(loss=[0.7, *[0.7 + 0.02 * step for step in range(1, STEPS)]])
    assert "validation-rising" not in names(rising + rows(loss=line(0.7, -0.003)))


@pytest.mark.parametrize(
    ("loss", "norms", "told"),
    [
        ([0.7] * 6 + [1.6] + [0.7] * 5, [0.4] * 6 + [13.0] + [0.4] * 5, True),  # one batch, then chance again
        ([0.7] * 6 + [1.6] + [0.7] * 5, [0.4] * 6 + [1.3] + [0.4] * 5, False),  # a hard batch
        ([0.7] * 6 + [0.5] + [0.2] * 5, [0.4] * 6 + [13.0] + [0.4] * 5, False),  # steep learning
        ([0.01] * 6 + [0.08] * 6, [0.1] * 6 + [2.0] * 6, False),  # a loss near zero
    ],
)
def test_a_single_batch_tells_an_explosion_if_norm_and_loss_leap(loss, norms, told):
    watch = Watch(FACTS)
    alarms = watch.look_at_all(rows(loss=loss, grad_norm=norms))
    assert ("gradients-exploding" in {alarm.name for alarm in alarms}) == told


def test_gradients_explode_where_the_untouched_model_was_better_and_nothing_is_learnt_by_heart():
    torn = {"grad_norm": [0.4, *[2.0] * 11]}
    worse = [{"step": 0, "split": "validation", "loss": 0.69}, {"step": 12, "split": "validation", "loss": 0.9}]
    assert "gradients-exploding" in names(rows(loss=[0.69, *[0.75] * 11], **torn) + worse)
    assert "gradients-exploding" not in names(rows(loss=line(0.7, -0.05), **torn) + worse)
    assert "gradients-exploding" not in names(rows(loss=flat(0.75), grad_norm=[0.4] * 12) + worse)


def test_gradients_explode_where_a_loss_of_comparisons_falls_over_text_that_is_none_any_more():
    falling = rows(loss=line(0.7, -0.06), grad_norm=[0.4, *[2.5] * 11])
    assert "gradients-exploding" in names(falling + held_out(kl_exact=flat(170.0), length=flat(31.0)))
    assert "gradients-exploding" not in names(falling + held_out(kl_exact=flat(17.0), length=flat(31.0)))


def test_a_policy_that_one_batch_destroys_is_told_and_a_value_loss_that_grows_with_the_scores_is_not():
    grown = {"grad_norm": line(1, 5), "loss": line(0.3, 2), "policy_loss": flat(0.01)}
    assert "gradients-exploding" not in names(rows(**grown))
    assert "gradients-exploding" in names(rows(**grown, step_kl=[8.6, *[0.01] * 11])[:3])


@pytest.mark.parametrize(
    ("fraction", "step_kl", "told"),
    [(0.0, 1e-9, True), (0.0, 1e-4, False), (0.001, 4e-3, True), (0.0015, 3e-4, False), (0.004, 3e-4, False)],
)
def test_clipping_is_idle_if_the_policy_stands_or_moves_unclipped_and_not_if_it_moves_gently(fraction, step_kl, told):
    assert ("clip-idle" in names(rows(clip_fraction=[fraction] * STEPS, step_kl=[step_kl] * STEPS))) == told


def test_a_score_that_has_risen_to_its_best_is_no_constant_one():
    assert "constant-scores" not in names(rows(score=[0.2, 0.5, 0.8, 0.9, *[1.0] * 8]))
    assert "constant-scores" in names(rows(score=[0.2, 0.5, 0.8, 0.9, *[0.0] * 8]))


def test_a_score_that_the_prompt_alone_decides_is_the_same_at_each_evaluation_of_new_answers():
    fixed = [{**row, "score_se": 0.1} for row in held_out(score=[0.4] * STEPS, length=line(20, 0.1))]
    assert "constant-scores" in names(fixed)
    assert "constant-scores" not in names([{**row, "length": 20.0} for row in fixed])  # the same answers each time
    assert "constant-scores" not in names([{**row, "score": 0.4 + 0.001 * row["step"]} for row in fixed])


def test_answers_that_come_to_the_length_limit_drift_though_they_cannot_become_much_longer():
    longer = {"length": line(26, 0.5), "score": line(0, 1)}  # to 31 of 32, by 18 %
    assert "length-drift" in names(rows(**longer, finished=line(0.9, -0.07)))
    assert "length-drift" not in names(rows(**longer, finished=flat(0.9)))
    assert "length-drift" not in names(rows(**longer, finished=line(0.9, -0.07)), max_new_tokens=64)


def test_text_that_the_reference_would_not_write_is_over_optimised_and_a_narrower_choice_of_its_own_is_not():
    risen = {"score": line(0, 1), "length": flat(20.0)}
    # Nats per token: entropy 1.0 at first; KL per completion over 20 tokens.
    strange = rows(**risen, entropy=line(1.0, -0.01), kl_exact=line(0, 2))
    narrow = rows(**risen, entropy=line(1.0, -0.03), kl_exact=line(0, 0.7))
    assert "over-optimisation" in names(strange)
    assert "over-optimisation" not in names(narrow)


def test_the_exact_kl_counts_before_the_estimate_of_heavy_tail():
    given = {"score": flat(0.5), "kl_exact": flat(1.0)}
    assert "kl-without-reward" not in names(rows(**given, kl_k3=line(0, 1)))


def test_a_handful_of_rows_is_learnt_by_heart_in_a_few_epochs():
    assert "few-data" in names(rows(loss=flat(1.0)), rows=24, epochs=9)
    assert "few-data" not in names(rows(loss=flat(1.0)), rows=24, epochs=3)
    assert "few-data" not in names(rows(loss=flat(1.0)), rows=100, epochs=9)


def test_what_no_head_can_explain_is_no_fault_of_it():
    harm = {"explained_variance": flat(-0.5)}
    assert "dead-value" in names(rows(**harm, value_loss=flat(0.3)))
    assert "dead-value" not in names(rows(**harm, value_loss=[0.3, 0.1, *[0.01] * 10]))


def test_causes_are_told_before_what_they_lead_to():
    both = rows(score=line(0, 1), length=line(10, 2), entropy=line(1, 0.2), loss=flat(1.0))
    raised = [alarm.name for alarm in Watch(dataclasses.replace(FACTS, rows=8, epochs=50)).look_at_all(both)]
    assert raised == ["few-data", "over-optimisation", "length-drift"]


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

"""The held half before this one: planted faults and healthy runs, read once, on 2026-11-25.

It is spent, and part of the set half since.

Written and committed when the first thirty-two of each had been read, before any of these was trained and before the
detectors were touched again; by somebody who had seen the detectors as they stood. Languages, sizes, seeds and rewards
are others than those of ``set_cases.py``, and so is the way that ten of the faults come about; the other six (clipping,
a constant score, few rows twice, unclipped gradients) are old ways in another language or stage.
"""

from __future__ import annotations

from case import FREE, UNCLIPPED, Case, fault, few, healthy

STEADY = {"training.steps": 24, "training.batch_size": 24, "training.eval_every": 6}
"""A PPO of other proportions than the recipe's."""

FAULTS: tuple[Case, ...] = (
    # A broken scorer and a bonus for randomness: the policy wanders off, and no text is better than another.
    fault("kl-without-reward", "tossed", "notices", "ppo", reward="tossed", rate=3, seed=20,
          options={**FREE, "trainer.entropy_coef": 0.05}),
    fault("over-optimisation", "marks", "tales", "ppo", reward="marks", rate=2, seed=21, options={**FREE, **STEADY}),
    fault("over-optimisation", "said-again", "notices", "ppo", reward="said_again", rate=2, seed=22, options=FREE),
    fault("length-drift", "shorter", "tales", "ppo", reward="shorter", rate=2, seed=23, options=FREE),
    fault("length-drift", "vocabulary", "notices", "ppo", reward="vocabulary", rate=2, seed=24,
          options={**STEADY, "trainer.kl_coef": 0.01}),
    # A beta and a rate from two different papers.
    fault("chosen-falling", "hasty", "tales", "dpo", rate=12, seed=25,
          options={"trainer.beta": 0.01, "training.steps": 30}),
    # A value head whose rate was given in the wrong unit.
    fault("dead-value", "no-rate", "tales", "ppo", reward="praise", seed=26,
          options={**STEADY, "training.learning_rates.value": 1e-8}),
    fault("clip-idle", "no-rate", "jokes", "ppo", reward="about_it", rate=1e-3, seed=27),
    fault("clip-heavy", "narrow", "notices", "ppo", reward="cheap", rate=4, seed=28,
          options={"trainer.clip_range": 0.002, "trainer.inner_epochs": 4}),
    # The limit is shorter than any answer.
    fault("no-eos", "short-limit", "tales", "ppo", reward="praise", seed=29, options={"sampling.max_new_tokens": 6}),
    fault("constant-scores", "saturated", "notices", "ppo", reward="saturated", seed=30),
    fault("chance-accuracy", "relabelled", "tales", "classes", data="relabelled", held_too=True, seed=31),
    fault("validation-rising", "few-fast", "notices", "sft", rate=10, seed=32, options=few(24, 9)),
    # A typing error in beta: so small that no gradient is left.
    fault("gradients-gone", "beta", "notices", "dpo", seed=33, options={"trainer.beta": 1e-8}),
    fault("gradients-exploding", "unclipped", "tales", "reward", rate=200, seed=34, options=UNCLIPPED,
          stop="lower training.learning_rate"),
    fault("few-data", "ten", "tales", "dpo", rate=0.5, seed=35, options=few(10, 40)),
)  # fmt: skip

HEALTHY: tuple[Case, ...] = (
    healthy("sft", "notices", 40),
    healthy("sft", "tales", 41, options={"training.batch_size": 24, "training.steps": 36}),
    healthy("sft", "jokes", 42),
    healthy("base", "notices", 43, options={"training.steps": 80}),
    healthy("base", "tales", 44, options={"training.steps": 100}),
    healthy("reward", "notices", 45),
    healthy("reward", "tales", 46),
    healthy("classes", "notices", 47),
    healthy("dpo", "notices", 48),
    healthy("dpo", "tales", 49, variant="stiff", options={"trainer.beta": 0.25, "training.steps": 25}),
    healthy("dpo", "jokes", 50),
    healthy("ppo", "notices", 51, reward="praise", options=STEADY),
    healthy("ppo", "tales", 52, reward="praise"),
    healthy("ppo", "notices", 53, reward="cheap"),
    healthy("ppo", "tales", 54, reward="good_deeds", options={**STEADY, "trainer.kl_coef": 0.15}),
    healthy("ppo", "notices", 55, reward="about_it", options={"trainer.kl_target": 2.5, "trainer.kl_horizon": 300}),
)

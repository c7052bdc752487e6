"""The cases by which thresholds are set: planted faults, each with the alarm that must be raised, and healthy runs.

Written before any detector. A case changes the sensible settings of ``recipe.yaml`` in the way a user would get them
wrong. Neighbours are variants of one fault. Of each two the second was once held; it has been read, and is spent.
"""

from __future__ import annotations

from case import FREE, UNCLIPPED, Case, fault, few, healthy

FAULTS: tuple[Case, ...] = (
    # The policy moves away and nothing is gained: a reward of noise, a bonus for randomness, a rate that only destroys.
    fault("kl-without-reward", "noise", "errands", "ppo", reward="noise", rate=4, options=FREE),
    fault("kl-without-reward", "noise", "letters", "ppo", reward="noise", rate=6, options=FREE, seed=1),
    # Rewards that bad text pleases, with no pull to the reference.
    fault("over-optimisation", "commas", "letters", "ppo", reward="commas", options=FREE),
    fault("over-optimisation", "commas", "errands", "ppo", reward="commas", options=FREE, seed=1),
    fault("over-optimisation", "repeated", "errands", "ppo", reward="repeated", options=FREE),
    fault("over-optimisation", "repeated", "letters", "ppo", reward="repeated", options=FREE, seed=2),
    # What the reward is really about is how soon, or how late, an answer ends.
    fault("length-drift", "longer", "letters", "ppo", reward="longer", options=FREE, rate=2),
    fault("length-drift", "longer", "errands", "ppo", reward="longer", options=FREE, seed=1),
    fault("length-drift", "share-of-tone", "letters", "ppo", reward="pleasant_share", options=FREE, rate=2),
    fault("length-drift", "words-cost", "errands", "ppo", reward="sadness", options={"trainer.kl_coef": 0.02}),
    # DPO that parts the pair by sinking both sides.
    fault("chosen-falling", "alike", "letters", "dpo", rate=8, data="alike", options={"trainer.beta": 0.02}),
    fault("chosen-falling", "alike", "errands", "dpo", rate=6, data="alike", options={"trainer.beta": 0.05}),
    # A value head that learns nothing, or not what it should.
    fault("dead-value", "no-loss", "errands", "ppo", options={"trainer.value_coef": 0.0}),
    fault(
        "dead-value", "no-loss", "letters", "ppo", options={"trainer.value_coef": 0.0, "trainer.value_model": "shared"}
    ),
    # Ratios that never, or nearly always, leave the clip range.
    fault("clip-idle", "no-rate", "errands", "ppo", rate=1e-4),
    fault("clip-idle", "wide", "letters", "ppo", options={"trainer.clip_range": 0.99}),
    fault("clip-heavy", "narrow", "letters", "ppo", options={"trainer.clip_range": 0.0005}),
    fault("clip-heavy", "narrow", "errands", "ppo", options={"trainer.clip_range": 0.001}, rate=2),
    # Nothing ever ends.
    fault("no-eos", "run-on", "errands", "sft", data="run-on", rate=4, options={"data.max_completion_tokens": 24}),
    fault("no-eos", "run-on", "letters", "sft", data="run-on", rate=4, options={"data.max_completion_tokens": 30}),
    # Every text gets the same score.
    fault("constant-scores", "constant", "errands", "ppo", reward="constant"),
    fault("constant-scores", "never-met", "letters", "ppo", reward="never_met"),
    # A reward model that cannot tell.
    fault("chance-accuracy", "swapped", "errands", "reward", data="swapped", held_too=True),
    fault("chance-accuracy", "swapped", "letters", "reward", data="swapped"),
    # Held-out loss that rises while training goes on.
    fault("validation-rising", "few-fast", "errands", "sft", rate=6, options=few(16, 40)),
    fault("validation-rising", "few-fast", "letters", "sft", rate=6, options=few(12, 40)),
    # Nothing is left of the gradients, or far too much.
    fault("gradients-gone", "clipped-away", "errands", "sft", options={"training.max_grad_norm": 1e-10}),
    fault("gradients-gone", "clipped-away", "letters", "dpo", options={"training.max_grad_norm": 1e-10}),
    fault("gradients-exploding", "unclipped", "letters", "sft", rate=200, options=UNCLIPPED),
    fault("gradients-exploding", "unclipped", "errands", "dpo", rate=300, options=UNCLIPPED),
    # So little data that it is learnt by heart.
    fault("few-data", "eight", "errands", "sft", rate=0.5, options=few(8, 50)),
    fault("few-data", "eight", "letters", "reward", rate=0.5, options=few(8, 50)),
)


HEALTHY: tuple[Case, ...] = (
    healthy("sft", "errands", 0),
    healthy("sft", "errands", 1),
    healthy("sft", "letters", 0),
    healthy("sft", "letters", 1),
    healthy("sft", "puns", 0),
    healthy("sft", "puns", 1),
    healthy("base", "errands", 0, options={"training.steps": 60}),
    healthy("base", "letters", 0, options={"training.steps": 60}),
    healthy("reward", "errands", 0),
    healthy("reward", "errands", 1),
    healthy("reward", "letters", 0),
    healthy("reward", "letters", 1),
    healthy("classes", "errands", 0),
    healthy("classes", "letters", 0),
    healthy("dpo", "errands", 0),
    healthy("dpo", "errands", 1),
    healthy("dpo", "letters", 0),
    healthy("dpo", "letters", 1),
    healthy("dpo", "puns", 0),
    healthy("dpo", "puns", 1),
    healthy("dpo", "errands", 5, variant="stiff", options={"trainer.beta": 0.3}),
    healthy("dpo", "letters", 5, variant="stiff", options={"trainer.beta": 0.3}),
    healthy("ppo", "errands", 0, reward="pleasant"),
    healthy("ppo", "errands", 1, reward="pleasant"),
    healthy("ppo", "letters", 0, reward="pleasant"),
    healthy("ppo", "letters", 1, reward="pleasant"),
    healthy("ppo", "errands", 2, reward="on_topic"),
    healthy("ppo", "letters", 2, reward="on_topic"),
    healthy("ppo", "letters", 3, reward="in_the_barn", options={"trainer.kl_coef": 0.2}),
    healthy("ppo", "errands", 3, reward="in_the_barn", options={"trainer.kl_coef": 0.2}),
    healthy("ppo", "errands", 4, variant="target", options={"trainer.kl_target": 2.0, "trainer.kl_horizon": 200}),
    healthy("ppo", "letters", 4, variant="target", options={"trainer.kl_target": 2.0, "trainer.kl_horizon": 200}),
)

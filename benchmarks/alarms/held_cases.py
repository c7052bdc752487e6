"""The held half: thirty planted faults and thirty healthy runs, in languages that no detector has been tried on.

Written on 2026-11-26 while somebody else changed the detectors, neither seeing the other's work: without sight of the
detectors, or of what they said of any run. Each case was trained and looked at by its metrics and samples alone: a
fault that did not come about was mended or replaced, and so was a healthy run that one could argue about. Languages,
sizes, seeds and rewards are others than in the set half, and so are most causes.
"""

from __future__ import annotations

from case import FREE, UNCLIPPED, Case, fault, few, healthy

# PPO of other proportions than the recipe's.
BRISK = {"training.steps": 20, "training.batch_size": 24, "training.eval_every": 4}
EAGER = {"trainer.inner_epochs": 3, "training.learning_rates.value": 4e-3}
SLOW = {"training.steps": 24, "training.batch_size": 16, "training.eval_every": 6}

FAULTS: tuple[Case, ...] = (
    # A bonus for randomness from another field.
    fault("kl-without-reward", "entropy-bonus", "reviews", "ppo", reward="tone", seed=101,
          options={**FREE, "trainer.entropy_coef": 0.5}),
    # The reward has its arguments the wrong way round, so nothing that is written matters.
    fault("kl-without-reward", "arguments", "forecasts", "ppo", reward="of_the_prompt", rate=4, seed=102, options=FREE),
    # Of each sign of over-optimisation one: separators, repetition, words that are none, one answer for all.
    fault("over-optimisation", "courses", "menus", "ppo", reward="courses", rate=2, seed=103, options=FREE),
    fault("over-optimisation", "mentions", "forecasts", "ppo", reward="mentions", rate=3, seed=104,
          options={**FREE, "training.steps": 32}),
    fault("over-optimisation", "grade", "menus", "ppo", reward="grade", rate=3, seed=105,
          options={**FREE, "training.steps": 24}),
    fault("over-optimisation", "one-answer", "reviews", "ppo", reward="one_model_answer", rate=3, seed=106,
          options={**FREE, "training.steps": 30}),
    # A discount from the control literature: what ends soon is discounted least.
    fault("length-drift", "discount", "reviews", "ppo", reward="stars", rate=2, seed=107,
          options={**FREE, "trainer.gamma": 0.9}),
    # Raters who like what is long.
    fault("length-drift", "rated-by-length", "forecasts", "dpo", data="longer", held_too=True, rate=3, seed=108,
          options={"sampling.max_new_tokens": 56}),
    fault("chosen-falling", "mistyped", "ways", "dpo", data="mistyped", held_too=True, rate=6, seed=109,
          options={"trainer.beta": 0.05}),
    fault("chosen-falling", "hasty", "quips", "dpo", rate=15, seed=110, options={"trainer.beta": 0.02}),
    # A score in points, which the clipped value loss cannot reach; a value head that overshoots.
    fault("dead-value", "in-points", "menus", "ppo", reward="in_points", seed=111, options=BRISK),
    fault("dead-value", "rate", "forecasts", "ppo", reward="tone", seed=112,
          options={"training.learning_rates.value": 0.5}),
    # The policy's own rate from a recipe for a large model; adapters whose scale is next to nothing.
    fault("clip-idle", "policy-rate", "reviews", "ppo", reward="tone", seed=113,
          options={"training.learning_rates.policy": 1e-6}),
    fault("clip-idle", "alpha", "quips", "ppo", reward="about_it", seed=114,
          options={"model.lora": {"r": 8, "alpha": 0.01}}),
    # Many passes over each batch at a high rate; a range divided by a hundred too often.
    fault("clip-heavy", "passes", "forecasts", "ppo", reward="tone", rate=6, seed=115,
          options={"trainer.inner_epochs": 8, "trainer.clip_range": 0.005, "training.steps": 12}),
    fault("clip-heavy", "range", "menus", "ppo", reward="fish_and_leeks", rate=2, seed=116,
          options={"trainer.clip_range": 1e-4, "trainer.inner_epochs": 3}),
    # Conversations that nobody split; a base that has never seen an end.
    fault("no-eos", "transcripts", "forecasts", "sft", data="transcripts", held_too=True, rate=4, seed=117),
    fault("no-eos", "base", "endless", "ppo", reward="tone", seed=118),
    # A column that is not there; an error taken for a 0.
    fault("constant-scores", "column", "ways", "ppo", reward="no_such_column", seed=119),
    fault("constant-scores", "swallowed", "reviews", "ppo", reward="swallowed", seed=120, options=BRISK),
    # Raters who had nothing to choose by; what is rated stands behind the limit.
    fault("chance-accuracy", "undecided", "menus", "reward", data="undecided", held_too=True, seed=121),
    fault("chance-accuracy", "cut", "ways", "reward", seed=122, options={"data.max_completion_tokens": 12}),
    # An export that was appended to itself; the wrong column.
    fault("validation-rising", "copied", "reviews", "sft", data="copied", rate=4, seed=123,
          options={"training.steps": 90}),
    fault("validation-rising", "column", "menus", "sft", rate=2, seed=124,
          options={"data.sources.0.map": {"completion": "prompt"}}),
    # Adapters scaled to nothing; margins of the wrong sign and unit.
    fault("gradients-gone", "alpha", "quips", "sft", seed=125, options={"model.lora": {"r": 16, "alpha": 1e-10}}),
    fault("gradients-gone", "margin", "reviews", "reward", data="marked-down", seed=126,
          options={"trainer.centering": 0.0}),
    fault("gradients-exploding", "unclipped", "ways", "base", rate=100, seed=127,
          options={**UNCLIPPED, "training.steps": 60, "training.warmup": 0.0}),
    fault("gradients-exploding", "betas", "ways", "sft", rate=500, seed=128,
          options={**UNCLIPPED, "training.adam_betas": [0.9, 0.5], "training.schedule": "constant"}),
    fault("few-data", "thirty", "menus", "base", rate=0.5, seed=129, options=few(30, 40)),
    fault("few-data", "sixteen", "forecasts", "classes", rate=0.5, seed=130, options=few(16, 50)),
)  # fmt: skip

HEALTHY: tuple[Case, ...] = (
    healthy("sft", "forecasts", 201),
    healthy("sft", "reviews", 202, options={"training.batch_size": 32, "training.steps": 40}),
    healthy("sft", "ways", 203, variant="noisy", options={"training.batch_size": 4, "training.steps": 60}),
    healthy("sft", "quips", 204, options={"training.schedule": "cosine"}),
    healthy("sft", "menus", 205, variant="epochs", options={"training.steps": None, "training.epochs": 3}),
    healthy("base", "forecasts", 206, options={"training.steps": 120}),
    healthy("base", "reviews", 207, variant="blocks", options={"training.steps": 70, "data.text_rows": "blocks"}),
    healthy("base", "ways", 208, variant="decay", options={"training.steps": 90, "training.weight_decay": 0.1}),
    healthy("reward", "forecasts", 209),
    healthy("reward", "reviews", 210, variant="noisy", data="noisy", options={"training.steps": 50}),
    healthy("reward", "menus", 211, variant="slow", rate=0.3, options={"training.batch_size": 32}),
    healthy("reward", "ways", 212, variant="free", options={"trainer.centering": 0.0, "training.batch_size": 8}),
    healthy("classes", "ways", 213),
    healthy("classes", "menus", 214, options={"training.batch_size": 8, "training.steps": 120}),
    healthy("dpo", "forecasts", 215),
    healthy("dpo", "ways", 216, variant="ipo", rate=0.5, options={"trainer.loss": "ipo", "trainer.beta": 0.3}),
    healthy("dpo", "menus", 217, variant="robust", data="noisy", rate=0.5,
            options={"trainer.loss": "robust", "trainer.label_smoothing": 0.1, "training.steps": 30}),
    healthy("dpo", "reviews", 218, variant="per-token", rate=0.4,
            options={"trainer.length_normalised": True, "trainer.beta": 2.0, "training.steps": 24}),
    healthy("dpo", "quips", 219, variant="stiff", options={"trainer.beta": 0.4}),
    healthy("dpo", "reviews", 220, variant="hinge", rate=0.5,
            options={"trainer.loss": "hinge", "training.batch_size": 8}),
    healthy("ppo", "forecasts", 221, reward="tone"),
    healthy("ppo", "reviews", 222, reward="fool_and_dance", options={**EAGER, "trainer.kl_coef": 0.05}),
    healthy("ppo", "ways", 223, reward="left_turns", options=BRISK),
    healthy("ppo", "menus", 224, reward="fish_and_leeks", options={**EAGER, "training.steps": 20}),
    healthy("ppo", "forecasts", 225, variant="loose", reward="evening",
            options={"trainer.kl_coef": 0.02, "training.steps": 24}),
    healthy("ppo", "forecasts", 226, variant="penalty", reward="tone",
            options={**BRISK, "trainer.missing_eos_penalty": 1.0, "trainer.entropy_coef": 0.005}),
    healthy("ppo", "reviews", 227, variant="slow", reward="fool_and_dance", rate=0.6, options={**EAGER, **SLOW}),
    healthy("ppo", "menus", 228, variant="k3", reward="fish_and_leeks",
            options={**EAGER, "trainer.kl_estimator": "k3", "trainer.score_normalisation": "scale"}),
    healthy("ppo", "forecasts", 229, variant="target", reward="evening",
            options={"trainer.kl_target": 3.0, "trainer.kl_horizon": 400}),
    healthy("ppo", "ways", 230, variant="gentle", reward="left_turns",
            options={"trainer.kl_coef": 0.3, "trainer.clip_range": 0.1, "training.steps": 20}),
)  # fmt: skip

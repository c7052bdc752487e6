"""What people ask of a PPO run, for its report."""

from __future__ import annotations

from collections.abc import Mapping

from .options import PPOOptions


def readings(options: PPOOptions) -> Mapping[str, str]:
    adaptive = "" if options.kl_target is None else f" It moves by itself to hold the KL at {options.kl_target:g} nats."
    return {
        "How should this loss move?": (
            "It need not fall. The policy loss is minus the advantage weighted by the ratio to the rollouts' own "
            "policy. Advantages have mean zero in each batch, so it begins near zero every time; no value of it "
            "means done, and nothing but clipping bounds it below. What should rise is the score; the value loss "
            "should fall, explained variance rise, and the clip fraction lie between 0 and about a third."
        ),
        "Which kl_coef?": (
            f"This run begins with {options.kl_coef:g}.{adaptive} It is how many units of score a nat of KL costs, "
            "so it depends on the scale of the reward. Score up with entropy falling or texts alike: raise it. KL "
            "near zero and the score still: lower it. Compare runs (rlhf report A B) at equal KL, not at equal "
            "steps."
        ),
    }

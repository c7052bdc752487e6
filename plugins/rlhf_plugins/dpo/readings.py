"""What people ask of a DPO run, for its report."""

from __future__ import annotations

from collections.abc import Mapping

from .options import DPOOptions

MOVES = {
    "sigmoid": (
        "It starts at ln 2 = 0.693, where the policy is the reference, and falls as chosen pulls ahead of "
        "rejected. It has no floor above 0 to settle at: a wider margin always lowers it, also when the "
        "likelihood of both answers sinks. Held out, where it turns up again the policy learns the pairs by "
        "heart."
    ),
    "ipo": (
        "It starts at 1 / (4 beta²) and has a floor: 0, where every margin is 1 / (2 beta). It does not pay "
        "to go beyond."
    ),
    "hinge": (
        "It starts at 1 and stops at 0 for each pair whose margin has reached 1 / beta; beyond that nothing pulls."
    ),
    "robust": (
        "It is unbiased under swapped labels, and therefore not bounded below: for a wide margin it goes below zero."
    ),
}
SMOOTHED = (
    "With label smoothing it starts at ln 2 and has a lowest point at a finite margin, above 0: a margin "
    "beyond that costs."
)


def readings(options: DPOOptions) -> Mapping[str, str]:
    smoothed = options.loss == "sigmoid" and options.label_smoothing > 0
    moves = SMOOTHED if smoothed else MOVES[options.loss]
    return {
        "How should this loss move?": (
            f"{moves} Watch chosen_logprob_change: where it falls, the policy forgets the chosen answers too, only "
            "more slowly than the rejected ones."
        ),
        "Which beta?": (
            f"This run has {options.beta:g}. The reward of an answer is beta times how many nats more likely it "
            "became, so a smaller beta lets the policy go further for the same loss. KL grows and the texts get "
            "worse: raise it. The accuracy is high, KL stays near zero and the texts do not change: lower it. "
            "Compare runs (rlhf report A B) at equal KL."
        ),
    }

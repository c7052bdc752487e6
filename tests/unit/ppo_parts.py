"""A PPO trainer that is ready to collect, for the tests of PPO."""

from __future__ import annotations

from policy_parts import stir
from trainer_parts import ByText, context_of, new_policy

from rlhf_core.contract.rows import Row
from rlhf_plugins.naive_ppo.options import PPOOptions
from rlhf_plugins.naive_ppo.trainer import PPO

PROMPTS = [
    Row(record_id="a", prompt=(5, 6, 7)),
    Row(record_id="b", prompt=(20,)),
    Row(record_id="c", prompt=(30, 31, 32, 33, 34)),
    Row(record_id="d", prompt=(40, 41)),
]


def new_trainer(policy=None, *, moved=0.05, reward=None, n=1, temperature=1.0, length=8, **options):
    """Ready to collect; policy, value head and value adapter away from their start, unlike the reference."""
    policy = policy or new_policy()
    trainer = PPO(PPOOptions(**options))
    context = context_of(
        policy, PROMPTS, reward=reward or ByText(), n=n, temperature=temperature, max_new_tokens=length
    )
    trainer.groups = trainer.prepare(context)
    policy.score([Row(record_id="r", prompt=(5,), completions=((6,),))], "reference")
    if moved:
        stir(policy, moved)
    return trainer

"""The reward model: its losses against scalar computations, its last token, and its use as a reward source."""

from __future__ import annotations

import math

import pytest
import torch
from policy_parts import CPU, EOS, LORA, stir, tiny_gpt2, tiny_tokenizer
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from trainer_parts import assert_same, context_of, gradients, llama_policy, new_policy, train
from transformers import PreTrainedTokenizerFast

from rlhf_core.contract.backbone import Trunk
from rlhf_core.contract.errors import RLHFError
from rlhf_core.contract.identity import identify
from rlhf_core.contract.judge import JudgeContext, Pair
from rlhf_core.contract.records import Labelled, Message, Preference
from rlhf_core.contract.reward import Completion, RewardContext
from rlhf_core.contract.rows import LabelledRow, PairRow, Row
from rlhf_core.data.codec import TextCodec
from rlhf_core.data.options import TemplateOptions
from rlhf_core.evaluation.judging import judge_evaluator
from rlhf_core.policy.loading import load_policy
from rlhf_core.policy.policy import TrunkPolicy
from rlhf_core.training.batching import count
from rlhf_plugins.reward_model.judge import RewardModelJudge
from rlhf_plugins.reward_model.options import RewardModelJudgeOptions, RewardModelOptions, RewardModelScoreOptions
from rlhf_plugins.reward_model.source import RewardModelScore
from rlhf_plugins.reward_model.trainer import RewardModel

TEMPLATE = TemplateOptions(prompt="w3 {prompt} w4", completion=" {completion}")
PAIRS = [
    PairRow(record_id="a", prompt=(5, 6, 7), completions=((10, 11, EOS), (12, 13, 14, 15, EOS)), margin=0.5),
    PairRow(record_id="b", prompt=(20,), completions=((21, EOS), (22, 23))),
    PairRow(record_id="c", prompt=(30, 31), completions=((32, 33, 34, EOS), (EOS,)), margin=1.5),
]
TEXTS = [
    LabelledRow(record_id="x", prompt=(EOS,), completions=((10, 11, EOS),), label=0),
    LabelledRow(record_id="y", prompt=(EOS,), completions=((12, EOS),), label=1),
    LabelledRow(record_id="z", prompt=(EOS,), completions=((13, 14, 15, 16, EOS),), label=1),
]


def new_trainer(policy, labels=(), **options):
    trainer = RewardModel(RewardModelOptions(**options))
    groups = trainer.prepare(context_of(policy, labels=labels))
    trainer.head = groups["head"]
    stir(policy, 0.05)
    return trainer


def plain_rewards(trainer, rows):
    """Per completion: the head on the hidden state of the last token, from a plain forward pass without padding."""
    weight, bias = trainer.head
    found = []
    with trainer.policy.roles.acting("reward") as model, torch.no_grad():
        for row in rows:
            for completion in row.completions:
                ids = torch.tensor([row.prompt + completion])
                hidden = model(input_ids=ids, output_hidden_states=True).hidden_states[-1][0, -1]
                found.append(float(hidden @ weight[0] + bias[0]))
    return found


@pytest.mark.parametrize("make", [new_policy, lambda: new_policy(None), llama_policy])
def test_pair_loss_equals_a_scalar_computation_on_the_last_real_token(make):
    trainer = new_trainer(make(), centering=0.02)
    rewards = plain_rewards(trainer, PAIRS)
    expected = accuracy = 0.0
    for row, chosen, rejected in zip(PAIRS, rewards[::2], rewards[1::2], strict=True):
        expected += math.log(1 + math.exp(-(chosen - rejected - row.margin))) + 0.02 * (chosen + rejected) ** 2
        accuracy += chosen > rejected
    loss = trainer.loss(PAIRS, count(PAIRS))
    assert loss.total.item() == pytest.approx(expected / 3, abs=1e-5)
    assert loss.metrics["accuracy"].item() == pytest.approx(accuracy / 3)
    assert loss.metrics["mean_reward"].item() == pytest.approx(sum(rewards) / 6, abs=1e-5)


def test_margins_are_left_out_where_they_are_not_wanted():
    trainer = new_trainer(new_policy(), margin=False, centering=0.0)
    rewards = plain_rewards(trainer, PAIRS)
    expected = sum(math.log(1 + math.exp(r - c)) for c, r in zip(rewards[::2], rewards[1::2], strict=True)) / 3
    assert trainer.loss(PAIRS, count(PAIRS)).total.item() == pytest.approx(expected, abs=1e-5)


def test_an_untrained_head_prefers_nothing_and_counts_as_half_right():
    trainer = RewardModel(RewardModelOptions(margin=False))
    trainer.prepare(context_of(new_policy()))
    loss = trainer.loss(PAIRS, count(PAIRS))
    assert loss.total.item() == pytest.approx(math.log(2))
    assert loss.metrics["accuracy"].item() == pytest.approx(0.5)


def test_order_of_rows_and_longer_companions_change_no_reward():
    trainer = new_trainer(new_policy())
    policy = trainer.policy

    def rewards(rows):
        scored = policy.score(rows, "reward", want={"last"}, head="reward")
        return dict(zip([row.record_id for row in rows], scored.last.view(-1, 2).tolist(), strict=True))

    together, reverse = rewards(PAIRS), rewards(PAIRS[::-1])
    for row in PAIRS:
        alone = rewards([row])[row.record_id]
        assert together[row.record_id] == pytest.approx(alone, abs=1e-5)
        assert reverse[row.record_id] == pytest.approx(alone, abs=1e-5)


@pytest.mark.parametrize("learn", ["pairs", "classes"])
def test_splitting_into_micro_batches_changes_neither_loss_nor_gradient(learn):
    trainer = new_trainer(new_policy(), labels=("bad", "good"), learn=learn)
    rows = PAIRS if learn == "pairs" else TEXTS
    whole, expected = gradients(trainer, [rows])
    split, found = gradients(trainer, [rows[1:], rows[:1]])
    assert split == pytest.approx(whole, abs=1e-6)
    assert_same(found, expected, 1e-6)


def test_it_learns_its_pairs():
    trainer = new_trainer(new_policy())
    losses = train(trainer, PAIRS, steps=30)
    assert losses[-1] < 0.3 * losses[0]
    assert trainer.loss(PAIRS, count(PAIRS)).metrics["accuracy"] == 1.0


@pytest.mark.parametrize(("positive", "index"), [(None, 0), ("bad", 0), ("good", 1)])
def test_class_loss_is_logistic_regression_on_the_positive_label(positive, index):
    trainer = new_trainer(new_policy(), labels=("bad", "good"), learn="classes", positive=positive)
    logits = plain_rewards(trainer, TEXTS)
    expected = sum(
        math.log(1 + math.exp(-z if row.label == index else z)) for row, z in zip(TEXTS, logits, strict=True)
    )
    loss = trainer.loss(TEXTS, count(TEXTS))
    assert loss.total.item() == pytest.approx(expected / 3, abs=1e-5)
    right = sum((z > 0) == (row.label == index) for row, z in zip(TEXTS, logits, strict=True)) / 3
    assert loss.metrics["accuracy"].item() == pytest.approx(right)


@pytest.mark.parametrize(
    ("labels", "positive", "message"),
    [
        (("a",), None, "learn=classes needs two labels; the data have 1: a"),
        ((), None, "the data have 0: none"),
        (("a", "b", "c"), None, "the data have 3: a, b, c"),
        (("a", "b"), "d", "positive = 'd' is no label of the data; labels are 'a' and 'b'"),
    ],
)
def test_labels_that_do_not_do_are_named(labels, positive, message):
    trainer = RewardModel(RewardModelOptions(learn="classes", positive=positive))
    with pytest.raises(RLHFError, match=message):
        trainer.prepare(context_of(new_policy(), labels=labels))


def test_the_shape_of_its_data_follows_what_it_learns_from():
    pairs, classes = RewardModel(RewardModelOptions()), RewardModel(RewardModelOptions(learn="classes"))
    assert (pairs.Record, pairs.Row, classes.Record, classes.Row) == (Preference, PairRow, Labelled, LabelledRow)
    assert not RewardModel.generates


# --- as a reward source


def codec_of(tokenizer, *_):
    return TextCodec(tokenizer, TEMPLATE, context_length=32, labels=("bad", "good"))


def saved_reward_model(folder, tokenizer, lora=LORA, **options):
    """Trained a little and saved as a run saves it; the trainer, to compare with."""
    base = folder / "base"
    model = tiny_gpt2()
    model.save_pretrained(base)
    trunk = Trunk(model=model, tokenizer=tokenizer, lora=lora, adapter=None, base=identify(str(base)))
    policy = TrunkPolicy(trunk, codec_of(tokenizer), device=CPU)
    tokenizer.save_pretrained(base)
    trainer = new_trainer(policy, labels=("bad", "good"), **options)
    policy.save(folder / "model")
    return trainer


def open_source(folder, **options):
    def open_policy(run):
        return load_policy(run, make_codec=codec_of, device=CPU, dtype=torch.float32)

    source = RewardModelScore(RewardModelScoreOptions(run=str(folder / "model"), **options))
    source.prepare(RewardContext(open_policy=open_policy, build_reward=None, build_judge=None))
    return source


COMPLETIONS = [
    Completion(prompt="w5 w6", text="w50 w51"),
    Completion(prompt="w7", text="w52 w53 w54 w55", finished=False),
    Completion(prompt="w5 w6", text="w56"),
]
AS_ROWS = [
    Row(record_id="0", prompt=(3, 5, 6, 4), completions=((50, 51, EOS),)),
    Row(record_id="1", prompt=(3, 7, 4), completions=((52, 53, 54, 55),)),
    Row(record_id="2", prompt=(3, 5, 6, 4), completions=((56, EOS),)),
]


@pytest.mark.parametrize("lora", [LORA, None])
@pytest.mark.parametrize("batch_tokens", [8, 8192])
def test_the_source_gives_the_numbers_of_the_trained_head(lora, batch_tokens, tmp_path):
    trainer = saved_reward_model(tmp_path, tiny_tokenizer(), lora)
    expected = plain_rewards(trainer, AS_ROWS)
    source = open_source(tmp_path, batch_tokens=batch_tokens)
    assert source.score(COMPLETIONS) == pytest.approx(expected, abs=1e-5)
    assert source.score(COMPLETIONS[::-1]) == pytest.approx(expected[::-1], abs=1e-5)


def test_outputs_are_the_logit_its_probability_or_the_logarithm_of_that(tmp_path):
    trainer = saved_reward_model(tmp_path, tiny_tokenizer())
    logits = plain_rewards(trainer, AS_ROWS)
    probabilities = [1 / (1 + math.exp(-z)) for z in logits]
    assert open_source(tmp_path, output="probability").score(COMPLETIONS) == pytest.approx(probabilities, abs=1e-5)
    logs = [math.log(p) for p in probabilities]
    assert open_source(tmp_path, output="logprob").score(COMPLETIONS) == pytest.approx(logs, abs=1e-5)


def test_a_model_of_classes_gives_a_plain_text_the_logit_that_it_was_trained_on(tmp_path):
    trainer = saved_reward_model(tmp_path, tiny_tokenizer(), learn="classes", positive="good")
    row = trainer.policy.codec.encode(Labelled(id="x", text="w50 w51", label="good"))
    expected = plain_rewards(trainer, [row])
    assert open_source(tmp_path).score([Completion(prompt="", text="w50 w51")]) == pytest.approx(expected, abs=1e-5)


def test_another_tokenizer_reads_the_text_and_not_the_policys_tokens(tmp_path):
    words = {f"w{i}": 63 - i for i in range(64)}  # the same words under other numbers
    tokenizer = Tokenizer(WordLevel(words, unk_token="w0"))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    trainer = saved_reward_model(tmp_path, PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="w62"))
    row = Row(record_id="0", prompt=(60, 58, 57, 59), completions=((13, 12, 1),))
    found = open_source(tmp_path).score([Completion(prompt="w5 w6", text="w50 w51", tokens=(2, 2, 2, 2))])
    assert found == pytest.approx(plain_rewards(trainer, [row]), abs=1e-5)


def test_a_chat_goes_through_the_models_own_template_turn_by_turn(tmp_path):
    trainer = saved_reward_model(tmp_path, tiny_tokenizer())
    turns = (Message("user", "w5"), Message("assistant", "w6"), Message("user", "w7"))
    row = trainer.policy.codec.encode_completion(turns, "w50")
    assert row.prompt == (3, 5, 4, 6, 3, 7, 4)
    found = open_source(tmp_path).score([Completion(prompt="user: w5 …", turns=turns, text="w50")])
    assert found == pytest.approx(plain_rewards(trainer, [row]), abs=1e-5)


def test_a_completion_of_white_space_that_never_ended_is_scored_at_its_prompts_end(tmp_path):
    trainer = saved_reward_model(tmp_path, tiny_tokenizer())
    expected = plain_rewards(trainer, [Row(record_id="0", prompt=(3, 5, 4), completions=((),))])
    found = open_source(tmp_path).score([Completion(prompt="w5", text="  ", finished=False)])
    assert found == pytest.approx(expected, abs=1e-5)


def test_a_prompt_that_is_too_long_for_the_reward_model_names_record_and_run(tmp_path):
    saved_reward_model(tmp_path, tiny_tokenizer())
    with pytest.raises(RLHFError, match=r"puns:7: reward-model .*model: the prompt has 42 tokens"):
        open_source(tmp_path).score([Completion(prompt="w5 " * 40, text="w6", group="puns:7")])


# --- as a judge


def open_judge(folder, **options):
    def open_policy(run):
        return load_policy(run, make_codec=codec_of, device=CPU, dtype=torch.float32)

    judge = RewardModelJudge(RewardModelJudgeOptions(run=str(folder / "model"), **options))
    judge.prepare(JudgeContext(replies=None, open_policy=open_policy, tell=print))
    return judge


def test_the_judge_names_the_higher_score_in_either_order_and_says_both(tmp_path):
    first, second, _ = plain_rewards(saved_reward_model(tmp_path, tiny_tokenizer()), AS_ROWS)
    pair = Pair(first=COMPLETIONS[0], second=COMPLETIONS[1])
    straight, swapped = open_judge(tmp_path).compare([pair, Pair(first=pair.second, second=pair.first)])
    better, worse = ("first", "second") if first > second else ("second", "first")
    assert (straight.winner, swapped.winner) == (better, worse)
    assert [float(word) for word in straight.reason.split()[1::2]] == pytest.approx([first, second], rel=1e-3)


def test_scores_within_the_margin_and_equal_texts_tie(tmp_path):
    first, second, _ = plain_rewards(saved_reward_model(tmp_path, tiny_tokenizer()), AS_ROWS)
    apart, pair = abs(first - second), Pair(first=COMPLETIONS[0], second=COMPLETIONS[1])
    same = Pair(first=COMPLETIONS[0], second=Completion(prompt="w5 w6", text="w50 w51"))
    assert apart > 1e-4
    assert [one.winner for one in open_judge(tmp_path, margin=1.01 * apart).compare([pair, same])] == ["tie", "tie"]
    found = open_judge(tmp_path, margin=0.99 * apart).compare([pair, same])
    assert (found[0].winner != "tie", found[1].winner) == (True, "tie")


def test_the_judge_only_compares_and_an_evaluation_without_a_baseline_says_so():
    judge = RewardModelJudge(RewardModelJudgeOptions(run="r"))
    with pytest.raises(RLHFError, match=r"this judge can compare, and there is no baseline"):
        judge_evaluator(judge, baseline=False)
    with pytest.raises(RLHFError, match="only compares"):
        judge.grade(COMPLETIONS)

"""Text to tokens: the template, the boundary, EOS, BOS, limits, and special tokens that users write."""

from __future__ import annotations

from typing import Any

import pytest
from data_helpers import byte_tokenizer, needs_shared, shared

from rlhf_core.contract.errors import RLHFError
from rlhf_core.contract.records import Demonstration, Labelled, Message, Preference, PromptRecord, Record, Text
from rlhf_core.contract.rows import LabelledRow, PairRow
from rlhf_core.data.codec import TextCodec, Unusable
from rlhf_core.data.options import TemplateOptions

EOS, BOS = 256, 257
PLAIN = TemplateOptions(prompt="{prompt}", completion="{completion}")


def codec_of(
    template: TemplateOptions | None = None, *, bos: bool = False, context: int = 1000, **more: Any
) -> TextCodec:
    return TextCodec(byte_tokenizer(bos=bos), template or TemplateOptions(), context_length=context, **more)


def demonstration(prompt: Any = "hi", completion: str = "yo") -> Demonstration:
    return Demonstration(id="r:1", prompt=prompt, completion=completion)


def reason_of(codec: TextCodec, record: Record) -> tuple[str, str]:
    with pytest.raises(Unusable) as caught:
        codec.inspect(record)
    return caught.value.reason, str(caught.value)


def test_the_template_stands_round_prompt_and_completion_and_eos_follows() -> None:
    codec = codec_of()
    row = codec.encode(demonstration())
    assert codec.piece(row.prompt) == "Human: hi\n\nAssistant:"
    assert codec.piece(row.completions[0]) == " yo</s>"
    assert row.completions[0][-1] == codec.eos == EOS
    assert row.cost == len("Human: hi\n\nAssistant:") + len(" yo") + 1


def test_braces_in_texts_are_no_places_of_the_template() -> None:
    codec = codec_of()
    row = codec.encode(demonstration("{completion} {x}", "{prompt} {0}"))
    assert codec.piece((*row.prompt, *row.completions[0])) == "Human: {completion} {x}\n\nAssistant: {prompt} {0}</s>"


def test_outer_white_space_of_a_completion_is_the_templates_business() -> None:
    assert (
        codec_of().encode(demonstration("hi", "\n yo  ")).completions == codec_of().encode(demonstration()).completions
    )


def test_all_ways_to_a_prompt_give_the_same_tokens() -> None:
    codec = codec_of()
    prompt = codec.encode_prompt("hi")
    assert codec.encode(PromptRecord(id="r:1", prompt="hi")).prompt == prompt
    assert codec.encode(demonstration()).prompt == prompt
    assert codec.encode_prompt((Message("user", "hi"),)) == prompt
    assert codec.encode_completion("hi", "yo").prompt == prompt
    assert codec.encode(PromptRecord(id="r:1", prompt="hi")).completions == ()


def test_a_completion_that_did_not_finish_has_no_eos() -> None:
    codec = codec_of()
    assert codec.encode_completion("hi", "yo").completions == codec.encode(demonstration()).completions
    assert codec.piece(codec.encode_completion("hi", "yo", finished=False).completions[0]) == " yo"


def test_decode_gives_the_completion_back_without_eos_and_outer_space() -> None:
    codec = codec_of()
    assert codec.decode(codec.encode(demonstration("hi", "wo n't , no ?")).completions[0]) == "wo n't , no ?"
    assert codec.decode(()) == ""


def test_bos_follows_the_tokenizer_unless_told_otherwise() -> None:
    def first(bos: bool, rule: Any, prompt: str = "hi") -> int:
        return codec_of(PLAIN.model_copy(update={"bos": rule}), bos=bos).encode_prompt(prompt)[0]

    h = byte_tokenizer().encode("h")[0]
    assert [first(True, "auto"), first(False, "auto")] == [BOS, h]
    assert [first(True, "always"), first(False, "always")] == [BOS, EOS]  # EOS stands in where there is no BOS
    assert [first(True, "never"), first(False, "never")] == [h, h]


def test_a_prompt_is_never_empty() -> None:
    never = PLAIN.model_copy(update={"bos": "never"})
    assert codec_of(never).encode_prompt("") == (EOS,)
    assert codec_of(never, bos=True).encode_prompt("") == (BOS,)


def test_a_chat_repeats_the_text_template_turn_by_turn() -> None:
    turns = [("system", "be kind"), ("user", "u1"), ("assistant", " a1 "), ("user", "u2")]
    codec = codec_of()
    assert codec.piece(codec.encode_prompt(tuple(Message(*turn) for turn in turns))) == (
        "be kind\n\nHuman: u1\n\nAssistant: a1\n\nHuman: u2\n\nAssistant:"
    )


def test_a_begun_answer_is_gone_on_with() -> None:
    codec = codec_of()
    row = codec.encode(demonstration((Message("user", "a pun"), Message("assistant", "Sure!\nA: hm\nB:")), "bach"))
    assert codec.piece((*row.prompt, *row.completions[0])) == "Human: a pun\n\nAssistant: Sure!\nA: hm\nB: bach</s>"
    assert codec.piece(row.prompt).endswith("B:")


def test_the_system_option_is_for_prompts_without_their_own() -> None:
    codec = codec_of(TemplateOptions(system="be kind"))
    assert codec.piece(codec.encode_prompt("hi")).startswith("be kind\n\nHuman: hi")
    assert codec.piece(codec.encode_prompt((Message("system", "be rude"), Message("user", "hi")))).startswith("be rude")


def test_special_tokens_that_users_write_stay_plain_text_and_are_counted() -> None:
    codec = codec_of(bos=True)
    encoding = codec.inspect(demonstration("say </s> and <s>", "ok </s> done"))
    prompt, (completion,) = encoding.row.prompt, encoding.row.completions
    assert encoding.special
    assert (prompt.count(EOS), prompt.count(BOS)) == (0, 1)
    assert completion.index(EOS) == len(completion) - 1
    assert codec.piece(completion) == " ok </s> done</s>"
    assert len(completion) == len(" ok </s> done") + 1
    assert not codec.inspect(demonstration()).special


def test_special_tokens_of_the_template_itself_are_special() -> None:
    codec = codec_of(TemplateOptions(prompt="<s>{prompt}</s>", completion="{completion}"), bos=True)
    assert codec.encode_prompt("x") == (BOS, byte_tokenizer().encode("x")[0], EOS)


def test_a_pair_shares_its_prompt_with_the_chosen_first() -> None:
    codec = codec_of()
    row = codec.encode(Preference(id="r:1", prompt="hi", chosen="good", rejected="bad", margin=0.5))
    assert isinstance(row, PairRow)
    assert [codec.decode(tokens) for tokens in row.completions] == ["good", "bad"]
    assert (row.margin, row.prompt) == (0.5, codec.encode_prompt("hi"))


def test_a_labelled_text_stands_behind_an_empty_prompt_as_when_it_is_scored() -> None:
    codec = codec_of(PLAIN).with_labels(["happy", "sad"])
    row = codec.encode(Labelled(id="r:1", text="oh", label="sad"))
    assert isinstance(row, LabelledRow)
    assert row.label == 1
    assert (row.prompt, row.completions) == ((EOS,), codec.encode_completion("", "oh").completions)
    with pytest.raises(RLHFError, match="r:1: label 'angry' is none of happy, sad"):
        codec.encode(Labelled(id="r:1", text="oh", label="angry"))


def test_a_labelled_text_that_does_not_end_is_read_as_a_completion_that_was_cut() -> None:
    codec = codec_of(PLAIN, labels=("happy", "sad"), end_texts=False)
    row = codec.encode(Labelled(id="r:1", text="oh", label="sad"))
    assert row.completions == codec.encode_completion("", "oh", finished=False).completions
    assert codec.piece(row.completions[0]) == "oh"
    assert codec.encode(demonstration("", "oh")).completions[0][-1] == EOS  # a demonstration ends all the same


def test_running_text_takes_no_template() -> None:
    codec = codec_of(context=4)
    assert codec.piece(codec.encode(Text(id="r:1", text="ab")).completions[0]) == "ab</s>"
    cut = codec.inspect(Text(id="r:1", text="abcd"))
    assert (codec.piece(cut.row.completions[0]), cut.truncated) == ("abc", 1)


def test_a_completion_is_cut_at_its_limit_without_eos_and_counted() -> None:
    codec = codec_of(PLAIN, context=10, max_completion_tokens=4)
    exact = codec.inspect(demonstration("hi", "abc"))
    assert (codec.piece(exact.row.completions[0]), exact.truncated) == ("abc</s>", 0)
    cut = codec.inspect(demonstration("hi", "abcd"))
    assert (codec.piece(cut.row.completions[0]), cut.truncated) == ("abcd", 1)
    assert EOS not in cut.row.completions[0]


def test_prompt_and_completion_fit_into_the_context_together() -> None:
    codec = codec_of(PLAIN, context=6)
    for length in range(1, 6):
        assert codec.encode(demonstration("p" * length, "c" * 9)).cost == 6


def test_a_prompt_longer_than_the_context_is_refused_by_name_never_cut() -> None:
    reason, message = reason_of(codec_of(PLAIN, context=6), demonstration("p" * 6))
    assert reason == "prompt too long"
    assert message == (
        "r:1: the prompt has 6 tokens, at most 5 fit (context 6); shorten it, or change data.max_prompt_tokens or "
        "data.max_completion_tokens"
    )
    assert reason_of(codec_of(PLAIN, context=6, max_completion_tokens=4), demonstration("ppp"))[0] == "prompt too long"
    assert reason_of(codec_of(PLAIN, max_prompt_tokens=2), PromptRecord(id="r:1", prompt="ppp"))[0] == "prompt too long"
    with pytest.raises(RLHFError, match="the prompt has 6 tokens"):
        codec_of(PLAIN, context=6).encode_prompt("p" * 6)


def test_a_pair_that_is_equal_after_truncation_is_unusable() -> None:
    codec = codec_of(PLAIN, max_completion_tokens=3)
    assert reason_of(codec, Preference(id="r:1", prompt="hi", chosen="abcX", rejected="abcY")) == (
        "chosen equals rejected after truncation",
        "r:1: chosen and rejected have the same tokens after truncation",
    )


def test_limits_that_leave_no_prompt_and_a_tokenizer_without_eos_are_refused() -> None:
    with pytest.raises(RLHFError, match="max_completion_tokens: 10 leaves no room for a prompt in a context of 10"):
        codec_of(context=10, max_completion_tokens=10)
    tokenizer = byte_tokenizer()
    tokenizer.eos_token = None
    with pytest.raises(RLHFError, match="the tokenizer has no EOS token; name one as eos_token"):
        TextCodec(tokenizer, PLAIN, context_length=10)


def test_describe_gives_the_template_back() -> None:
    template = TemplateOptions(prompt="Q: {prompt}", bos="always", system="s")
    assert TemplateOptions.model_validate(codec_of(template).describe()) == template


CHAT_ML = (
    "{{ bos_token }}{% for m in messages %}[{{ m.role }}] {{ m.content }}"
    "{% if not loop.last %}</s>\n{% endif %}{% endfor %}{% if add_generation_prompt %}</s>\n[assistant]{% endif %}"
)


def chat_codec(template: str = CHAT_ML, **options: Any) -> TextCodec:
    tokenizer = byte_tokenizer(bos=True)
    tokenizer.chat_template = template
    return TextCodec(tokenizer, TemplateOptions(chat=True, **options), context_length=1000)


def test_the_tokenizers_chat_template_is_followed_with_its_special_tokens_once() -> None:
    codec = chat_codec(system="be kind")
    row = codec.encode(demonstration("hi </s>", "yo"))
    assert codec.piece(row.prompt) == "<s>[system] be kind</s>\n[user] hi </s></s>\n[assistant]"
    assert (row.prompt.count(BOS), row.prompt.count(EOS)) == (1, 2)
    assert codec.piece(row.completions[0]) == " yo</s>"  # the space that this template writes before a reply


def test_a_begun_answer_goes_on_under_a_chat_template() -> None:
    prompt = (Message("user", "a pun"), Message("assistant", "Sure!"))
    row = chat_codec().encode(demonstration(prompt, "bach"))
    assert chat_codec().piece((*row.prompt, *row.completions[0])) == "<s>[user] a pun</s>\n[assistant] Sure! bach</s>"


def test_a_missing_chat_template_and_a_refused_chat_are_told() -> None:
    with pytest.raises(RLHFError, match=r"template\.chat: true, but the tokenizer has no chat template"):
        codec_of(TemplateOptions(chat=True))
    strict = "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}" + CHAT_ML
    with pytest.raises(RLHFError, match="chat template refuses a chat of system, user: no system"):
        chat_codec(strict, system="be kind").encode_prompt("hi")


@needs_shared
@pytest.mark.shared_data
class TestGpt2:
    """Real merges: where tokens span the boundary, and characters of several tokens."""

    @pytest.fixture(scope="class")
    def tokenizer(self) -> Any:
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(shared("models/gpt2-tokenizer"))

    def codec(self, tokenizer: Any, template: TemplateOptions) -> TextCodec:
        return TextCodec(tokenizer, template, context_length=1024)

    def test_the_space_belongs_to_the_completion_and_nothing_drifts(self, tokenizer: Any) -> None:
        encoding = self.codec(tokenizer, TemplateOptions()).inspect(demonstration("x", "x"))
        assert (encoding.row.prompt[-2:], encoding.row.completions[0]) == ((48902, 25), (2124, 50256))
        assert encoding.drifted == 0

    def test_a_space_at_the_end_of_the_prompt_drifts_is_counted_and_stays_what_sampling_sees(
        self, tokenizer: Any
    ) -> None:
        codec = self.codec(tokenizer, TemplateOptions(prompt="Assistant: {prompt} ", completion="{completion}"))
        encoding = codec.inspect(demonstration("y", "x"))
        assert encoding.drifted == 1
        assert encoding.row.prompt == codec.encode_prompt("y")
        assert encoding.row.completions[0] == (87, 50256)

    def test_endoftext_in_the_data_is_no_end_of_text(self, tokenizer: Any) -> None:
        row = self.codec(tokenizer, PLAIN).encode(demonstration("x <|endoftext|> y", "a"))
        assert 50256 not in row.prompt
        assert tokenizer.decode(row.prompt) == "x <|endoftext|> y"

    def test_emoji_and_accents_come_back_whole(self, tokenizer: Any) -> None:
        codec = self.codec(tokenizer, TemplateOptions())
        text = "naïve 🎹 “bach”"
        assert codec.decode(codec.encode_completion("x", text).completions[0]) == text

    def test_an_empty_prompt_is_end_of_text_as_bos(self, tokenizer: Any) -> None:
        assert self.codec(tokenizer, PLAIN).encode_prompt("") == (50256,)


@needs_shared
@pytest.mark.shared_data
def test_a_tokenizer_that_adds_bos_by_itself_adds_it_once() -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(shared("models/llama-stories260K"))
    row = TextCodec(tokenizer, PLAIN, context_length=512).encode(demonstration("Once upon", " a time"))
    assert (row.prompt[0], row.prompt.count(1), row.completions[0][-1]) == (1, 1, 2)


def test_a_tokenizer_that_was_told_to_cut_or_fill_does_not_cut_texts() -> None:
    codec = codec_of()
    expected = codec.encode_text("a long enough text")
    inner = codec.tokenizer.backend_tokenizer
    inner.enable_truncation(3)
    assert codec.encode_text("a long enough text") == expected
    inner.no_truncation()
    inner.enable_padding(length=50)
    assert codec.encode_text("a long enough text") == expected


def test_a_tokenizer_whose_inner_one_gives_other_tokens_is_asked_itself() -> None:
    tokenizer = byte_tokenizer(bos=False)
    encode = type(tokenizer).encode

    class Odd(type(tokenizer)):  # type: ignore[misc]
        def encode(self, text: str, **options: Any) -> list[int]:
            return encode(self, text.lower(), **options)

    tokenizer.__class__ = Odd
    odd = TextCodec(tokenizer, PLAIN, context_length=100)
    assert odd.encode_text("AbC") == TextCodec(byte_tokenizer(bos=False), PLAIN, context_length=100).encode_text("abc")

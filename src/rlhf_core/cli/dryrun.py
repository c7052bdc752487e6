"""What a dry run found, for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import click

from .data import print_row
from .tables import print_columns

if TYPE_CHECKING:
    from rlhf_core.data.report import DataReport, Lengths
    from rlhf_core.recipe.measuring.questions import Questions
    from rlhf_core.recipe.rehearsal.dryrun import DryRun, Tokens
    from rlhf_core.recipe.rehearsal.pace import Memory, Pace
    from rlhf_core.training.microbatches import MicroBatches

BAR = 40
"""Characters of the longest bar."""


def show(found: DryRun) -> None:
    """Everything of one stage; nothing of what could not be found."""
    click.echo(f"{found.stage}: dry run of {found.algo}, nothing is kept")
    for line in found.told:
        click.echo(f"  note: {line}")
    facts = [
        *parameter_facts(found),
        *(token_facts(found.tokens) if found.tokens else ()),
        *(memory_facts(found.memory) if found.memory else ()),
        *(micro_batch_facts(found.micro_batches) if found.micro_batches else ()),
        *(pace_facts(found.pace) if found.pace else ()),
        *(question_facts(found.questions) if found.questions else ()),
        *(("check passed", check) for check in found.checks),
    ]
    print_columns(facts, indent="  ")
    show_data(found.reports)
    if found.example is not None:
        click.echo("  an example, [trained tokens] in brackets:")
        print_row(found.example)


def parameter_facts(found: DryRun) -> Iterator[tuple[str, str]]:
    if found.total is None:
        return
    trained = sum(found.groups.values())
    share = f", {trained:,} of them trained ({trained / found.total:.1%})" if trained else ""
    yield "parameters", f"{found.total:,} in memory{share}"
    for kind, counts in (("role", found.roles), ("group", found.groups)):
        if counts:
            yield f"  by {kind}", ", ".join(f"{name} {count:,}" for name, count in counts.items())


def token_facts(tokens: Tokens) -> Iterator[tuple[str, str]]:
    sampled = f", and up to {tokens.sampled:,} that are sampled" if tokens.sampled else ""
    per_step = f"{tokens.per_step:,.0f} per step, {tokens.longest_step:,} in one of the longest rows{sampled}"
    yield "tokens", f"{per_step}; {tokens.whole:,} in the {tokens.rows:,} rows of the data"
    yield "longest text", f"{tokens.longest} tokens ({tokens.longest_id}), the context holds {tokens.context}"


def memory_facts(memory: Memory) -> Iterator[tuple[str, str]]:
    from rlhf_core.recipe.amounts import size

    peak = f"{size(memory.peak)} at its peak, in a step of the longest rows"
    yield "memory", f"{peak}; {size(memory.before)} before loading (the whole process)"
    if memory.cuda is not None:
        yield "cuda memory", f"{size(memory.cuda)} at its peak"


def micro_batch_facts(micro: MicroBatches) -> Iterator[tuple[str, str]]:
    from rlhf_core.recipe.amounts import size

    bytes_each = micro.bytes_per_token
    kept = "" if bytes_each is None else f"; each keeps {size(round(bytes_each))} until its gradient"
    yield "micro-batch", f"{micro.tokens:,} tokens at most{kept}"


def pace_facts(pace: Pace) -> Iterator[tuple[str, str]]:
    from rlhf_core.recipe.amounts import clock, size

    yield "a step", f"{pace.step:.2f} s, {pace.tokens_per_second:,.0f} tokens/s"
    if pace.evaluations:
        yield "an evaluation", f"{pace.evaluation:.2f} s"
    yield "a checkpoint", f"{pace.save:.2f} s, {size(pace.checkpoint)}"
    parts = f"{pace.steps} steps, {pace.evaluations} evaluations, {pace.saves} checkpoints"
    yield "the whole", f"about {clock(pace.whole)} ({parts}, each as the first was)"


def question_facts(questions: Questions) -> Iterator[tuple[str, str]]:
    yield f"judge {questions.judge}", f"about {questions.count:,} questions ({questions.based_on})"
    cost = questions.cost
    if cost is None:
        shown = f"about {questions.tokens:,} tokens of texts shown; its instructions and replies come on top"
        yield "", f"{shown}; it states no price"
        return
    yield "", f"about {cost.prompt_tokens:,.0f} prompt and {cost.reply_tokens:,.0f} reply tokens"
    yield "  dollars", "; ".join(filter(None, [_dollars(cost.usd), cost.note]))


def _dollars(usd: float | None) -> str:
    if usd is None:
        return "not known"
    return f"about {usd:.2g}, if no reply is kept from before" if usd else "none"


def show_data(reports: Mapping[str, DataReport]) -> None:
    for split, report in reports.items():
        if not report.read:
            continue
        for number, line in enumerate(report.lines()):
            click.echo(f"  {split} data: {line}" if number == 0 else f"    {line}")
        if split == "train":
            for part, lengths in (("prompts", report.prompt_tokens), ("completions", report.completion_tokens)):
                if lengths is not None:
                    show_lengths(part, lengths)


def show_lengths(part: str, lengths: Lengths) -> None:
    """A bar per power of two."""
    click.echo(f"  {part}: {lengths.shortest} to {lengths.longest} tokens, {lengths.mean:.1f} on average")
    most = max(lengths.histogram.values())
    rows = [(span, "█" * max(1, round(BAR * count / most)) + f" {count}") for span, count in lengths.histogram.items()]
    print_columns([(span.rjust(9), bar) for span, bar in rows], indent="    ")

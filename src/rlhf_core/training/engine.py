"""The one loop: collect → inner epochs × minibatches × [micro-batches: loss, backward] → evaluate → save.

Laws: a checkpoint falls between optimizer steps, never inside ``collect``; evaluation comes before the save and leaves
the random states as they were; what is cut at any optimizer step goes on to bitwise the same weights.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch

from ..contract.errors import RLHFError
from ..contract.policy import SamplingSpec
from ..contract.records import PromptRecord, Record
from ..contract.reward import RewardSource
from ..contract.rows import Row
from ..contract.trainer import Next, Trainer
from ..data.cursor import Cursor
from ..math.averages import reported
from ..store.checkpoints import Checkpoint
from ..store.run import RunFolder
from . import randomness
from .batching import count_over_ranks
from .collected import Collected
from .context import TrainablePolicy, build_context
from .health.history import Facts
from .health.text import words_taught
from .health.watch import Watch
from .identity import fingerprint, require_same
from .interrupts import Interrupted, Interrupts
from .invariants.suite import Invariants
from .journal import Journal
from .observers import Observer
from .options import EVALUATIONS, NOT_IN_IDENTITY, TrainingOptions
from .outcome import Outcome
from .precision import autocast, choose_precision
from .progress import Progress
from .randomness import derive
from .schedule import batch_factor
from .updates import Updates, to_floats
from .validation import Validation, require_best
from .world import World


class Engine:
    """Trains one stage.

    Args:
        train_rows, validation_rows: encoded records; without the latter nothing is evaluated and the last weights win.
        records: of all rows, by id.
        reward: the stage's source, prepared; None where the stage has none.
        run: the stage's folder, made by :meth:`RunFolder.create` or, to resume, opened.
        identity: what else must be the same when a run goes on (base, options of trainer and reward), as JSON.

    Raises: RLHFError for options that do not fit the trainer, the data or the device.
    """

    def __init__(
        self,
        policy: TrainablePolicy,
        trainer: Trainer[Any],
        train_rows: Sequence[Row],
        validation_rows: Sequence[Row],
        records: Mapping[str, Record],
        options: TrainingOptions,
        *,
        sampling: SamplingSpec,
        run: RunFolder,
        reward: RewardSource | None = None,
        seed: int = 0,
        observers: Sequence[Observer] = (),
        labels: Sequence[str] = (),
        identity: Mapping[str, Any] | None = None,
    ) -> None:
        _require_consistent(trainer, options, train_rows, validation_rows, run)
        self.world = World.current()
        self.world.require_rows(options.batch_size)
        self.policy, self.trainer, self.options, self.run, self.seed = policy, trainer, options, run, seed
        self.train_rows = train_rows
        self.cursor = Cursor(len(train_rows), options.batch_size, seed)
        self.steps = steps_of(len(train_rows), options)
        self.eval_every = options.eval_every or math.ceil(self.steps / EVALUATIONS)
        self.save_every = options.save_every or math.ceil(self.steps / EVALUATIONS)
        self.dtype = choose_precision(options.precision, policy.device)
        self.interrupts = Interrupts(self.world)
        self.progress = Progress()
        self.batch: Collected | None = None
        self._saved: tuple[int, int, int] | None = None

        context = build_context(
            policy, sampling=sampling, reward=reward, records=records, labels=labels, world=self.world
        )
        policy.allow_dropout = trainer.dropout_ok if options.dropout is None else options.dropout
        policy.recompute = options.gradient_checkpointing
        if isinstance(options.micro_batch_tokens, int):
            policy.pass_tokens = options.micro_batch_tokens
        randomness.seed_all(derive(seed, "prepare"))
        groups = trainer.prepare(context)
        self.invariants = Invariants(
            policy, records, sampling=sampling, dtype=self.dtype, world=self.world, writes=trainer.generates,
            paranoid=options.paranoid,
        )  # fmt: skip
        self.updates = Updates(
            trainer, policy, groups, options, dtype=self.dtype, world=self.world, movement=self.invariants.movement
        )
        self.validation = Validation(
            trainer, context, validation_rows, options, seed=seed, dtype=self.dtype, world=self.world,
            pass_tokens=policy.pass_tokens,
            known=words_taught(records[row.record_id] for row in train_rows) if trainer.generates else frozenset(),
        )  # fmt: skip
        self.journal = Journal(
            run, observers, batch_size=options.batch_size, world=self.world,
            watch=Watch(self._facts(sampling), off=options.alarms.off),
        )  # fmt: skip
        self.identity = {
            "training": options.model_dump(mode="json", exclude=set(NOT_IN_IDENTITY)),
            "arithmetic": f"{str(self.dtype).removeprefix('torch.')} on {policy.device.type}",
            "sampling": vars(sampling),
            "seed": seed,
            "processes": self.world.size,
            "data": {"train": fingerprint(train_rows), "validation": fingerprint(validation_rows)},
            **(identity or {}),
        }

    def train(self, *, resume: bool = False) -> Outcome:
        """Train to the end, or until Ctrl-C or SIGTERM: then the step under way is finished and saved.

        Args:
            resume: go on from the newest checkpoint; from the start where there is none.
        Raises:
            TrainingStopped when a loss, gradient or score is not finite, or a check fails: that step is not saved.
            RLHFError when another process writes the run, or the run was started with other data, options or seed.
            KeyboardInterrupt at the second Ctrl-C.
        """
        with self.run.lock() if self.world.first else nullcontext(), self.interrupts:
            self._begin(resume)
            try:
                outcome = self._end(stopped=self._loop())
            except BaseException as error:
                if self.world.first:
                    self.run.update(status="failed", error=str(error) or type(error).__name__)
                raise
        self.journal.finished(outcome)
        return outcome

    def _facts(self, sampling: SamplingSpec) -> Facts:
        return Facts(
            rows=len(self.train_rows),
            epochs=self.steps * self.options.batch_size / len(self.train_rows),
            steps=self.steps,
            held_out=len(self.validation.rows),
            shows_answers=self.trainer.Record is not PromptRecord,
            answers_end=issubclass(self.trainer.Record, PromptRecord),
            max_grad_norm=self.options.max_grad_norm,
            adam_epsilon=self.options.adam_epsilon,
            max_new_tokens=sampling.max_new_tokens,
        )

    def _loop(self) -> bool:
        """True when it was interrupted."""
        try:
            while True:
                if self._evaluation_is_due():
                    with self.journal.apart(self.progress):
                        self._evaluate()
                if self._is_over():
                    break
                if self._save_is_due():
                    with self.journal.apart(self.progress):
                        self._save()
                if self.batch is None:
                    self.batch = self._collect()
                self._work_through(self.batch)
        except Interrupted:
            self._save()
            return True
        self._save()
        return False

    # --- one batch

    def _collect(self) -> Collected:
        """Draw the next batch and let the trainer make it ready. Interrupted inside, nothing has happened."""
        step = self.progress.step
        drawn = self.world.slice([self.train_rows[index] for index in self.cursor.batch(step)])
        before = randomness.capture()
        try:
            with self.interrupts.abandonable(), torch.no_grad(), autocast(self.dtype, self.policy.device):
                rows = self.trainer.collect(drawn, seed=derive(self.seed, "collect", step))
        except Interrupted:
            randomness.restore(before)
            raise
        batch = self._collected(rows)
        self.progress.since_log.add(self.invariants.collected(drawn, batch.rows))
        return batch

    def _collected(self, rows: Sequence[Row]) -> Collected:
        owner = type(self.trainer).__name__
        return Collected(rows, row_class=self.trainer.Row, owner=owner, world=self.world)

    def _work_through(self, batch: Collected) -> None:
        """The optimizer steps that are left of the batch, then its end."""
        while True:
            self._update(batch)
            if self.progress.inner_epoch >= self.trainer.inner_epochs:
                break
            self.interrupts.check()
        self._close(batch)

    def _update(self, batch: Collected) -> None:
        """One optimizer step."""
        progress, options = self.progress, self.options
        minibatches = batch.minibatches(
            self.trainer.minibatches, seed=derive(self.seed, "minibatches", progress.step, progress.inner_epoch)
        )
        rows = minibatches[progress.minibatch]
        factor = batch_factor(
            options.schedule, progress.step, self.steps, options.warmup, floor=options.min_learning_rate_factor
        )
        metrics = self.updates.step(rows, factor, self.trainer.checks() if progress.updates == 0 else ())
        progress.tokens += sum(self.world.gather(sum(row.cost for row in rows)))
        progress.since_log.add(reported(metrics))
        progress.advance(len(minibatches))
        if self.trainer.after_step(metrics) is Next.NEXT_BATCH:
            progress.inner_epoch = self.trainer.inner_epochs

    def _close(self, batch: Collected) -> None:
        totals = count_over_ranks(batch.rows, self.world)
        with torch.no_grad():
            share = to_floats(self.trainer.batch_metrics(batch.rows, totals)) if batch.rows else {}
        metrics = self.world.sum(share)
        self.trainer.after_batch(metrics)
        self.progress.since_log.add({**reported(metrics), "updates": float(self.progress.within)})
        self.progress.close_batch()
        self.batch = None
        if self.progress.step % self.options.log_every == 0 or self.progress.step == self.steps:
            self.journal.stepped(self.progress, self.updates.learning_rates())

    # --- evaluation

    def _evaluation_is_due(self) -> bool:
        step = self.progress.step
        at = step % self.eval_every == 0 or step == self.steps
        return bool(self.validation.rows) and self.batch is None and at and self.progress.evaluated < step

    def _evaluate(self) -> None:
        """Measure, keep the best, tell. Interrupted while measuring, it is done anew when the run goes on."""
        with randomness.left_alone(), self.interrupts.abandonable():
            measured = self.validation.measured()
            answers = self.validation.answers()
        metrics = {**measured.metrics, **answers.health}
        self.progress.evaluated, self.progress.validation = self.progress.step, metrics
        if self.trainer.best is not None:
            name, direction = self.trainer.best
            if self.progress.rate(require_best(metrics, name), direction) and self.world.first:
                self.run.save_best(self.policy.save)
        self.invariants.evaluated()
        self.journal.evaluated(self.progress, answers.samples, measured.rows)

    def _is_over(self) -> bool:
        return self.batch is None and (self.progress.step >= self.steps or self._stops_early())

    def _stops_early(self) -> bool:
        patience = self.options.early_stopping
        return patience is not None and self.progress.worse >= patience and self.progress.step < self.steps

    # --- checkpoints

    def _begin(self, resume: bool) -> None:
        # What prepare draws is the same on all ranks; what is drawn from here on (dropout) is each rank's own.
        randomness.seed_all(derive(self.seed, "training", self.world.rank))
        checkpoint = self.run.checkpoints.load(self.trainer.Row) if resume else None
        if checkpoint is not None:
            require_same(checkpoint.identity, self.identity, str(self.run.path))
            self._restore(checkpoint)
        elif not resume and (self.run.metrics() or self.run.checkpoints.paths()):
            raise RLHFError(f"{self.run.path}: the run has begun; go on by --resume, or choose another --output")
        if self.world.first:
            self.run.rewind(self.progress.step if checkpoint else -1, evaluated=self.progress.evaluated)
            self.run.update(status="running", error=None, steps=self.steps)
        self.journal.rewound()
        self.journal.started(self.progress, self.steps)

    def _restore(self, checkpoint: Checkpoint) -> None:
        state, rank = checkpoint.state, self.world.rank
        self.policy.load_state(checkpoint.weights)
        self.updates.optimizer.load_state_dict(state["optimizer"])
        self.trainer.load_state_dict(state["trainer"])
        if tokens := state.get("micro_batch_tokens"):  # a checkpoint written before they were kept has none
            self.updates.micro_batches.tokens = tokens
        self.invariants.load_state(state.get("invariants", {}))
        self.progress = Progress.from_json(checkpoint.progress)
        if checkpoint.rows is not None:
            self.batch = self._collected(checkpoint.rows[state["ends"][rank] : state["ends"][rank + 1]])
        randomness.restore(state["random"][rank])
        self._saved = self._moment()

    def _moment(self) -> tuple[int, int, int]:
        return self.progress.step, self.progress.within, self.progress.evaluated

    def _save_is_due(self) -> bool:
        return self.batch is None and self.progress.step > 0 and self.progress.step % self.save_every == 0

    def _save(self) -> None:
        """Write a checkpoint of this very moment, unless there is one."""
        if self._moment() == self._saved:
            return
        self._saved = self._moment()
        self.journal.tick(self.progress)
        random_states = self.world.gather(randomness.capture())
        shares = self.world.gather(self.batch.rows if self.batch else [])
        if not self.world.first:
            return
        checkpoint = Checkpoint(
            step=self.progress.step,
            within=self.progress.within,
            weights=self.policy.state(),
            progress=self.progress.to_json(),
            identity=self.identity,
            state={
                "optimizer": self.updates.optimizer.state_dict(),
                "trainer": self.trainer.state_dict(),
                "micro_batch_tokens": self.updates.micro_batches.tokens,
                "invariants": self.invariants.state(),
                "random": random_states,
                "ends": self.batch.ends if self.batch else [],
            },
            rows=[row for share in shares for row in share] if self.batch else None,
        )
        folder = self.run.checkpoints.save(checkpoint, keep=self.options.keep_checkpoints)
        self.journal.saved(self.progress, folder)

    # --- the end

    def _end(self, *, stopped: bool) -> Outcome:
        """Leave ``model/`` when training is finished: the best where the trainer picks one, else the last."""
        progress = self.progress
        if not stopped:
            self.invariants.require_start_kept()
        outcome = Outcome(
            status="stopped" if stopped else "finished",
            step=progress.step,
            steps=self.steps,
            stopped_early=not stopped and self._stops_early(),
            best_step=progress.best_step,
            metrics=progress.metrics,
            validation=progress.validation,
        )
        if self.world.first:
            self.run.update(
                status="stopped" if stopped else "running",
                step=progress.step,
                seconds=round(progress.seconds, 3),
                best_step=progress.best_step,
                stopped_early=outcome.stopped_early,
            )
            if not stopped:
                self.run.finish(self.policy.save if progress.best_step is None else self._copy_best)
        return outcome

    def _copy_best(self, folder: Path) -> None:
        shutil.copytree(self.run.best, folder, dirs_exist_ok=True)


def steps_of(rows: int, options: TrainingOptions) -> int:
    """Batches of a training on so many rows."""
    return options.steps or max(1, Cursor(rows, options.batch_size, 0).batches(options.epochs or 1.0))


def _require_consistent(
    trainer: Trainer[Any],
    options: TrainingOptions,
    train_rows: Sequence[Row],
    validation_rows: Sequence[Row],
    run: RunFolder,
) -> None:
    """Raises: RLHFError when options ask for what cannot be."""
    name = type(trainer).__name__
    if not train_rows:
        raise RLHFError(f"{run.path}: the data left no row to train on; see the report of what was dropped")
    if options.dropout and not trainer.dropout_ok:
        raise RLHFError(
            f"training.dropout = true: {name} compares logprobs of two times; dropout spoils that: use null"
        )
    if options.early_stopping is not None and (trainer.best is None or not validation_rows):
        lack = "there is no validation data (data.validation)" if trainer.best else f"{name} names no metric to go by"
        raise RLHFError(f"training.early_stopping = {options.early_stopping}: {lack}; set it to null")

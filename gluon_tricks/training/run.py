"""One training run: start or resume, checkpoints, signals, log and metrics."""

import signal
import sys
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from mxnet.base import MXNetError

from gluon_tricks.engines.signals import handled_once, print_at_once
from gluon_tricks.engines.sync_check import OutOfSync, check_in_sync, check_same_facts
from gluon_tricks.errors import UserError
from gluon_tricks.files import Claim, remove_leftovers
from gluon_tricks.machine import command, resident_memory, resume_command
from gluon_tricks.training import checkpoint, trainer_states
from gluon_tricks.training.log_handlers import FILE_ONLY, failure_of, has_console, sync
from gluon_tricks.training.progress import Diverged, Progress, Stop, Stopwatch
from gluon_tricks.training.record import (
    Metrics,
    NoMetrics,
    open_log,
    quiet_log,
    run_record,
    write_params_record,
    write_record,
)
from gluon_tricks.training.status import TrainingLine, show_table

# Seconds between two drawings of the plot. Drawing takes half a second; an epoch may take less.
PLOT_PERIOD_S = 30


class Run:
    """One training run, from its first update or a resume file to its end.

    Of several processes, one writes. The others make the same calls but write nothing.

    Parameters
    ----------
    paths : RunPaths
    facts : dict
        For run.json and the resume file. A resumed run must have equal values for `checkpoint.MUST_AGREE`.
    engine : SingleProcess or another engine
    settings : RunSettings
    resume : str
        "" (a new run), "auto" (resume if there is a resume file) or the path of a resume file.
    overwrite : bool
        Replace the resume file, log and metrics of an earlier run.

    Raises
    ------
    UserError
        If another process writes the same files, if the folders hold another run and neither `resume` nor
        `overwrite` is given, or if the resume file is unusable.
    """

    plot_history = None        # a subclass's `(path, history, facts)`, which writes the picture of the run
    has_verdict = True         # whether a published log of such a run can be its reference

    def __init__(self, paths, facts, engine, settings, resume="", overwrite=False):
        self.paths, self.facts, self.engine, self.settings = paths, facts, engine, settings
        self.progress, self.notes, self._resume_path = Progress(), [], None
        self._signal = self._failure = None
        self._claims, self._plotted, self._plotted_at = [], True, time.monotonic()
        if engine.is_writer:
            self._attempt(self._claim_files)
        if resume:
            self._find_resume_file(resume)
        elif not overwrite:
            self._refuse_occupied_folders()
        self._overwrites, self._continues = overwrite and not self.resumed, bool(resume)

    def _claim_files(self):
        """Refuse to write to the files of a run that has not ended."""
        for flag, path in ((self.paths.save_flag, self.paths.resume), (self.paths.log_flag, self.paths.log),
                           ("--json-log", self.paths.metrics)):
            self._claims.append(Claim(flag, path, command()))
            if not self._claims[-1].is_sure:
                self.notes.append(f"the file system of {path.parent} has no locks, so a second run that "
                                  f"writes to {path} would not be noticed")

    def _find_resume_file(self, resume):
        path = checkpoint.newest(self.paths.resume) if resume == "auto" else Path(resume).expanduser()
        if path:
            self._saved, self.progress = checkpoint.read_meta(path)
            self.notes += checkpoint.check_facts(path, self._saved, self.facts)
            self._resume_path = path

    def _refuse_occupied_folders(self):
        for flag, held in ((self.paths.save_flag, self.paths.resume),
                           (self.paths.log_flag, self.paths.run_json)):
            if held.exists():
                raise UserError(f"{flag}: {held.parent} holds a run of this model already ({held.name}); "
                                f"give --resume auto to continue it, --overwrite to replace it, or another "
                                f"{flag}")

    @property
    def resumed(self):
        return self._resume_path is not None

    def open(self, net, trainer, train_data, lines, dialect, average=None, table=()):
        """Load the resume file if there is one, open log and metrics, and write the opening lines.

        Parameters
        ----------
        train_data : loader
            With `batches_in(epoch)` and `resumes_anywhere`.
        lines : iterable of str
            The opening lines of the log; the first is GluonCV's namespace. On a terminal only warnings and
            notes of these are shown.
        dialect : object with `prefix`, `interval_lines(numbers)` and `epoch_lines(numbers)`
            GluonCV's lines for each log interval and epoch; `numbers` are those of metrics.jsonl.
        average : ParameterAverage, optional
            Updated after each update and saved with the parameters.
        table : iterable of (word, sentence)
            The opening of the run on a terminal.

        Raises
        ------
        UserError
            If the processes have different flags, data or code, or do not see the same resume file.
        """
        self.net, self.trainer, self.train_data = net, trainer, train_data
        self.dialect, self.average = dialect, average
        check_same_facts(self.facts, train_data, self.engine)
        # also waits until all processes have read the files
        starts = self.engine.gather([self.progress.num_update])
        if len(set(starts[:, 0])) > 1:
            raise UserError(f"{self.paths.save_flag} {self.paths.save_dir}: processes start at updates "
                            f"{starts[:, 0].astype(int).tolist()}; all of them must see the same folder")
        if self._resume_path:
            checkpoint.check_position(self._resume_path, self._saved, self.facts, self.progress,
                                      train_data.batches_in, self.settings.num_epochs)
            self.notes += checkpoint.load_resume(self._resume_path, net, trainer, average)
        self.engine.barrier()
        self.log, self.metrics = quiet_log(), NoMetrics()
        if self.engine.is_writer:
            self._attempt(self._open_files, lines, table)

    def _open_files(self, lines, table):
        self._plotted = not self.progress.history      # a resumed run may have stopped before it was plotted
        remove_leftovers(self.paths.save_dir)
        if self._overwrites:
            checkpoint.remove_resume(self.paths.resume)
        self.log = open_log(self.paths.log, self.dialect.prefix, overwrite=self._overwrites)
        # without a resume file the records of a run that saved no state go, too
        self.metrics = Metrics(self.paths.metrics, self.progress if self._continues else None,
                               self._overwrites, self.paths.tensorboard)
        self._record = run_record(self.facts)
        write_record(self.paths.run_json, self._record)
        show_table(table)
        for line in lines:
            self.log.info(line, extra={FILE_ONLY: not line.startswith(("warning:", "note:"))})
        for note in self.notes:
            self.log.info(f"warning: {note}")
        if self.resumed:
            self.log.info(f"resumed at epoch {self.progress.epoch}, batch {self.progress.batch}, "
                          f"update {self.progress.num_update}, from {self._resume_path}")
            if not self.train_data.resumes_anywhere:
                self.log.info("warning: MXNet's iterator restarts its random streams: from here on the "
                              "images differ from those of an uninterrupted run")

    @contextmanager
    def sitting(self):
        """Handle signals, show the status line, log why the run ended, and set `exit_code`."""
        self.exit_code = 0
        self._line = TrainingLine(self.progress, self.train_data.batches_in, self.settings.num_epochs,
                                  self.facts["global_batch_size"], self.engine.is_writer)
        try:
            with handled_once(self._note_signal, signal.SIGTERM, signal.SIGINT):
                try:
                    check_in_sync(self.net, self.engine, self.progress.num_update)
                    yield self
                    check_in_sync(self.net, self.engine, self.progress.num_update)
                    self._stop_if_any_failed()
                except Stop:
                    self._stop()
            self.log.info(f"peak resident memory of this process: "
                          f"{resident_memory()['peak_rss_mib']:.0f} MiB")
            self.engine.close()
            self._end_records()
        except Diverged as error:
            self._log_divergence(error)
            self.exit_code = 2
        except OutOfSync as error:
            self._say(f"error: {error}")
            self.exit_code = 1
        except (MemoryError, MXNetError) as error:
            if not is_about_memory(error):
                raise
            self._say(f"error: not enough memory at epoch {self.progress.epoch}, after update "
                      f"{self.progress.num_update}; {self._last_state()}; lower --batch-size, or end other "
                      f"programs")
            self.exit_code = 1
        finally:
            self._line.close()
            self._plot()
            for claim in self._claims:
                claim.close()

    def _stop(self):
        """Save the state and log why the run stops. Exit code 1 if a file could not be written."""
        check_in_sync(self.net, self.engine, self.progress.num_update)
        numbers, failed = self.engine.gather([self._signal or 0, self._reason_to_stop() is not None]).T
        signals = [signal.Signals(int(number)).name for number in numbers if number]
        reason = f"stopped by {signals[0] if signals else f'--max-updates {self.settings.max_updates}'}"
        if failed.any():
            reason = f"{self._reason_to_stop() or 'another process cannot write a file'}; stopped"
        state = self._save_last_state()
        self.exit_code = int(failed.any() or self._failure is not None)
        self._say(f"{'error: ' * self.exit_code}{reason} at epoch {self.progress.epoch}, update "
                  f"{self.progress.num_update}{state}; continue with: {resume_command()}")

    def _save_last_state(self):
        """Save the state if it can be resumed; returns words on a state that is not saved."""
        progress = self.progress
        between_epochs = progress.batch in (0, self.train_data.batches_in(progress.epoch))
        if not self.train_data.resumes_anywhere and not between_epochs:
            return "; this loader resumes only at the start of an epoch, so the epoch will be repeated"
        self._failure = None
        if self.engine.is_writer:          # the folder may have been deleted
            self._attempt(partial(self.paths.resume.parent.mkdir, parents=True, exist_ok=True))
        self.save_resume()
        return f"; its state is not saved ({self._failure}), {self._last_state()}" if self._failure else ""

    def _last_state(self):
        """Words on the state in the resume file."""
        if not self.paths.resume.exists():
            return "no state has been saved"
        _, saved = checkpoint.read_meta(self.paths.resume)
        return f"{self.paths.resume} has the last good state, of update {saved.num_update}"

    def _say(self, sentence):
        """Log a sentence; print it where the log could not be opened."""
        self.log.info(sentence)
        if self.engine.is_writer and not has_console(self.log):
            print(sentence, file=sys.stderr)

    def _log_divergence(self, error):
        self._say(f"error: {error}; training stops, {self._last_state()}; try a lower --lr")

    def _note_signal(self, number, frame):
        self._signal = number
        if self.engine.is_writer:
            print_at_once(f"{signal.Signals(number).name}: the run stops after this update and saves its "
                          f"state; a second signal ends it at once, without saving")

    # --- Writes that the system refuses: every process stops at the same update, and the state is saved -----

    def _attempt(self, write, *arguments):
        """Call a function that writes files. If the system refuses, the run stops at the next update."""
        try:
            write(*arguments)
        except OSError as error:
            self._failure = self._failure or words_of(error)

    def _reason_to_stop(self):
        """Words on the first error of writing on this process, or None."""
        failure = failure_of(self.log)
        return self._failure or (failure and words_of(failure))

    def _stop_if_any_failed(self):
        """Raise Stop on all processes if one of them could not write."""
        if self.engine.sum([self._reason_to_stop() is not None])[0]:
            raise Stop

    def _end_records(self):
        """Close the log and the metrics; what cannot be written now is an error too."""
        self._attempt(self.metrics.close)
        sync(self.log)
        if self._reason_to_stop() and not self.exit_code:
            self.exit_code = 1
            self._say(f"error: {self._reason_to_stop()}; {self._last_state()}")

    def draw(self, draw, path, *arguments):
        """Call a function that writes a picture; if it fails, the run goes on without the picture."""
        try:
            draw(path, *arguments)
        except Exception as error:         # whatever it is: a picture must not end a training
            self.log.info(f"warning: the picture {path} was not written: {error}")

    def keep_going(self):
        """False after SIGTERM or SIGINT, and if a file could not be written."""
        return self._signal is None and self._reason_to_stop() is None

    def _asked_to_stop(self, meter):
        """Whether any process has received a signal. All processes get the same result at the same update."""
        return not self.keep_going() if self.engine.world_size == 1 else meter.stop

    def begin_epoch(self):
        """Start the clocks. Raises Stop if a file could not be written."""
        self._stop_if_any_failed()
        self._watch = Stopwatch(self.progress.epoch_s)
        self._line.begin_epoch()
        self._interval = time.time(), self.progress.num_update

    def after_update(self, meter):
        """Update status line and average, and write what is due. Raises Stop if the run must stop."""
        progress, settings = self.progress, self.settings
        self._line.update(self._average_loss(progress.batch - meter.unread))
        if self.average:
            self.average.update(progress.num_update)
        if settings.log_interval and progress.batch % settings.log_interval == 0:
            meter.drain()
            self._write_interval()
        done = settings.max_updates and progress.num_update >= settings.max_updates
        if self._asked_to_stop(meter) or done:
            meter.drain()
            raise Stop
        if settings.check_sync and progress.num_update % settings.check_sync == 0:
            check_in_sync(self.net, self.engine, progress.num_update)
        due = settings.checkpoint_period and progress.num_update % settings.checkpoint_period == 0
        if due and self.train_data.resumes_anywhere:
            # raises Diverged: a state with a loss that is not finite must not be saved
            meter.drain()
            self.save_resume()

    def running(self):
        """The training metric of the epoch so far, for metrics.jsonl: dict."""
        return {self.facts["train_metric"]: self.progress.train_metric}

    def result_lines(self):
        """Yield lines on plot and validation, for the end of the run."""
        if self.paths.plot.exists():
            yield f"plot: {self.paths.plot}"
        last, best = self.progress.history[-1]["val"], self.progress.best_val
        yield f"validation accuracy: last {100 * last:.2f} %, best {100 * best:.2f} %"

    def _write_interval(self):
        progress, (since, first) = self.progress, self._interval
        samples = (progress.num_update - first) * self.facts["global_batch_size"]
        numbers = {"epoch": progress.epoch, "batch": progress.batch, "lr": self.trainer.learning_rate,
                   "samples_per_s": samples / (time.time() - since), **self.running(),
                   "loss": self._average_loss(progress.batch)}
        self._attempt(partial(self.metrics.write, "interval", progress.num_update, **numbers))
        for line in self.dialect.interval_lines(numbers, self.facts["train_metric"]):
            self.log.info(line)
        self._interval = time.time(), progress.num_update

    def _average_loss(self, updates):
        """The loss per image of the epoch's first `updates` updates; None before the first."""
        images = updates * self.facts["global_batch_size"]
        return self.progress.loss_sum / images if images else None

    def end_training(self):
        """Record the time of the epoch's training, and average BatchNorm's statistics over the processes."""
        self._train_s = self._watch.seconds()
        self._line.phase("validation")
        self.engine.average_statistics(self.net, self.average)

    def end_epoch(self, accuracies, of_average=None):
        """Save and log a finished epoch.

        Parameters
        ----------
        accuracies : sequence of float
            Validation accuracies: top-1, and top-5 if it was counted.
        of_average : sequence of float, optional
            The same for the averaged parameters.
        """
        progress = self.progress
        scores = {**{f"err_top{k}": 1 - accuracy for k, accuracy in zip((1, 5), accuracies)},
                  **{f"ema_err_top{k}": 1 - accuracy for k, accuracy in zip((1, 5), of_average or ())},
                  **{f"loss_scale_{name}": value for name, value in progress.loss_scale.items()
                     if name != "good_updates"}}
        notes = []
        if of_average:
            errors = (f"ema-err-top{k}={1 - accuracy:.6f}" for k, accuracy in zip((1, 5), of_average))
            notes.append(f"validation of the averaged parameters: {' '.join(errors)}")
        if progress.loss_scale:
            notes.append(f"loss scale {progress.loss_scale['scale']:g}, "
                         f"{progress.loss_scale['skipped']} updates skipped so far")
        row = {"train": progress.train_metric, "train_metric": self.facts["train_metric"]}
        self._close_epoch(accuracies[0], scores, row, notes)

    def _close_epoch(self, val, scores, row, notes=()):
        """Write parameters, log lines, metrics and resume file of an epoch, go to the next one, and plot.

        The plot is drawn at most every `PLOT_PERIOD_S` seconds, and when the run ends, whatever the reason.

        If one of the files before the resume file cannot be written, the run stops in the state "trained, not
        yet evaluated": the resumed run writes all of them.

        Parameters
        ----------
        val : float
            Validation score; higher is better.
        scores : dict
            Validation scores for metrics.jsonl and the log lines.
        row : dict
            Further values for the plot's history.
        notes : sequence of str
            Further log lines.
        """
        progress, epoch = self.progress, self.progress.epoch
        self._line.phase("saving")
        samples = progress.batch * self.facts["global_batch_size"]
        loss, lr = progress.loss_sum / samples, self.trainer.learning_rate
        if self.engine.is_writer:
            self._attempt(self._save_epochs_params, epoch, val)
        numbers = {"epoch": epoch, "batch": progress.batch, "lr": lr, "loss": loss, **self.running(),
                   **scores, "time_s": self._watch.seconds(), "train_s": self._train_s,
                   "samples_per_s": samples / self._train_s, **resident_memory()}
        for line in self.dialect.epoch_lines(numbers, self.facts["train_metric"]):
            self.log.info(line)
        for note in notes:
            self.log.info(f"[Epoch {epoch}] {note}")
        self._attempt(partial(self.metrics.write, "epoch", progress.num_update, **numbers))
        sync(self.log)         # or, after a power failure, the resume file could be ahead of the log
        self._stop_if_any_failed()
        progress.history.append({"epoch": epoch, **row, "val": val, "loss": loss, "lr": lr})
        progress.best_val = max(progress.best_val, val)
        progress.next_epoch()
        self.save_resume()
        self._plotted = not self.engine.is_writer
        if time.monotonic() - self._plotted_at >= PLOT_PERIOD_S:
            self._plot()

    def _plot(self):
        """Draw the history of the epochs, if one has ended since the last drawing."""
        if not self._plotted:
            self.draw(self.plot_history, self.paths.plot, self.progress.history,
                      {**self.facts, "records": getattr(self.train_data, "records", None)})
            self._plotted, self._plotted_at = True, time.monotonic()

    def _save_epochs_params(self, epoch, val):
        """Write the parameters if they are the best so far, and after each `save_period` epochs."""
        if val > self.progress.best_val:
            self._save_params(self.paths.best.format(val=val, err=1 - val, epoch=epoch))
        last, period = epoch + 1 == self.settings.num_epochs, self.settings.save_period
        if not (last or period and (epoch + 1) % period == 0):
            return
        self._save_params(self.paths.periodic.format(epoch=epoch, val=val))
        if self.average:
            with self.average.applied():
                self._write_params(self.paths.averaged.format(epoch=epoch))

    def _save_params(self, name):
        self._write_params(name)
        if self.paths.states:
            trainer_states.save_states(self.trainer, (self.paths.save_dir / name).with_suffix(".states"))

    def _write_params(self, name):
        """Write the parameters, and what `evaluate` and others need to know about them."""
        path = self.paths.save_dir / name
        checkpoint.save_params(self.net, path)
        write_params_record(path, self._record)

    def save_resume(self):
        """Write the resume file. The caller has drained the meter."""
        self.engine.beat("saving", self.progress.num_update)
        if self.progress.batch:
            self.progress.epoch_s = self._watch.seconds()
        self.engine.average_statistics(self.net, self.average)
        self._attempt(checkpoint.save_resume, self.paths.resume, self.net, self.trainer, self.progress,
                      self.facts, self.average, self.engine.is_writer)


def is_about_memory(error):
    """Whether Python or MXNet could not get memory, on a CPU or GPU."""
    return isinstance(error, MemoryError) or any(words in str(error) for words in
                                                 ("Failed to allocate", "out of memory", "bad_alloc"))


def words_of(error):
    """`PATH cannot be written (No space left on device)`, for an OSError."""
    return f"{error.filename or 'a file'} cannot be written ({error.strerror or error})"

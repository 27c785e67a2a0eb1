"""One sitting of a run: resume, progress bar, checkpoints, signals, and what is written at each epoch's end."""

import signal
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from gluon_tricks.engines.sync_check import OutOfSync, check_in_sync
from gluon_tricks.errors import UserError
from gluon_tricks.files import remove_leftovers
from gluon_tricks.machine import command, resident_memory
from gluon_tricks.training import checkpoint
from gluon_tricks.training.plots import plot_history
from gluon_tricks.training.progress import Diverged, Progress, Stop, Stopwatch
from gluon_tricks.training.record import Metrics, NoMetrics, open_log, quiet_log, write_run_json


@dataclass(frozen=True)
class RunPaths:
    """Where a run writes. Names of parameter files and plot are GluonCV's."""
    log: Path
    metrics: Path
    plot: Path
    save_dir: Path
    best: str                # templates over {val:.4f} or {err:.4f}, and {epoch}
    periodic: str
    resume: Path
    averaged: str = ""       # template over {epoch}, where parameters are averaged
    states: bool = False     # whether GluonCV's .states go with the .params
    tensorboard: Path = None
    save_flag: str = "--save-dir"      # the flag that says where, for messages

    @property
    def run_json(self):
        return self.metrics.with_name("run.json")


class Run:
    """Carries a training from its first update, or from where it was stopped, to its end.

    Of several processes one writes; the others make the same calls and keep silent.

    Parameters
    ----------
    paths : RunPaths
    facts : dict
        Goes into run.json and the resume file; see `checkpoint.MUST_AGREE`.
    engine : SingleProcess or one of its kind
    resume : str
        "" (start anew), "auto" (go on if there is a resume file) or the path of a resume file.
    overwrite : bool
        Replace an earlier run's resume file, log and metrics.
    """

    plot_history = staticmethod(plot_history)

    def __init__(self, paths, facts, engine, resume="", overwrite=False):
        self.paths, self.facts, self.engine, self.overwrite = paths, facts, engine, overwrite
        self.progress, self.notes, self._resume_path = Progress(), [], None
        self._signal = None
        if resume:
            path = paths.resume if resume == "auto" else Path(resume).expanduser()
            if path.exists() or resume != "auto":
                saved, self.progress = checkpoint.read_meta(path)
                self.notes = checkpoint.check_facts(path, saved, facts)
                self._resume_path = path
        elif not overwrite:
            log_flag = next((flag for name, flag in (("logging_file", "--logging-file"), ("logging_dir", "--logging-dir"))
                             if name in facts["args"]), paths.save_flag)
            for flag, held in ((paths.save_flag, paths.resume), (log_flag, paths.run_json)):
                if held.exists():
                    raise UserError(f"{flag}: {held.parent} holds a run of this model already ({held.name}); give --resume "
                                    f"auto to go on, --overwrite to start again, or another {flag}")

    @property
    def resumed(self):
        return self._resume_path is not None

    def open(self, net, trainer, header, lines, dialect, num_epochs, batches_in, average=None, **options):
        """Load the resume file if there is one, open log and metrics, and write the opening lines.

        Parameters
        ----------
        header : str
            GluonCV's first line, the namespace.
        lines : list of str
            What else to say at the start.
        dialect : object with `prefix`, `interval_lines(numbers)` and `epoch_lines(numbers)`
            GluonCV's lines for each log interval and epoch; `numbers` are those of metrics.jsonl.
        batches_in : callable
            `(epoch) -> batches` of the training data.
        average : ParameterAverage, optional
            Kept up with every update, saved beside the parameters.
        options : checkpoint_period, save_period, log_interval, max_updates, check_sync, resumes_anywhere
            The last says whether the loader can go on in the middle of an epoch.

        Raises
        ------
        UserError
            If processes do not see the same resume file.
        """
        self.net, self.trainer, self.num_epochs, self.options = net, trainer, num_epochs, options
        self.batches_in, self.dialect, self.average = batches_in, dialect, average
        begins = self.engine.gather([self.progress.num_update])        # also waits until all have looked at the files
        if len(set(begins[:, 0])) > 1:
            raise UserError(f"{self.paths.save_flag} {self.paths.save_dir}: processes begin at updates "
                            f"{begins[:, 0].astype(int).tolist()}; all of them must see the same folder")
        if self._resume_path:
            checkpoint.load_resume(self._resume_path, net, trainer, average)
        self.engine.barrier()
        if self.engine.is_writer:
            self._open_files(header, lines)
        else:
            self.log, self.metrics = quiet_log(), NoMetrics()

    def _open_files(self, header, lines):
        remove_leftovers(self.paths.save_dir)
        if self.overwrite and not self.resumed:
            self.paths.resume.unlink(missing_ok=True)
        self.log = open_log(self.paths.log, self.dialect.prefix, overwrite=self.overwrite and not self.resumed)
        self.metrics = Metrics(self.paths.metrics, self.progress if self.resumed else None,
                               self.overwrite and not self.resumed, self.paths.tensorboard)
        write_run_json(self.paths.run_json, self.facts)
        for line in [header, *lines, *(f"warning: {note}" for note in self.notes)]:
            self.log.info(line)
        if self.resumed:
            self.log.info(f"resumed at epoch {self.progress.epoch}, batch {self.progress.batch}, "
                          f"update {self.progress.num_update}, from {self._resume_path}")
            if not self.options["resumes_anywhere"]:
                self.log.info("warning: MXNet's iterator starts its random streams anew: the run goes on, but its images "
                              "are not those of the uninterrupted run")

    @contextmanager
    def sitting(self):
        """Signals are noted, the bar is shown, and whatever ends the run is said; sets `exit_code`."""
        self.exit_code = 0
        earlier = {number: signal.signal(number, self._note_signal) for number in (signal.SIGTERM, signal.SIGINT)}
        total = sum(map(self.batches_in, range(self.num_epochs)))
        self._bar = tqdm(total=total, initial=self.progress.num_update,
                         unit="update", disable=None if self.engine.is_writer else True, dynamic_ncols=True)
        try:
            with logging_redirect_tqdm():
                try:
                    check_in_sync(self.net, self.engine, self.progress.num_update)
                    yield self
                except Stop:
                    self._stop()
                self.log.info(f"highest resident memory of this sitting: {resident_memory()['peak_rss_mib']:.0f} MiB")
            self.engine.close()
        except Diverged as error:
            self._say_diverged(error)
            self.exit_code = 2
        except OutOfSync as error:
            self.log.info(f"error: {error}")
            self.exit_code = 1
        finally:
            self._bar.close()
            self.metrics.close()
            for number, handler in earlier.items():
                signal.signal(number, handler)

    def _stop(self):
        progress, why = self.progress, f"--max-updates {self.options['max_updates']}"
        signals = [signal.Signals(int(number)).name for number in self.engine.gather([self._signal or 0])[:, 0] if number]
        if signals:
            why = signals[0]
        kept = ""
        if self.options["resumes_anywhere"] or progress.batch in (0, self.batches_in(progress.epoch)):
            self.save_resume()
        else:
            kept = "; this loader resumes at an epoch's start only, so the epoch will be done again"
        self.log.info(f"stopped by {why} at epoch {progress.epoch}, update {progress.num_update}{kept}; "
                      f"go on with: {_resume_command()}")

    def _say_diverged(self, error):
        kept = "no state had been saved before"
        if self.paths.resume.exists():
            _, saved = checkpoint.read_meta(self.paths.resume)
            kept = f"{self.paths.resume} keeps the last good state, of update {saved.num_update}"
        self.log.info(f"error: {error}; training stops, {kept}; try a lower --lr")

    def _note_signal(self, number, frame):
        if self._signal:                   # a second one: the user does not want to wait
            raise KeyboardInterrupt
        self._signal = number

    def keep_going(self):
        """False once a signal to stop has come."""
        return self._signal is None

    def _asked_to_stop(self, meter):
        """Whether a signal has come, to any process; all processes answer alike at the same update."""
        return not self.keep_going() if self.engine.world_size == 1 else meter.stop

    def begin_epoch(self):
        self._watch = Stopwatch(self.progress.epoch_s)
        self._interval = time.time(), self.progress.num_update

    def after_update(self, meter):
        """Bar, interval record, checkpoint, and the reasons to stop."""
        progress, options = self.progress, self.options
        self._bar.update()
        if self.average:
            self.average.update(progress.num_update)
        if options["log_interval"] and progress.batch % options["log_interval"] == 0:
            meter.drain()
            self._write_interval()
        wanted = options["max_updates"] and progress.num_update >= options["max_updates"]
        if self._asked_to_stop(meter) or wanted:
            meter.drain()
            raise Stop
        if options["check_sync"] and progress.num_update % options["check_sync"] == 0:
            check_in_sync(self.net, self.engine, progress.num_update)
        if (options["checkpoint_period"] and progress.num_update % options["checkpoint_period"] == 0
                and options["resumes_anywhere"]):
            meter.drain()                  # a state whose loss is not finite must not be kept
            self.save_resume()

    def running(self):
        """The training figures of the epoch so far, for metrics.jsonl."""
        return {self.facts["train_metric"]: self.progress.train_metric}

    def _write_interval(self):
        progress, (since, first) = self.progress, self._interval
        samples = (progress.num_update - first) * self.facts["global_batch_size"]
        numbers = {"epoch": progress.epoch, "batch": progress.batch, "lr": self.trainer.learning_rate,
                   "samples_per_s": samples / (time.time() - since), **self.running(),
                   "loss": progress.loss_sum / (progress.batch * self.facts["global_batch_size"])}
        self.metrics.write("interval", progress.num_update, **numbers)
        for line in self.dialect.interval_lines(numbers, self.facts["train_metric"]):
            self.log.info(line)
        self._bar.set_postfix_str(f"epoch {progress.epoch}, loss {numbers['loss']:.3f}")
        self._interval = time.time(), progress.num_update

    def end_training(self):
        """Take note of the seconds that the epoch's training took; validation comes next."""
        self._train_s = self._watch.seconds()
        self.engine.average_statistics(self.net, self.average)

    def end_epoch(self, accuracies, of_average=None):
        """Save and write everything that an epoch's end calls for.

        Parameters
        ----------
        accuracies : sequence of float
            Of the validation: top-1, and top-5 where it was counted.
        of_average : sequence of float, optional
            The same of the averaged parameters.
        """
        progress = self.progress
        scores = {**{f"err_top{k}": 1 - accuracy for k, accuracy in zip((1, 5), accuracies)},
                  **{f"ema_err_top{k}": 1 - accuracy for k, accuracy in zip((1, 5), of_average or ())},
                  **{f"loss_scale_{name}": value for name, value in progress.loss_scale.items() if name != "good_updates"}}
        notes = []
        if of_average:
            notes.append("validation of the averaged parameters: "
                         + " ".join(f"ema-err-top{k}={1 - accuracy:.6f}" for k, accuracy in zip((1, 5), of_average)))
        if progress.loss_scale:
            notes.append(f"loss scale {progress.loss_scale['scale']:g}, "
                         f"{progress.loss_scale['skipped']} updates left out so far")
        row = {"train": progress.train_metric, "train_metric": self.facts["train_metric"]}
        self._close_epoch(accuracies[0], scores, row, notes)

    def _close_epoch(self, val, scores, row, notes=()):
        """Parameters, plot, log lines, metrics and resume file of an epoch; the next one begins.

        Parameters
        ----------
        val : float
            What the best parameters have most of.
        scores : dict
            The validation's figures, for metrics.jsonl and the log lines.
        row : dict
            More for the plot's history.
        notes : sequence of str
            More for the log.
        """
        progress, paths = self.progress, self.paths
        epoch, samples = progress.epoch, progress.batch * self.facts["global_batch_size"]
        loss, lr = progress.loss_sum / samples, self.trainer.learning_rate
        progress.history.append({"epoch": epoch, **row, "val": val, "loss": loss, "lr": lr})
        if self.engine.is_writer:
            self.plot_history(paths.plot, progress.history, self.facts["title"])
        if val > progress.best_val:
            progress.best_val = val
            self._save_params(paths.best.format(val=val, err=1 - val, epoch=epoch))
        last = epoch + 1 == self.num_epochs
        if last or self.options["save_period"] and (epoch + 1) % self.options["save_period"] == 0:
            self._save_params(paths.periodic.format(epoch=epoch, val=val))
            if self.average and self.engine.is_writer:
                with self.average.applied():
                    checkpoint.save_params(self.net, paths.save_dir / paths.averaged.format(epoch=epoch))
        numbers = {"epoch": epoch, "batch": progress.batch, "lr": lr, "loss": loss, **self.running(), **scores,
                   "time_s": self._watch.seconds(), "train_s": self._train_s, "samples_per_s": samples / self._train_s,
                   **resident_memory()}
        for line in self.dialect.epoch_lines(numbers, self.facts["train_metric"]):
            self.log.info(line)
        for note in notes:
            self.log.info(f"[Epoch {epoch}] {note}")
        self.metrics.write("epoch", progress.num_update, **numbers)
        progress.next_epoch()
        self.save_resume()

    def _save_params(self, name):
        if not self.engine.is_writer:
            return
        checkpoint.save_params(self.net, self.paths.save_dir / name)
        if self.paths.states:
            checkpoint.save_states(self.trainer, (self.paths.save_dir / name).with_suffix(".states"))

    def save_resume(self):
        """Write the resume file; the meter has been drained."""
        self.engine.beat("saving", self.progress.num_update)
        if self.progress.batch:
            self.progress.epoch_s = self._watch.seconds()
        self.engine.average_statistics(self.net, self.average)
        checkpoint.save_resume(self.paths.resume, self.net, self.trainer, self.progress, self.facts, self.average,
                               self.engine.is_writer)


def _resume_command():
    words = command("--resume", "auto").replace(" --overwrite", "")
    return words.replace(" --resume auto", "", 1) if words.count(" --resume auto") > 1 else words

"""A distributed job: start, supervise and end its processes."""

import contextlib
import re
import signal
import sys
import time
from pathlib import Path

from gluon_tricks.engines.signals import handled_by, not_ignored
from gluon_tricks.engines.watchdog import STAGES
from gluon_tricks.launching.machines import SSH_FAILED
from gluon_tricks.launching.process import Process
from gluon_tricks.launching.remote import RemoteProcess

TICK_S = 0.1
GRACE_S = 3.0            # for the others to report, when one has failed
CULPRIT_S = 20.0         # for the first failure to show, when the others only noticed it
SERVERS_S = 10.0         # for servers and scheduler to end after the last worker
SIGNS_OF_ANOTHER = ("Horovod has been shut down", "Connection reset by peer", "Connection closed by peer")
ERROR = re.compile(r"\berror: |\b[A-Z]\w*(?:Error|Exception)\b: ")
# until the first heartbeat, while others have theirs: the time MXNet's import may take
START_S = 120.0


class Job:
    """All processes of one attempt.

    Parameters
    ----------
    made : list of Role
    timeout_s : float
    heartbeats : path
    signals : list
        Grows with each signal that the launcher gets.
    """

    def __init__(self, made, timeout_s, heartbeats, signals):
        self.made, self.timeout_s, self.heartbeats, self.signals = made, timeout_s, Path(heartbeats), signals
        self.processes, self._passed_on, self.has_trained = [], 0, False
        self._seen, self._silent_s = {}, {}            # per rank: last heartbeat, seconds since it changed
        self._clock = time.monotonic()

    def run(self):
        """Start, watch and end the processes; returns the job's exit code."""
        try:
            for role in self.made:
                self.processes.append(self._start(role))
            return self._watch()
        finally:
            for process in self.processes:
                process.kill()

    def _start(self, role):
        label = f"[{role.rank if role.is_worker else role.name}]"

        def show(line, is_error):
            with contextlib.suppress(BrokenPipeError):
                print(label, line, file=sys.stderr if is_error else sys.stdout, flush=True)

        if role.machine.is_here:
            return Process(role, self.heartbeats, show)
        return RemoteProcess(role, self.heartbeats, show, self.timeout_s)

    def _watch(self):
        failed = []
        while not failed:
            self._tick()
            workers = [process for process in self.processes if process.role.is_worker]
            if all(process.exit_code == 0 for process in workers):
                self._wait_for(SERVERS_S,
                               lambda: all(process.exit_code is not None for process in self.processes))
                return 0
            if len(self.signals) > 1:
                say("second signal: all processes are killed")
                return 128 + self.signals[-1]
            failed = self._failed()
        # killed before the others noticed, which may then abort themselves
        died = [p for p in failed if p.exit_code is not None and p.exit_code < 0
                and p.exit_code != -signal.SIGABRT]
        self._wait_for(GRACE_S, lambda: all(process.exit_code is not None for process in workers))
        ended = [process for process in self.processes if process.exit_code]
        if not died and ended and all(map(only_noticed, ended)):
            self._wait_for(CULPRIT_S,
                           lambda: any(process.exit_code and not only_noticed(process) for process in workers)
                           or all(process.exit_code is not None for process in workers))
        return self._explain(failed, died)

    def _tick(self):
        time.sleep(TICK_S)
        now = time.monotonic()
        passed, self._clock = min(now - self._clock, 5 * TICK_S), now    # our own pauses are nobody's silence
        for process in self.processes:
            process.attend(passed)
            rank = process.role.rank
            if rank is None:
                continue
            beat = process.heartbeat()
            self._silent_s[rank] = 0.0 if beat != self._seen.get(rank) else self._silent_s.get(rank,
                                                                                               0.0) + passed
            self._seen[rank] = beat
            self.has_trained |= beat.get("stage", "starting") != "starting"
        if len(self.signals) > self._passed_on:
            self._passed_on = len(self.signals)
            for process in self.processes:
                if process.role.is_worker:
                    process.ask_to_stop()

    def _failed(self):
        """Processes that ended badly, whose heartbeat has stopped or whose machine is silent; servers and
        scheduler end well after the workers."""
        frozen = [process for process in self.processes if process.exit_code is None
                  and (process.silent_s > self.timeout_s or self._is_frozen(process, 1.0))]
        return [process for process in self.processes if process.exit_code] or frozen

    def _is_frozen(self, process, timeouts):
        rank = process.role.rank
        if not any(self._seen.values()):       # no script of this kit, or none has come so far
            return False
        limit = timeouts * self.timeout_s if self._seen.get(rank) else START_S + self.timeout_s
        return rank is not None and self._silent_s.get(rank, 0.0) > limit

    def _wait_for(self, seconds, condition):
        while seconds > 0 and not condition():
            self._tick()
            seconds -= TICK_S

    def _explain(self, failed, died):
        """Print which process is at fault; returns the exit code."""
        silent = [p for p in self.processes if p.exit_code is None and p.silent_s > 0.5 * self.timeout_s]
        stopped = [p for p in self.processes if p.exit_code is None
                   and (p.is_stopped or self._is_frozen(p, 0.5))]
        beats = {p.role.rank: self._seen.get(p.role.rank, {}) for p in self.processes if p.role.is_worker}
        timed_out = any(beat.get("quiet_s", 0) > self.timeout_s for beat in beats.values())
        hung = [p for p in self.processes if timed_out and p.role.is_worker
                and beats[p.role.rank].get("stage") != "waiting"]
        bad = failed + [p for p in self.processes if p.exit_code and p not in failed]
        guilty = (died or silent or stopped or hung or sorted(bad, key=innocence))[0]
        if died:
            what = f"was killed by {signal.Signals(-guilty.exit_code).name}"
        elif silent:
            what = (f"is not heard of any more, for {guilty.silent_s:.0f} s: the machine is down or stopped, "
                    "or the network between is cut")
        elif guilty.exit_code == SSH_FAILED and not guilty.role.machine.is_here:
            what = "is lost: its ssh connection ended"
        elif stopped:
            what = "is frozen: its process is stopped, or gets no time" if guilty.is_stopped else "is frozen"
        elif hung:
            what = f"hangs, while others wait for it for {self.timeout_s:g} s"
        elif guilty.exit_code is None:
            what = "sends no heartbeat"
        elif guilty.exit_code < 0:
            what = f"was ended by {signal.Signals(-guilty.exit_code).name}"
        else:
            what = f"ended with exit code {guilty.exit_code}"
        beat = beats.get(guilty.role.rank)
        where = f" {STAGES[beat['stage']]}, after update {beat['num_update']}" if beat else ""
        said = cause_in(guilty) or guilty.last_words
        words = f'; its last words: "{said}"' if said else ""
        say(f"{guilty.role.title} {what}{where}{words}; all processes are ended")
        return guilty.exit_code if guilty.exit_code and guilty.exit_code > 0 else 1


@contextlib.contextmanager
def passed_on_signals():
    """Within the block SIGTERM, Ctrl-C and a lost terminal are appended to the list that it yields."""
    noted = []
    with handled_by(lambda number, frame: noted.append(number), signal.SIGTERM, signal.SIGINT,
                    *not_ignored(signal.SIGHUP)):
        yield noted


def only_noticed(process):
    """Whether a process ended only because another had ended."""
    return is_about_another(process.last_words)


def is_about_another(line):
    """Whether a line tells that another process has ended."""
    return any(sign in line for sign in SIGNS_OF_ANOTHER)


def cause_in(process):
    """The last line with an error of the process's own, or ""."""
    own = [line.strip() for line in list(process.last_lines)
           if ERROR.search(line) and not is_about_another(line)]
    return own[-1] if own else ""


def innocence(process):
    """0 for a process that printed a cause, 2 if it only noticed the end of another, 1 if it printed neither.
    """
    return 2 if only_noticed(process) else 0 if cause_in(process) else 1


def say(sentence):
    print(f"launch: {sentence}", file=sys.stderr, flush=True)

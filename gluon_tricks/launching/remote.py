"""A process of a distributed job on another machine, where `gluon_tricks.launching.agent` starts it."""

import contextlib
import json
import os
import sys

from gluon_tricks.errors import DEBUG
from gluon_tricks.launching.machines import SSH_FAILED
from gluon_tricks.launching.process import Process
from gluon_tricks.launching.roles import FOREIGN, threads_are_chosen

ALIVE_S = 0.5                    # between lines that tell the agent that the launcher lives
# of the user's environment, for the process there
PASSED_ON = ("MXNET_", "OMP_", "HOROVOD_", "NCCL_", "PS_", DEBUG)


def passed_on():
    """Variables of the user's environment here for processes elsewhere."""
    own = {name: value for name, value in os.environ.items()
           if name == DEBUG or name.startswith(PASSED_ON) and not name.startswith(FOREIGN)}
    if not threads_are_chosen():
        del own["OMP_NUM_THREADS"]                     # that of this machine; the agent knows its own
    return own


class RemoteProcess(Process):
    """As `Process`; the process here is ssh.

    Parameters
    ----------
    timeout_s : float
        The agent ends its process after hearing nothing for so long.
    """

    def __init__(self, role, heartbeats, show, timeout_s):
        self._timeout_s, self._beat, self._told_code, self._told_stopped = timeout_s, {}, None, False
        self._unsaid_s = 0.0
        super().__init__(role, heartbeats, show)
        reach, command = role.machine.reach, role.command
        if command[0] == sys.executable:
            command = [reach.python, *command[1:]]
        self._tell(json.dumps({"command": command, "environment": {**passed_on(), **role.environment},
                               "rank": role.rank, "timeout_s": timeout_s, "workers_here": role.workers_here}))

    def _command(self):
        return self.role.machine.reach.argv(self.role.machine.name)

    def _environment(self, heartbeats):
        return dict(os.environ)                        # ssh's: its agent and home are the user's

    def _heard(self, line, is_error):
        if is_error:                                   # ssh's own words
            super()._heard(line, True)
            return
        self.silent_s = 0.0
        try:
            told = json.loads(line)
        except ValueError:                             # a login script there prints
            super()._heard(line, False)
            return
        for stream in ("out", "err"):
            if stream in told:
                super()._heard(told[stream], stream == "err")
        self._beat = told.get("beat", self._beat)
        self._told_stopped = told.get("stopped", self._told_stopped)
        self._told_code = told.get("exit", self._told_code)

    @property
    def exit_code(self):
        """None while it runs; 255 if the connection ended before the agent told the code."""
        code = self._popen.poll()
        if code is not None and self._told_code is None:
            for reader in self._readers:               # the code may not be read yet
                reader.join(timeout=0.5)
        return SSH_FAILED if code is not None and self._told_code is None else self._told_code

    @property
    def is_stopped(self):
        return self._told_stopped

    def heartbeat(self):
        return self._beat

    def attend(self, seconds):
        self.silent_s += seconds
        self._unsaid_s += seconds
        if self._unsaid_s >= ALIVE_S:
            self._unsaid_s = 0.0
            self._tell("alive")

    def ask_to_stop(self):
        self._tell("stop")

    def kill(self):
        """End the connection, upon which the agent kills the process and everything it started."""
        with contextlib.suppress(OSError):
            self._popen.stdin.close()
        with contextlib.suppress(Exception):
            self._popen.wait(timeout=ALIVE_S * 4)      # for the agent's answer
        super().kill()

    def _tell(self, line):
        with contextlib.suppress(OSError, ValueError):     # its end shows in `exit_code`
            self._popen.stdin.write(f"{line}\n")
            self._popen.stdin.flush()

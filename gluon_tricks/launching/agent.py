"""What `launch` starts on another machine by ssh: `python -m gluon_tricks.launching.agent`.

It reads the job from its standard input, starts one process, and reports on its standard output, a JSON
object a line:

    launcher to agent   {"command": [...], "environment": {...}, "timeout_s": 120, "rank": 2}, then lines
                        `alive` (twice a second) and `stop` (SIGTERM for the process)
    agent to launcher   {"out": line} {"err": line} {"beat": {...}} {"stopped": true} {"exit": code}

So nothing that must stay secret stands on a command line. The process is killed when the connection ends, or
when nothing has come through it for `timeout_s`: it never outlives the job, even where the network is cut.

    python -m gluon_tricks.launching.agent --address [INTERFACE]      prints this machine's address
"""

import json
import os
import select
import sys
import tempfile
import threading
import time

from gluon_tricks.errors import UserError
from gluon_tricks.launching.machines import here
from gluon_tricks.launching.process import Process
from gluon_tricks.launching.roles import Role

TICK_S = 0.25
LOCK = threading.Lock()


def main(words):
    if words[:1] == ["--address"]:
        client, _, server, _ = os.environ["SSH_CONNECTION"].split()
        print(json.dumps({"client": client, "here": here(server, *words[1:2])}))
        return 0
    job = json.loads(sys.stdin.readline())
    with tempfile.TemporaryDirectory(prefix="gluon_tricks-") as heartbeats:
        role = Role("", job["command"], job["environment"], job["rank"], workers_here=job["workers_here"])
        process = Process(role, heartbeats, tell_line)
        try:
            supervise(process, job["timeout_s"])
        finally:
            process.kill()
        tell(exit=process.exit_code)
    return 0


def supervise(process, timeout_s):
    """Pass on what the process does, until it ends or the launcher is gone."""
    silent_s, before, said = 0.0, time.monotonic(), None
    while process.exit_code is None and silent_s < timeout_s:
        ready, _, _ = select.select([0], [], [], TICK_S)
        now = time.monotonic()
        silent_s += min(now - before, 4 * TICK_S)       # our own pauses are not the launcher's silence
        before = now
        if ready:
            words = os.read(0, 4096)
            if not words:                               # the connection has ended
                return
            silent_s = 0.0
            if b"stop" in words:
                process.ask_to_stop()
        state = {"beat": process.heartbeat(), "stopped": process.is_stopped}
        tell(**state if state != said else {})      # an empty object: the agent lives
        said = state


def tell_line(line, is_error):
    tell(**{"err" if is_error else "out": line})


def tell(**words):
    with LOCK:
        print(json.dumps(words), flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except UserError as error:
        sys.exit(f"error: {error}")

"""The machines of a job: how they are reached, whether they can take part, and their addresses.

Another machine is reached by ssh, which starts `gluon_tricks.launching.agent` there. Before anything else
each is asked for its address; what keeps it from answering becomes one sentence.
"""

import json
import os
import shlex
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import psutil

from gluon_tricks.errors import UserError
from gluon_tricks.launching.sockets import LOOPBACK, free_port

LOCAL = ("localhost", LOOPBACK, socket.gethostname())
CONNECT_S = 10                # for ssh to reach a machine
ANSWER_S = 60                 # for its Python to answer
SSH_FAILED = 255              # ssh's own exit code

DOWN = "does not answer; it is down, or the network between is"
# What ssh prints when it does not log in, and what the user can do. {name}: -H's.
SSH_REASONS = (
    ("REMOTE HOST IDENTIFICATION HAS CHANGED",
     "its host key has changed since the last login; if that is right, remove the old one with `ssh-keygen "
     "-R {host}` and log in once"),
    ("Host key verification failed", "its host key is not known here; log in once with `ssh {name}`"),
    ("Permission denied", "ssh is refused; `ssh {name} true` must work without a question (key, user)"),
    ("Could not resolve hostname", "has no address; correct the name"),
    ("Connection refused",
     "no ssh server answers there; start sshd, or name its port with --ssh 'ssh -p PORT'"),
    ("Connection timed out", DOWN),
    ("No route to host", DOWN),
)
# What is printed there once it has.
REASONS = (
    ("ermission denied", "its user may not use {folder} or {python} ({last}); permit it, or name others with "
                         "--workdir and --python"),
    ("cd: ", "has no folder {folder}; share it, or name the one there with --workdir"),
    ("No such file or directory", "has no Python {python}; name the one there with --python"),
    ("No module named", "{python} does not find gluon_tricks ({last}); install the kit there, or let "
                        "--workdir be a checkout"),
)


@dataclass(frozen=True)
class Reach:
    """How programs are started on other machines.

    Parameters
    ----------
    ssh : tuple of str
        The ssh command and its flags.
    folder : str
        Working folder of the job there.
    python : str
        Interpreter there.
    """
    ssh: tuple = ("ssh",)
    folder: str = "."
    python: str = sys.executable

    def argv(self, name, *words):
        """The command that starts the agent on a machine."""
        path = [f"PYTHONPATH={os.environ['PYTHONPATH']}"] if "PYTHONPATH" in os.environ else []
        agent = shlex.join(["env", *path, self.python, "-m", "gluon_tricks.launching.agent", *words])
        return [*self.ssh, "-T", "-o", "BatchMode=yes", "-o", f"ConnectTimeout={CONNECT_S}", name,
                f"cd {shlex.quote(self.folder)} && exec {agent}"]


@dataclass(frozen=True)
class Machine:
    """One machine of a job.

    Parameters
    ----------
    name : str
        As in -H: HOST or USER@HOST.
    slots : int
        Processes that may train there.
    address, interface : str
        Where the others reach its processes.
    port : int
        Of TCP, free there a moment ago.
    launcher : str
        Address by which the others reach this process.
    reach : Reach or None
        None: this machine.
    """
    name: str
    slots: int
    address: str = LOOPBACK
    interface: str = "lo"
    port: int = 0
    launcher: str = LOOPBACK
    reach: Reach = None

    @property
    def is_here(self):
        return self.reach is None


def parse_hosts(text, workers):
    """`[(name, slots)]` of `-H a:2,b:2`; this machine where nothing is given.

    Raises
    ------
    UserError
        If the text has another form, names a machine twice, or has too few slots.
    """
    if not text:
        return [("localhost", workers)]
    try:
        hosts = [(name, int(slots)) for name, _, slots in (part.rpartition(":") for part in text.split(","))]
    except ValueError:
        hosts = [("", 0)]
    names = [name for name, _ in hosts]
    if not all(names) or min(slots for _, slots in hosts) < 1:
        raise UserError(f"-H {text}: give HOST:SLOTS separated by commas, such as node1:4,node2:4")
    if len(set(names)) < len(names):
        raise UserError(f"-H {text}: names a machine twice; add up its slots")
    if sum(slots for _, slots in hosts) < workers:
        raise UserError(f"-H {text}: has {sum(slots for _, slots in hosts)} slots, fewer than the {workers} "
                        "processes of -n")
    return hosts


def find_machines(hosts, reach, interface=None):
    """Ask every machine for its address.

    Parameters
    ----------
    hosts : list of (str, int)
    reach : Reach
    interface : str, optional
        Network interface of the job on every machine. Default: the one by which this machine is reached.

    Returns
    -------
    (list of Machine, list of str)
        Those that can take part, in the order of `hosts`; a sentence on each other one.

    Raises
    ------
    UserError
        If an interface is named though all processes run on this machine, where they use its loopback, or if
        this machine does not have it.
    """
    others = [name for name, _ in hosts if name not in LOCAL]
    if not others:
        if interface:
            raise UserError(f"--interface {interface}: all processes run on this machine and use its "
                            "loopback; leave it out, or name the machines with -H")
        return [Machine(name, slots) for name, slots in hosts], []
    with ThreadPoolExecutor(len(others)) as pool:
        answers = dict(zip(others, pool.map(lambda name: ask(name, reach, interface), others)))
    problems = [answer for answer in answers.values() if isinstance(answer, str)]
    found = {name: answer for name, answer in answers.items() if isinstance(answer, dict)}
    if not found:                                  # this machine alone may be left
        return [Machine(name, slots) for name, slots in hosts if name in LOCAL], problems
    own = here(next(iter(found.values()))["client"], interface)
    machines = [Machine(name, slots, **(found[name]["here"] if name in found else own),
                        launcher=own["address"], reach=reach if name in found else None)
                for name, slots in hosts if name in found or name in LOCAL]
    return machines, problems


def ask(name, reach, interface=None):
    """A machine's answer, a dict: `here`, what `here` gives there, and `client`, this machine's address as
    seen there; or a sentence on why it gives none."""
    command = reach.argv(name, "--address", *([interface] if interface else []))
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=ANSWER_S,
                              stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        return f"-H {name}: gives no answer in {ANSWER_S} s; see what `ssh {name} true` does"
    except OSError as error:
        return f"--ssh {reach.ssh[0]}: cannot be started ({error.strerror}); install it or name another"
    if done.returncode == 0:
        return json.loads(done.stdout.strip().splitlines()[-1])
    if done.stderr.startswith("error: "):          # the agent's own
        return done.stderr.removeprefix("error: ").strip()
    reasons = SSH_REASONS if done.returncode == SSH_FAILED else REASONS
    return f"-H {name}: {reason(done.stderr, reasons, name, reach)}"


def reason(said, reasons, name, reach):
    """What keeps a machine from taking part, and the remedy, from what ssh or the shell there printed."""
    last = (said.strip().splitlines() or ["it says nothing"])[-1]
    for sign, sentence in reasons:
        if sign in said:
            return sentence.format(name=name, host=name.rpartition("@")[2], python=reach.python,
                                   folder=reach.folder, last=last)
    return f"cannot take part: {last.removeprefix('error: ')}"


def here(seen, interface=None):
    """`address`, `interface` and `port` of the machine this runs on.

    Parameters
    ----------
    seen : str
        The address by which another machine reached it, or was reached by it.
    interface : str, optional
        Named by the user.

    Raises
    ------
    UserError
        If there is no such interface with an IPv4 address.
    """
    addresses = {name: [one.address for one in all_of_it if one.family == socket.AF_INET]
                 for name, all_of_it in psutil.net_if_addrs().items()}
    if interface is None:
        interface = next((name for name, own in addresses.items() if seen in own), None)
        address = seen
    else:
        address = next(iter(addresses.get(interface, ())), None)
    if interface is None or address is None:
        known = ", ".join(f"{name} {own[0]}" for name, own in sorted(addresses.items()) if own)
        raise UserError(f"--interface {interface or seen}: {socket.gethostname()} has no such interface with "
                        f"an IPv4 address (it has {known}); name another")
    return {"address": address, "interface": interface, "port": free_port(address)}

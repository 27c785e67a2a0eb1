"""Machines with a network of their own, on this one: Linux namespaces, a bridge, sshd with throw-away keys.

A machine has its own addresses, loopback, host name, processes, mounts and sshd; files are those of this
machine but for `own`, which each has for itself. Machines are plugged into a bridge in a namespace of its
own: nothing of it is reached from outside. Namespaces have no names and no process outlives its parent, so
that nothing is left when a test is killed: the kernel removes them with their last process.

Linux only; needs root, iproute2, nftables and OpenSSH's server.
"""

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

TOOLS = ("unshare", "nsenter", "ip", "tc", "nft", "ssh", "ssh-keygen", "/usr/sbin/sshd")
PREFIX = "10.77.0"
WAIT_S = 60
LIBC = ctypes.CDLL(None)
RELAY = Path(__file__).with_name("relay.py")

PORT_2 = 2222                    # where sshd listens besides 22
SSHD = f"""Port 22
Port {PORT_2}
HostKey /etc/ssh/host_key
AuthorizedKeysFile /etc/ssh/id.pub
PermitRootLogin prohibit-password
PasswordAuthentication no
StrictModes no
UsePAM no
PidFile none
"""
SSH = """Host *
    IdentityFile /etc/ssh/id
    UserKnownHostsFile /etc/ssh/known_hosts
    StrictHostKeyChecking yes
    LogLevel ERROR
"""
# The first process of a machine. Bash reaps the processes that lose their parent.
INIT = """set -e
hostname "$NAME"
mount --make-rprivate /
mount --bind "$FOLDER/ssh" /etc/ssh
mount --bind "$FOLDER/hosts" /etc/hosts
mkdir -p /run/sshd "$FOLDER/$NAME" "$FOLDER/own"
mount --bind "$FOLDER/$NAME" "$FOLDER/own"
ip link set lo up
/usr/sbin/sshd -f /etc/ssh/sshd_config
touch "$FOLDER/$NAME.up"
while :; do sleep 1000 & wait $!; done
"""
# What a machine and its bridge need of the kernel.
TRIAL = """hostname trial
mount --make-rprivate /
mount --bind /etc/hosts /etc/hosts
ip link set lo up
ip link add bridge type bridge
ip link add port type veth peer name eth0
ip link set port master bridge up
"""


def missing():
    """Why no such network can be made here; "" if it can."""
    if not sys.platform.startswith("linux") or os.getuid() != 0:
        return "machines need Linux and root"
    absent = [tool for tool in TOOLS if not shutil.which(tool)]
    if absent:
        return f"machines need {', '.join(absent)} (Debian: iproute2 nftables openssh-server)"
    tried = subprocess.run(["unshare", "--net", "--uts", "--mount", "--pid", "--fork", "--mount-proc", "sh", "-ec", TRIAL],
                           capture_output=True, text=True)
    return f"machines need namespaces: {tried.stderr.strip()}" if tried.returncode else ""


class Network:
    """Some machines on a bridge.

    Parameters
    ----------
    folder : path
        For keys, and for the machines' own files.
    names : sequence of str
    delays : dict of name -> seconds
        Machines behind a relay that hands every frame on after so long, in each direction.
    """

    def __init__(self, folder, names=("node1", "node2"), delays=None):
        self.folder, self.names, self.delays = Path(folder), tuple(names), delays or {}
        self.addresses = {name: f"{PREFIX}.{i + 1}" for i, name in enumerate(self.names)}
        self.own = self.folder / "own"             # the same path on each machine, with other files
        self.python = sys.executable
        self._processes, self._init = [], {}

    def __enter__(self):
        try:
            self._make_files()
            self._hub = self._start("unshare", "--net", "sleep", "infinity").pid
            wait_for(lambda: os.readlink(f"/proc/{self._hub}/ns/net") != os.readlink("/proc/self/ns/net"))
            self.at_hub("ip", "link", "add", "bridge", "type", "bridge")
            self.at_hub("ip", "link", "set", "bridge", "up")
            for name, address in self.addresses.items():
                self._add(name, address)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in self._processes:
            process.kill()
            process.wait()

    def _make_files(self):
        ssh = self.folder / "ssh"
        ssh.mkdir(parents=True)
        for name in ("id", "host_key"):
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", ssh / name)
        key = (ssh / "host_key.pub").read_text()
        (ssh / "known_hosts").write_text("".join(f"{name} {key}[{name}]:{PORT_2} {key}" for name in self.names))
        (ssh / "sshd_config").write_text(SSHD)
        (ssh / "ssh_config").write_text(SSH)
        (self.folder / "hosts").write_text("127.0.0.1 localhost\n" + "".join(
            f"{address} {name}\n" for name, address in self.addresses.items()))

    def _start(self, *words, **environment):
        """Start a process that the kernel kills when this one ends."""
        process = subprocess.Popen([str(word) for word in words], stdin=subprocess.DEVNULL, preexec_fn=die_with_parent,
                                   start_new_session=True, env={**os.environ, **environment})
        self._processes.append(process)
        return process

    def _add(self, name, address):
        outer = self._start("unshare", "--net", "--uts", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
                            "bash", "-c", INIT, NAME=name, FOLDER=str(self.folder))
        wait_for((self.folder / f"{name}.up").exists)
        self._init[name] = psutil.Process(outer.pid).children()[0].pid
        if name in self.delays:
            self._start(sys.executable, RELAY, self._hub, name, self._init[name], self.delays[name])
            wait_for(lambda: "eth0" in self.at(name, "ip", "link") and name in self.at_hub("ip", "link"))
        else:
            self.at_hub("ip", "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", self._init[name])
        self.at_hub("ip", "link", "set", name, "master", "bridge", "up")
        self.at(name, "ip", "address", "add", f"{address}/24", "dev", "eth0")
        self.at(name, "ip", "link", "set", "eth0", "up")

    def at_hub(self, *words):
        """Run a command where the bridge is; its output."""
        return run("nsenter", f"--net=/proc/{self._hub}/ns/net", *words)

    def at(self, name, *words):
        """Run a command on a machine; its output."""
        return run(*self.command(name, *words))

    def command(self, name, *words):
        """The command that runs another one on a machine, in this working folder."""
        return ["nsenter", f"--target={self._init[name]}", "--net", "--uts", "--mount", "--pid", f"--wd={os.getcwd()}",
                *map(str, words)]

    def processes(self, name):
        """Processes of a machine but for its first, its pauses and its sshd; as psutil gives them here."""
        return [process for process in self._everything(name) if process.pid != self._init[name]
                and process.status() != psutil.STATUS_ZOMBIE and process.name() not in ("sleep", "sshd")]

    # --- Faults ---------------------------------------------------------------------------------------------

    def cut(self, name):
        """Pull a machine's cable out."""
        self.at_hub("ip", "link", "set", name, "down")

    def mend(self, name):
        """Put it back."""
        self.at_hub("ip", "link", "set", name, "up")

    def slow(self, name, rate):
        """Limit a machine's link, as "10mbit", in both directions."""
        shape = ("root", "tbf", "rate", rate, "burst", "64kb", "latency", "400ms")
        self.at_hub("tc", "qdisc", "replace", "dev", name, *shape)
        self.at(name, "tc", "qdisc", "replace", "dev", "eth0", *shape)

    def lose(self, name, percent):
        """Drop so many of the packets that a machine receives."""
        self.at(name, "nft", f"add table ip loss; add chain ip loss in {{ type filter hook input priority 0; }}; "
                             f"add rule ip loss in numgen random mod 100 < {percent} drop")

    def freeze(self, name):
        """Stop every process of a machine, its sshd included."""
        for process in self._everything(name):
            process.suspend()

    def thaw(self, name):
        for process in self._everything(name):
            process.resume()

    def power_off(self, name):
        """Kill a machine's first process, and thereby all of them."""
        os.kill(self._init[name], signal.SIGKILL)

    def _everything(self, name):
        """All processes in the machine's namespace, whoever started them."""
        here, found = namespace(self._init[name]), []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if namespace(process.pid) == here:
                    process.status()               # it lives
                    found.append(process)
        return found


def namespace(pid):
    return os.readlink(f"/proc/{pid}/ns/pid")


def run(*words):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True)
    assert done.returncode == 0, f"{words}: {done.stderr}"
    return done.stdout


def wait_for(condition):
    end = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < end, condition
        time.sleep(0.02)


def die_with_parent():
    LIBC.prctl(1, signal.SIGKILL, 0, 0, 0)

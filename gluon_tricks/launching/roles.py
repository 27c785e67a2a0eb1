"""The processes of a distributed training, with the environment variables of each."""

import os
import shlex
import socket
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field

from gluon_tricks import compat
from gluon_tricks.engines.watchdog import HEARTBEATS, TIMEOUT
from gluon_tricks.errors import DEBUG, UserError
from gluon_tricks.launching.sockets import LOOPBACK, address_of, free_port, socket_numbers

LOCAL = ("localhost", LOOPBACK, socket.gethostname())
# Of another launcher: a DMLC_ROLE would make any process a server. (HOROVOD_FUSION_THRESHOLD and the like
# stay.)
FOREIGN = ("DMLC_", "HOROVOD_RANK", "HOROVOD_SIZE", "HOROVOD_LOCAL_", "HOROVOD_CROSS_", "OMPI_",
           "GLUON_TRICKS_")


@dataclass
class Role:
    """One process of the job."""
    name: str
    command: list
    environment: dict = field(default_factory=dict)      # added to the launcher's own, cleaned
    rank: int = None                                     # None: a server or the scheduler
    host: str = "localhost"

    @property
    def is_worker(self):
        return self.rank is not None

    @property
    def is_local(self):
        return self.host in LOCAL

    def argv(self):
        """The command; for another machine, through ssh, whose terminal hangs up on it when we end."""
        if self.is_local:
            return self.command
        words = [f"{name}={value}" for name, value in self.environment.items()]
        words += [f"PYTHONPATH={os.environ['PYTHONPATH']}"] if "PYTHONPATH" in os.environ else []
        line = f"cd {shlex.quote(os.getcwd())} && exec env {shlex.join([*words, *self.command])}"
        return ["ssh", "-tt", "-o", "BatchMode=yes", self.host, line]

    def full_environment(self):
        """The launcher's environment without other launchers' variables, and with ours."""
        kept = {name: value for name, value in os.environ.items()
                if name == DEBUG or not name.startswith(FOREIGN) and name != "PORT"}
        # ps-lite listens on $PORT, and a PORT of the user's would be that of all processes
        return {**kept, **self.environment}


def parse_hosts(text, workers):
    """`[(host, slots)]` of `-H a:2,b:2`; this machine where nothing is given.

    Raises
    ------
    UserError
        If the text has another form, or too few slots.
    """
    if not text:
        return [("localhost", workers)]
    try:
        hosts = [(name, int(slots)) for name, _, slots in (part.partition(":") for part in text.split(","))]
    except ValueError:
        raise UserError(f"-H {text}: give HOST:SLOTS separated by commas, such as node1:4,node2:4") from None
    if sum(slots for _, slots in hosts) < workers:
        raise UserError(f"-H {text}: has {sum(slots for _, slots in hosts)} slots, fewer than the {workers} "
                        "processes of -n")
    return hosts


def places(hosts, workers):
    """`(host, local rank, workers on that host)` of each rank, host by host."""
    found = []
    for host, slots in hosts:
        here = min(slots, workers - len(found))
        found += [(host, local_rank, here) for local_rank in range(here)]
    return found


@contextmanager
def roles(engine, command, workers, servers, hosts, timeout_s, heartbeats, interface=None):
    """The job's roles, in the order in which they are to be started.

    Parameters
    ----------
    engine : "horovod" or "dist_sync"
    command : list of str
        What every worker runs.
    workers, servers : int
    hosts : list of (str, int)
    timeout_s : float
    heartbeats : path
        Folder for heartbeat files; processes on other machines have none.
    interface : str, optional
        Network interface between machines.

    Raises
    ------
    UserError
        If an interface is named though all processes run on this machine, where they use its loopback.
    """
    if interface and is_here(hosts):
        raise UserError(f"--interface {interface}: all processes run on this machine and use its loopback; "
                        f"leave it out, or name the machines with -H")
    where = places(hosts, workers)
    make = horovod_roles if engine == "horovod" else ps_roles
    with make(command, where, servers, hosts, timeout_s, interface) as made:
        for role in made:
            role.environment[TIMEOUT] = f"{timeout_s:g}"
            if role.is_worker:
                role.environment.update(threads(where[role.rank][2]), GLUON_TRICKS_RANK=str(role.rank),
                                        GLUON_TRICKS_LOCAL_RANK=str(where[role.rank][1]))
                if role.is_local:
                    role.environment[HEARTBEATS] = str(heartbeats)
        yield made


def threads(workers_here):
    """OMP_NUM_THREADS for one of so many workers on a machine, unless the user has set it."""
    # compat.py sets the variable itself if the user has not
    if not any(step.startswith("OMP_NUM_THREADS") for step in compat.steps_taken):
        return {"OMP_NUM_THREADS": os.environ["OMP_NUM_THREADS"]}
    return {"OMP_NUM_THREADS": str(max(1, compat.visible_cpus() // workers_here))}


@contextmanager
def ps_roles(command, where, servers, hosts, timeout_s, interface):
    """A scheduler on the first machine, servers on each in turn, workers.

    On one machine they meet at Unix sockets that only their owner may open. Through TCP every user of the
    machine could send gradients and commands: ps-lite asks nobody who they are.
    """
    local = is_here(hosts)
    common = {"DMLC_PS_ROOT_URI": LOOPBACK if local else address_of(hosts[0][0]),
              "DMLC_NUM_SERVER": str(servers), "DMLC_NUM_WORKER": str(len(where))}
    if local:
        common.update(DMLC_NODE_HOST=LOOPBACK, DMLC_LOCAL="1")
    if interface:
        common["DMLC_INTERFACE"] = interface
    made = [Role("scheduler", server_command("scheduler"), host=hosts[0][0])]
    made += [Role(f"server {i}", server_command("server"), host=hosts[i % len(hosts)][0])
             for i in range(servers)]
    for role in made:
        role.environment["OMP_NUM_THREADS"] = "1"
    made += [Role(f"rank {rank}", command, {"DMLC_ROLE": "worker"}, rank, host)
             for rank, (host, _, _) in enumerate(where)]
    with socket_numbers(len(made) if local else 0) as numbers:
        common["DMLC_PS_ROOT_PORT"] = str(numbers[0] if local else free_port())
        for role in made:
            role.environment.update(common)
        for role, number in zip(made, numbers):
            role.environment["PORT"] = str(number)
        yield made


def server_command(role):
    """The command of a server or scheduler."""
    return [sys.executable, "-m", "gluon_tricks.launching.server", role]


@contextmanager
def horovod_roles(command, where, servers, hosts, timeout_s, interface):
    """Workers that meet at a rendezvous server in this process, as horovodrun's do.

    horovodrun itself kills a worker five seconds after SIGTERM, which may be before its checkpoint, and does
    not say which one failed first.
    """
    try:
        from horovod.runner.common.util.hosts import get_host_assignments
        from horovod.runner.common.util.hosts import parse_hosts as horovod_hosts

        from gluon_tricks.launching.rendezvous import rendezvous
    except ImportError as error:
        raise UserError(f"--engine horovod: Horovod is not installed ({error}); make horovod compiles it, or "
                        f"use --engine dist_sync") from error
    local = is_here(hosts)
    slots = get_host_assignments(horovod_hosts(",".join(f"{host}:{n}" for host, n in hosts)), len(where))
    interface = interface or ("lo" if local else None)
    common = {"HOROVOD_CONTROLLER": "gloo", "HOROVOD_CPU_OPERATIONS": "gloo",
              "HOROVOD_GLOO_TIMEOUT_SECONDS": str(max(30, round(timeout_s)))}
    if interface:
        common.update(HOROVOD_GLOO_IFACE=interface, NCCL_SOCKET_IFNAME=interface)
    listen, address = (LOOPBACK, LOOPBACK) if local else ("", address_of(socket.gethostname()))
    with rendezvous(listen, address, slots) as meeting:
        yield [Role(f"rank {slot.rank}", command,
                    {**common, **meeting, "HOROVOD_HOSTNAME": slot.hostname, "HOROVOD_RANK": str(slot.rank),
                     "HOROVOD_SIZE": str(slot.size), "HOROVOD_LOCAL_RANK": str(slot.local_rank),
                     "HOROVOD_LOCAL_SIZE": str(slot.local_size), "HOROVOD_CROSS_RANK": str(slot.cross_rank),
                     "HOROVOD_CROSS_SIZE": str(slot.cross_size)}, slot.rank, slot.hostname) for slot in slots]


def is_here(hosts):
    """Whether all processes run on this machine."""
    return all(host in LOCAL for host, _ in hosts)

"""The processes of a distributed training, with the environment variables of each."""

import os
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field

from gluon_tricks import compat
from gluon_tricks.engines.watchdog import HEARTBEATS, TIMEOUT
from gluon_tricks.errors import DEBUG, UserError
from gluon_tricks.launching.machines import Machine
from gluon_tricks.launching.sockets import socket_numbers

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
    machine: Machine = Machine("localhost", 1)
    workers_here: int = 1                                # on its machine, which they share

    @property
    def is_worker(self):
        return self.rank is not None

    @property
    def title(self):
        """Its name for messages."""
        return self.name if self.machine.is_here else f"{self.name} on {self.machine.name}"

    def full_environment(self, heartbeats=None):
        """All its variables on this machine; heartbeat files are for workers."""
        kept = {name: value for name, value in os.environ.items()
                if name == DEBUG or not name.startswith(FOREIGN) and name != "PORT"}
        # ps-lite listens on $PORT, and a PORT of the user's would be that of all processes
        own = {HEARTBEATS: str(heartbeats)} if heartbeats and self.is_worker else {}
        return {**kept, **(threads(self.workers_here) if self.is_worker else {}), **own, **self.environment}


def places(machines, workers):
    """`(machine, local rank, workers on that machine)` of each rank, machine by machine."""
    found = []
    for machine in machines:
        here = min(machine.slots, workers - len(found))
        found += [(machine, local_rank, here) for local_rank in range(here)]
    return found


@contextmanager
def roles(engine, command, workers, servers, machines, timeout_s):
    """The job's roles, in the order in which they are to be started.

    Parameters
    ----------
    engine : "horovod" or "dist_sync"
    command : list of str
        What every worker runs.
    workers, servers : int
    machines : list of Machine
    timeout_s : float
    """
    where = places(machines, workers)
    make = horovod_roles if engine == "horovod" else ps_roles
    with make(command, where, servers, machines, timeout_s) as made:
        for role in made:
            role.environment[TIMEOUT] = f"{timeout_s:g}"
            if role.is_worker:
                role.workers_here = where[role.rank][2]
                role.environment.update(GLUON_TRICKS_RANK=str(role.rank),
                                        GLUON_TRICKS_LOCAL_RANK=str(where[role.rank][1]))
        yield made


def threads_are_chosen():
    """Whether the user has set OMP_NUM_THREADS; if not, compat.py has."""
    return not any(step.startswith("OMP_NUM_THREADS") for step in compat.steps_taken)


def threads(workers_here):
    """OMP_NUM_THREADS for one of so many workers on this machine, unless the user has set it."""
    if threads_are_chosen():
        return {"OMP_NUM_THREADS": os.environ["OMP_NUM_THREADS"]}
    return {"OMP_NUM_THREADS": str(max(1, compat.visible_cpus() // workers_here))}


@contextmanager
def ps_roles(command, where, servers, machines, timeout_s):
    """A scheduler on the first machine, servers on each in turn, workers.

    On one machine they meet at Unix sockets that only their owner may open. Through TCP every user of the
    machine could send gradients and commands: ps-lite asks nobody who they are. Over several machines each
    process listens on its machine's address of the job, and on no other.
    """
    local = is_here(machines)
    common = {"DMLC_PS_ROOT_URI": machines[0].address,
              "DMLC_NUM_SERVER": str(servers), "DMLC_NUM_WORKER": str(len(where))}
    if local:
        common["DMLC_LOCAL"] = "1"
    made = [Role("scheduler", server_command("scheduler"), machine=machines[0])]
    made += [Role(f"server {i}", server_command("server"), machine=machines[i % len(machines)])
             for i in range(servers)]
    for role in made:
        role.environment["OMP_NUM_THREADS"] = "1"
    made += [Role(f"rank {rank}", command, {"DMLC_ROLE": "worker"}, rank, machine)
             for rank, (machine, _, _) in enumerate(where)]
    with socket_numbers(len(made) if local else 0) as numbers:
        common["DMLC_PS_ROOT_PORT"] = str(numbers[0] if local else machines[0].port)
        for role in made:
            role.environment.update(common, DMLC_NODE_HOST=role.machine.address)
        for role, number in zip(made, numbers):
            role.environment["PORT"] = str(number)
        yield made


def server_command(role):
    """The command of a server or scheduler."""
    return [sys.executable, "-m", "gluon_tricks.launching.server", role]


@contextmanager
def horovod_roles(command, where, servers, machines, timeout_s):
    """Workers that meet at a rendezvous server in this process, as horovodrun's do.

    horovodrun itself kills a worker five seconds after SIGTERM, which may be before its checkpoint, and does
    not say which one failed first.
    """
    try:
        from horovod.runner.common.util.hosts import HostInfo, get_host_assignments

        from gluon_tricks.launching.rendezvous import rendezvous
    except ImportError as error:
        raise UserError(f"--engine horovod: Horovod is not installed ({error}); make horovod compiles it, or "
                        f"use --engine dist_sync") from error
    slots = get_host_assignments([HostInfo(machine.name, machine.slots) for machine in machines], len(where))
    common = {"HOROVOD_CONTROLLER": "gloo", "HOROVOD_CPU_OPERATIONS": "gloo",
              "HOROVOD_GLOO_TIMEOUT_SECONDS": str(max(30, round(timeout_s)))}
    with rendezvous(machines[0].launcher, slots) as meeting:
        yield [Role(f"rank {slot.rank}", command,
                    {**common, **meeting, "HOROVOD_GLOO_IFACE": machine.interface,
                     "NCCL_SOCKET_IFNAME": machine.interface,
                     "HOROVOD_HOSTNAME": slot.hostname, "HOROVOD_RANK": str(slot.rank),
                     "HOROVOD_SIZE": str(slot.size), "HOROVOD_LOCAL_RANK": str(slot.local_rank),
                     "HOROVOD_LOCAL_SIZE": str(slot.local_size), "HOROVOD_CROSS_RANK": str(slot.cross_rank),
                     "HOROVOD_CROSS_SIZE": str(slot.cross_size)}, slot.rank, machine)
               for slot, (machine, _, _) in zip(slots, where)]


def is_here(machines):
    """Whether all processes run on this machine."""
    return all(machine.is_here for machine in machines)

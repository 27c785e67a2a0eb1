"""train_cifar.py with something that goes wrong on one rank before the update that FAULT_AT names. Run by
test_faults.py.
"""

import os
import sys
import time

import train_cifar
from gluon_tricks.errors import UserError, run_main
from gluon_tricks.training import loop

FAULT, RANK, AT = os.environ["FAULT"], os.environ["FAULT_RANK"], int(os.environ["FAULT_AT"])
passes = loop.train_epoch


def train_epoch(net, train_data, targets, *others, **more):
    def faulty(data, label, epoch, batch):
        if batch == AT:
            if FAULT == "raise":
                raise RuntimeError("a bug in a worker")
            if FAULT == "user error":
                raise UserError("--data-dir: is not on this machine")
            if FAULT == "hang":
                time.sleep(3600)
            if FAULT.startswith("differ"):
                next(iter(net.collect_params(".*weight").values())).data()[0, 0] += 1e-6
        return targets(data, label, epoch, batch)
    return passes(net, train_data, faulty, *others, **more)


if os.environ.get("GLUON_TRICKS_RANK") == RANK:
    loop.train_epoch = train_epoch
    if FAULT == "other seed":
        sys.argv += ["--seed", "1"]
run_main(train_cifar.main)

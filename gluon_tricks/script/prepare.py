"""Prepare a data set that train_cifar.py or another command does not find."""

import sys

from gluon_tricks.data.cifar_sets import preparation
from gluon_tricks.script.load import load_script


def prepare(dataset):
    """Run the script of data_prep/ for a data set, with GluonCV's download or a new one."""
    script, *flags = preparation(dataset)
    print(f"{dataset} is not prepared yet: python {script} {' '.join(flags)}", file=sys.stderr)
    load_script(script).main(flags)

"""Bag of Tricks for Image Classification (He et al., arXiv 1812.01187) in Apache MXNet.

Importing this package prepares the process for MXNet 1.9.1 (see `compat`), so import it before `mxnet`.

These names are stable: they keep their meaning until the next major version. CHANGELOG.md has the changes.

    gluon_tricks.models             get_model, list_models, count_parameters, count_multiply_adds
    gluon_tricks.tricks.*           the functions of each module: mixup, smooth_one_hot, linear_scaled_lr, ...
    gluon_tricks.optim              lr_schedule.lr_schedule, optimizers.create_optimizer
    gluon_tricks.data               cifar.open_cifar, manifest.read_manifest
    gluon_tricks.log_lines.reading  read_log: a log of this kit or of GluonCV as data
    gluon_tricks.judging.verdict    judge: is this log a run of the published one?
    gluon_tricks.recipes            TABLES, STUDIES: the papers' tables as flags
    gluon_tricks.compat             prepare, request_amx
    gluon_tricks.errors             UserError: what a user can repair

The command line is stable too: the flags of the training scripts, the subcommands of `gluon-tricks`,
GluonCV's log lines, and the files: parameters, resume files, manifest.json, metrics.jsonl. All other names
may change in any version.
"""

from gluon_tricks import compat

__version__ = "0.1.0"

compat.prepare()

"""Flags that the training scripts share and GluonCV lacks: resuming and records."""


def add_resume_flags(group, checkpoint_period):
    """Add the flags of resuming.

    Parameters
    ----------
    checkpoint_period : int
        The script's default of --checkpoint-period.
    """
    group.add_argument("--overwrite", action="store_true",
                       help="start a new run and replace the files of an earlier one")
    group.add_argument("--checkpoint-period", type=int, default=checkpoint_period,
                       help="updates between resume files, in addition to each epoch's end; 0: none (default "
                            "%(default)s)")
    group.add_argument("--max-updates", type=int, default=0,
                       help="total number of updates after which the run stops; 0: no limit (default 0)")


def add_record_flags(group, default):
    """Add the flags of the run's records; `default` is the place of metrics.jsonl in the help text."""
    group.add_argument("--json-log", metavar="FILE",
                       help=f"path of metrics.jsonl; run.json is in the same folder (default: {default})")
    add_tensorboard_flag(group)


def add_tensorboard_flag(group):
    group.add_argument("--tensorboard", metavar="DIR",
                       help="also write the numbers of metrics.jsonl as TensorBoard scalars to this folder")

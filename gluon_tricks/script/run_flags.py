"""Flags that the training scripts have in common beyond GluonCV's: resuming and records."""


def add_resume_flags(group, checkpoint_period):
    """Flags that say where a run starts and when it writes resume files.

    Parameters
    ----------
    checkpoint_period : int
        The script's default.
    """
    group.add_argument("--overwrite", action="store_true", help="start again over an earlier run's files")
    group.add_argument("--checkpoint-period", type=int, default=checkpoint_period,
                       help="updates between resume files, in addition to each epoch's end (default %(default)s; 0: none)")
    group.add_argument("--max-updates", type=int, default=0, help="stop after so many updates in all")


def add_record_flags(group, default):
    """Flags that say where a run's figures are recorded; `default` names the place of metrics.jsonl in the help."""
    group.add_argument("--json-log", metavar="FILE", help=f"metrics.jsonl, run.json in its folder (default: {default})")
    group.add_argument("--tensorboard", metavar="DIR", help="also write TensorBoard scalars there")

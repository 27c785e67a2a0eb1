"""Paper or GluonCV: what `--as` sets where the two disagree and a run must choose.

The tricks themselves (`--mixup`, `--no-wd`, ...) are flags of the run; these are the ways of doing them. A flag that is
given beside `--as` wins, and the log says so. `python -m gluon_tricks differences` explains each.
"""

PRESETS = {
    "gluoncv": {"data_backend": "mxnet", "crop_law": None, "colors": "gluoncv", "val_protocol": "gluoncv", "init": "gluoncv",
                "lr_formula": "head", "fix_last_gamma": False, "label_smoothing_rule": "gluoncv", "hard_weight": 0.5,
                "soft_weight": None, "mixup_partners": "reversed"},
    "paper": {"data_backend": "ours", "crop_law": "paper", "colors": "paper", "val_protocol": "exact", "init": "paper",
              "lr_formula": "paper", "fix_last_gamma": True, "label_smoothing_rule": "paper", "hard_weight": 1.0,
              "soft_weight": 1.0, "mixup_partners": "random"},
}


def parse_with_preset(parser, argv):
    """`parser.parse_args(argv)`, where `--as NAME` first sets that preset's defaults."""
    known, _ = parser.parse_known_args(argv)
    parser.set_defaults(**PRESETS[known.preset])
    return parser.parse_args(argv)


def overrides(args):
    """`flag value` for each setting that is not its preset's."""
    preset = PRESETS[args.preset]
    return [f"--{key.replace('_', '-')} {getattr(args, key)}" for key in preset if getattr(args, key) != preset[key]]

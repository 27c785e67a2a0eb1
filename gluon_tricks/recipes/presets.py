"""Paper or GluonCV: the settings of `--as` where the two disagree and a run must choose.

The tricks themselves (`--mixup`, `--no-wd`, ...) are flags of the run; these settings choose how each is
done. A flag that is given with `--as` wins and is logged. `python -m gluon_tricks differences` explains each.
Both read images with this kit's loader; `--data-backend mxnet` is the path that made the published logs.
"""

PRESETS = {
    # crop_law and val_protocol None: decided by the path of the data, as in GluonCV
    "gluoncv": {"crop_law": None, "colors": "gluoncv", "val_protocol": None, "init": "gluoncv",
                "lr_formula": "head", "fix_last_gamma": False, "label_smoothing_rule": "gluoncv",
                "hard_weight": 0.5, "soft_weight": None, "mixup_partners": "reversed"},
    "paper": {"crop_law": "paper", "colors": "paper", "val_protocol": "exact", "init": "paper",
              "lr_formula": "paper", "fix_last_gamma": True, "label_smoothing_rule": "paper",
              "hard_weight": 1.0, "soft_weight": 1.0, "mixup_partners": "random"},
}


def parse_with_preset(parser, argv):
    """`parser.parse_args(argv)` with the defaults of the preset that `--as NAME` names."""
    known, _ = parser.parse_known_args(argv)
    parser.set_defaults(**PRESETS[known.preset])
    return parser.parse_args(argv)


def overrides(flags):
    """`flag value` for each setting that differs from the preset; `flags` has the arguments as a dict."""
    preset = PRESETS[flags["preset"]]
    return [f"--{key.replace('_', '-')} {flags[key]}" for key in preset if flags[key] != preset[key]]

"""Where train_imagenet.py's images come from, and which flags each of these paths obeys.

A path is decided by --synthetic, --data-backend and --use-rec. A flag of the table that a user gives and that
the path would ignore is refused (`script/imagenet_flags.py`); flags that are not in the table are obeyed on
every path.
"""

from gluon_tricks.recipes.presets import PRESETS

# Path -> its name in messages and plans
PATHS = {"ours": "record files, this kit's loader",
         "mxnet": "record files, MXNet's iterator, which made the published logs",
         "dali": "record files, NVIDIA DALI",
         "folders": "class folders, this kit's loader",
         "synthetic": "random images (--synthetic)"}

# Means and deviations of red, green and blue, 0..255, as in GluonCV's script. Those of class folders are
# 0.485 ... and 0.229 ... on the 0..1 scale.
RGB_MEAN, RGB_STD = (123.68, 116.779, 103.939), (58.393, 57.12, 57.375)
FOLDER_MEAN, FOLDER_STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)

ANY = None                            # every value of the flag
_RECORDS = {"ours": ANY, "mxnet": ANY, "dali": ANY}
_IMAGES = {**_RECORDS, "folders": ANY}
_THIS_KITS = {"ours": ANY, "folders": ANY}
_EACH_ONCE = ("exact",)

# Flag -> {path: the values that it obeys}; other paths ignore the flag. An empty tuple: the path cannot do
# what the flag asks.
OBEYED = {
    "use_rec": _RECORDS,
    "data_backend": {**_RECORDS, "folders": ("ours",)},
    "data_dir": {"folders": ANY},
    **dict.fromkeys(("rec_dir", "rec_train", "rec_train_idx", "rec_val", "rec_val_idx"), _RECORDS),
    **dict.fromkeys(("rgb_mean", "rgb_std", "crop_ratio"), _IMAGES),
    "num_workers": {"ours": ANY, "mxnet": ANY, "folders": ANY},
    "on_bad_record": {"ours": ANY, **dict.fromkeys(("mxnet", "dali", "folders"), ("fail",))},
    "crop_law": {**_THIS_KITS, "mxnet": ("rec",), "dali": ("rec",)},
    "colors": {**_THIS_KITS, "mxnet": ("gluoncv",), "dali": ()},
    "auto_aug": {**_THIS_KITS, "mxnet": (), "dali": ()},
    "val_protocol": {"mxnet": ANY, **dict.fromkeys(("ours", "folders", "dali"), _EACH_ONCE)},
    **dict.fromkeys(("dali_threads", "dali_validation_threads", "dali_prefetch_queue",
                     "dali_nvjpeg_memory_padding", "dali_fuse_decoder"), {"dali": ANY}),
}


def path_of(synthetic, data_backend, use_rec):
    """The data path that three flags choose. As in GluonCV, DALI reads record files without --use-rec too."""
    if synthetic:
        return "synthetic"
    if data_backend.startswith("dali"):
        return "dali"
    return data_backend if use_rec else "folders"


def disobeyed(path, given, values):
    """Yield (flag, the values that the path obeys) of each flag that it would not obey.

    The values are None if the path ignores the flag.

    Parameters
    ----------
    path : one of PATHS
    given : set of str
        Flags on the command line.
    values : dict, flag -> value
        A flag that is not given counts if --as set it to what the path cannot do.
    """
    for name, paths in OBEYED.items():
        value, allowed = values[name], paths.get(path, ANY)
        if path not in paths and name in given:
            yield name, None
        by_preset = value != PRESETS["gluoncv"].get(name, value)
        if allowed is not ANY and value not in allowed and (name in given or by_preset):
            yield name, allowed

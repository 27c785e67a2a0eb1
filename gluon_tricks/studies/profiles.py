"""The rows of a table on less than eight GPUs, in three profiles: from minutes on a laptop to the row's own
command.

    smoke   the embedded 2,000 images of CIFAR-10, 32 px: batches and rates of the paper / 8, 6 epochs for 120
    small   complete CIFAR-10, or any record file given: batches and rates / 4, 30 epochs for 120
    full    the row's own command

Rates follow the linear rule (§3.1); epochs of warm-up and decay are scaled as the whole. The report names
each large net that a small one of the same family replaces. Smoke and small show that the commands run and
what the tricks do, not the paper's figures.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from gluon_tricks.data.manifest import read_manifest
from gluon_tricks.data.paths import EXCERPT_DIR, default_record_dir
from gluon_tricks.errors import UserError
from gluon_tricks.files import ROOT
from gluon_tricks.log_lines.reading import read_log
from gluon_tricks.recipes.paper import TABLE_6
from gluon_tricks.recipes.rows import Row, words
from gluon_tricks.tricks.linear_scaling import linear_scaled_lr

PAPER_EPOCHS = 120

# Table 5 needs bottlenecks: in basic blocks ResNet-B is ResNet. Inception-V3 needs images of 299 px, so no
# net replaces it.
REPLACEMENTS = {"resnet50_v1": "resnet18_v1", "resnet50_v1d": "resnet18_v1", "resnet152_v1d": "resnet34_v1",
             "mobilenet1.0": "mobilenet0.25", "inceptionv3": None}
KEEPS_MODELS = (5,)


@dataclass(frozen=True)
class Profile:
    """The size of a run: batches divided by `batch_divisor`, `epochs` instead of the paper's 120."""

    name: str
    batch_divisor: int
    epochs: int
    log_interval: int


PROFILES = {profile.name: profile for profile in (Profile("smoke", 8, 6, 5), Profile("small", 4, 30, 20),
                                                  Profile("full", 1, PAPER_EPOCHS, 50))}


@dataclass(frozen=True)
class Records:
    """Training and validation record files; `flags` are the script's flags for them."""

    flags: dict
    images: int
    name: str


@dataclass(frozen=True)
class TableRun:
    """A run of a row: its flags, and what replaces what."""

    row: Optional[Row]               # None for the teacher of other rows
    slug: str
    title: str
    flags: dict
    stands: tuple = ()

    @property
    def name(self):
        return self.row.name if self.row else self.title

    @property
    def column(self):
        return self.row.column if self.row else ""

    @property
    def batch(self):
        return self.flags["batch_size"] * max(1, self.flags["num_gpus"])

    @property
    def words(self):
        return words(self.flags)

    @property
    def updates(self):
        """Updates of the run, as the schedule counts them."""
        return self.flags["num_epochs"] * (self.flags.get("num_training_samples", 1281167) // self.batch)

    def log(self, out):
        return out / self.slug / "train.log"

    def command(self, out, more=()):
        """The words after `python` of the row's process."""
        folder = out / self.slug
        return [str(ROOT / "train_imagenet.py"), *self.words, "--save-dir", str(folder / "params"),
                "--logging-file", str(self.log(out)), "--json-log", str(folder / "metrics.jsonl"), *more,
                "--resume", "auto"]

    def is_finished(self, out):
        """Whether the row's log has its last epoch and its parameters are there."""
        if not (out / self.slug / "params" / self.params).exists():
            return False
        try:
            last = read_log(self.log(out)).epochs[-1]
        except UserError:
            return False
        return last.epoch + 1 == self.flags["num_epochs"] and last.val_err_top1 is not None

    @property
    def params(self):
        """Name of the parameters that the finished run leaves."""
        return f"imagenet-{self.flags['model']}-{self.flags['num_epochs'] - 1}.params"


def table_runs(table, profile, rows, records, num_gpus=0, num_workers=None, out=Path()):
    """The runs for some rows of a table, a teacher first where one is needed.

    Parameters
    ----------
    table : Table
    profile : Profile
    rows : list of Row
        All with flags.
    records : Records or None
        None for `full` with the default paths of the commands.
    out : Path
        Folder of the results, and of the teacher's parameters.

    Returns
    -------
    runs : list of TableRun
    left_out : list of Row
        Those that cannot be run in this profile: their net needs larger images and has no replacement.
    """
    if profile.name == "full":
        given = dict(records.flags) if records else {}
        if num_gpus:
            given["num_gpus"] = num_gpus
        if num_workers is not None:
            given["num_workers"] = num_workers
        return [TableRun(row, slug(row), row.title, {**row.flags, **given}) for row in rows], []
    runs, left_out, teacher = [], [], None
    for row in rows:
        model = row.flags["model"]
        replacement = model if table.number in KEEPS_MODELS else REPLACEMENTS.get(model, model)
        if replacement is None:
            left_out.append(row)
            continue
        flags, stands = _smaller(row.flags, replacement, profile, records, num_gpus, num_workers)
        if row.flags.get("teacher"):
            teacher = teacher or _teacher(profile, records, num_gpus, num_workers)
            flags["teacher"] = f"{teacher.flags['model']}:{out / teacher.slug / 'params' / teacher.params}"
            stands.append(f"a {teacher.flags['model']} trained here, without mixup, for the teacher "
                          "resnet152_v1d")
        runs.append(TableRun(row, slug(row), row.title, flags, tuple(stands)))
    return ([teacher] if teacher else []) + runs, left_out


def _smaller(flags, model, profile, records, num_gpus, num_workers):
    """`(flags, what replaces what)` of a row in a smaller profile."""
    global_batch = flags["batch_size"] * flags["num_gpus"] // profile.batch_divisor
    smaller = {**flags, **records.flags, "model": model, "num_gpus": num_gpus,
               "num_workers": 2 if num_workers is None else num_workers,
               "batch_size": max(1, global_batch // max(1, num_gpus)), "lr": linear_scaled_lr(global_batch)}
    for key in ("num_epochs", "warmup_epochs"):
        if key in flags:
            smaller[key] = fewer(flags[key], profile)
    if flags.get("lr_decay_epoch"):
        smaller["lr_decay_epoch"] = ",".join(str(fewer(int(e),
                                                       profile)) for e in flags["lr_decay_epoch"].split(","))
    stands = [f"{model} for {flags['model']}"] if model != flags["model"] else []
    if flags.get("dtype") == "float16" and not num_gpus:
        smaller["dtype"] = "bfloat16" if computes_bfloat16() else "float32"
        stands.append(f"{smaller['dtype']} for float16, which MXNet computes on GPUs only")
    return smaller, stands


def _teacher(profile, records, num_gpus, num_workers):
    """The teacher's run: cosine decay and label smoothing (§5.4), as the row above the distilled ones."""
    smoothed = next(row for row in TABLE_6.rows if row.name == "+ label smoothing")
    flags, _ = _smaller(smoothed.flags, REPLACEMENTS["resnet152_v1d"], profile, records, num_gpus,
                        num_workers)
    return TableRun(None, "teacher", "teacher", flags)


def fewer(epochs, profile):
    """The paper's epochs in a profile, at least 1; halves are rounded up."""
    return max(1, int(epochs * profile.epochs / PAPER_EPOCHS + 0.5))


def computes_bfloat16():
    """Whether oneDNN has bfloat16 convolutions for this processor, which needs AVX-512."""
    try:
        return "avx512bw" in Path("/proc/cpuinfo").read_text()
    except OSError:
        return False


def slug(row):
    """A folder's name for a row: `03-lr-warmup-bs-256`."""
    kept = "".join(c if c.isalnum()
                   else " " for c in row.title.replace("w/o", "without").replace("w/", "with").lower())
    return "-".join([f"{row.number:02d}", *kept.split()])


# --- Data ---------------------------------------------------------------------------------------------------

def find_records(profile, rec_train=None, rec_val=None, classes=None):
    """The record files of a profile, those given or its own.

    Raises
    ------
    UserError
        If they do not exist, or the number of their classes is unknown.
    """
    if bool(rec_train) != bool(rec_val):
        raise UserError("--rec-train, --rec-val: give both, or neither")
    if profile.name == "full" and not rec_train:
        return None
    folder = EXCERPT_DIR if profile.name == "smoke" else default_record_dir("cifar10")
    train, val = (Path(path).expanduser() if path else folder / f"{part}.rec"
                  for path, part in ((rec_train, "train"), (rec_val, "test")))
    for flag, path in (("--rec-train", train), ("--rec-val", val)):
        for file in (path, path.with_suffix(".idx")):
            if not file.is_file():
                raise UserError(f"{flag} {file}: does not exist; " + (
                    "give a record file with with its .idx next to it" if rec_train else
                    "make it with data_prep/cifar.py --dataset cifar10, or give --rec-train and --rec-val"))
    name, images = "records", len(train.with_suffix(".idx").read_text(encoding="utf-8").splitlines())
    if (train.parent / "manifest.json").is_file():
        manifest = read_manifest(train.parent)
        name, classes = manifest.dataset, len(manifest.classes)
    elif classes is None and profile.name != "full":
        raise UserError(f"--rec-train {train}: has no manifest.json next to it; give the number of classes "
                        "with --classes")
    flags = {"rec_train": str(train), "rec_train_idx": str(train.with_suffix(".idx")), "rec_val": str(val),
             "rec_val_idx": str(val.with_suffix(".idx")), "num_training_samples": images}
    if classes is not None:
        flags["classes"] = classes
    if profile.name != "full":
        flags.update(data_backend="ours", input_size=32 if name.startswith("cifar") else 224)
    return Records(flags, images, name)

"""Runs of train_cifar.py for `tables --run` and `sweep`, and the rows of a study in smaller profiles.

    smoke   the embedded 2,000 images, 2 epochs, batches and rates / 8, ResNet-20s for every net
    small   complete CIFAR-10 or the row's own data, 15 epochs for 200; the row's batch and rate
    full    the row's own command
"""

from dataclasses import dataclass

from gluon_tricks.data.cifar_sets import DATASETS
from gluon_tricks.errors import UserError
from gluon_tricks.files import ROOT
from gluon_tricks.log_lines.reading import read_log
from gluon_tricks.recipes.rows import words
from gluon_tricks.saved.names import run_name
from gluon_tricks.script.load import load_script
from gluon_tricks.studies.profiles import computes_bfloat16, slug

SMOKE_EPOCHS, SMOKE_DIVISOR, SMALL_SHARE = 2, 8, 15 / 200
SCALED_RATES = ("nag", "sgd")             # optimizers whose rate is scaled with the batch


@dataclass(frozen=True)
class CifarRun:
    """One training, with the interface that `runner` uses.

    Attributes
    ----------
    slug : str
        Its folder; rows of one command share it.
    words : list of str
        Flags of train_cifar.py.
    row : Row or None
    stands : tuple of str
        What replaces what.
    """
    slug: str
    title: str
    words: tuple
    row: object = None
    stands: tuple = ()

    @property
    def args(self):
        return load_script("train_cifar.py").parse_args(list(self.words))

    @property
    def updates(self):
        args = self.args
        batch = args.batch_size * max(1, args.num_gpus) * args.accumulate
        return args.num_epochs * (DATASETS[args.dataset].training_images // batch)

    def log(self, out):
        """Its log; a path that does not exist before the run starts."""
        return next((out / self.slug).glob("train_*.log"), out / self.slug / "train.log")

    def command(self, out, more=()):
        folder = str(out / self.slug)
        return [str(ROOT / "train_cifar.py"), *self.words, "--save-dir", f"{folder}/params", "--logging-dir",
                folder, "--save-plot-dir", folder, "--json-log", f"{folder}/metrics.jsonl", *more, "--resume",
                "auto"]

    def is_finished(self, out):
        """Whether its log has the last epoch."""
        try:
            return read_log(self.log(out)).epochs[-1].epoch + 1 == self.args.num_epochs
        except UserError:
            return False


def study_runs(table, profile, rows, num_gpus, num_workers, out):
    """The runs for some rows of a study, a teacher first where one is needed.

    Rows with equal commands, which smaller profiles have, share one run: the later ones have its `slug`.

    Returns
    -------
    list of CifarRun
    """
    runs, slugs = [], {}
    for row in rows:
        flags, stands = smaller(row.flags, profile, num_gpus)
        if flags.get("teacher") and profile != "full":
            teacher = teacher_run(row.flags, profile, num_gpus, num_workers)
            if teacher not in runs:
                runs.insert(0, teacher)
            model = teacher.args.model
            flags["teacher"] = f"{model}:{teacher_file(teacher, out)}"
            stands.append(f"a {model} trained here for the teacher {row.flags['teacher'].partition(':')[0]}")
        if num_workers is not None:
            flags["num_workers"] = num_workers
        own = tuple(words(flags))
        runs.append(CifarRun(slugs.setdefault(own, slug(row)), row.title, own, row, tuple(stands)))
    return runs


def teacher_run(flags, profile, num_gpus, num_workers):
    """The teacher's run: cosine decay and label smoothing, no mixing."""
    plain = {name: value for name, value in flags.items()
             if name not in ("teacher", "temperature", "hard_weight", "mix", "mixup_alpha")}
    own, _ = smaller({**plain, "model": "cifar_resnet110_v1", "num_epochs": 120}, profile, num_gpus)
    if num_workers is not None:
        own["num_workers"] = num_workers
    return CifarRun("teacher", "teacher", tuple(words(own)))


def teacher_file(teacher, out):
    """The parameters that the teacher's run writes at its end."""
    args = teacher.args
    name = run_name(args.dataset, args.model)
    return out / teacher.slug / "params" / f"{name}-{args.num_epochs - 1}.params"


def smaller(flags, profile, num_gpus):
    """`(flags, what replaces what)` of a row in a profile."""
    if profile == "full":
        return {**flags, **({"num_gpus": num_gpus} if num_gpus else {})}, []
    flags, stands = {**flags, "num_gpus": num_gpus}, []
    share = SMOKE_EPOCHS / flags["num_epochs"] if profile == "smoke" else SMALL_SHARE
    epochs = max(2, round(flags["num_epochs"] * share))
    if profile == "smoke":
        model = "cifar_resnet20_v1" if flags["model"].startswith("cifar_resnet") else "cifar_preact20"
        if model != flags["model"]:
            stands.append(f"{model} for {flags['model']}")
        if flags["dataset"] != "cifar10-excerpt":
            stands.append(f"the excerpt of CIFAR-10 for {flags['dataset']}")
        flags.update(dataset="cifar10-excerpt", model=model)
        whole = flags["batch_size"] * flags.get("accumulate", 1)
        batch = max(8, whole // SMOKE_DIVISOR)
        if flags.get("accumulate", 1) > 1:
            flags["accumulate"] = 4
        flags["batch_size"] = batch // flags.get("accumulate", 1)
        if flags.get("optimizer", "nag") in SCALED_RATES:
            flags["lr"] = flags["lr"] * batch / whole
    if flags.get("lr_decay_epoch"):
        steps = (int(step) * epochs / flags["num_epochs"] for step in flags["lr_decay_epoch"].split(","))
        flags["lr_decay_epoch"] = ",".join(map(str, sorted({max(1, round(step)) for step in steps})))
    for name in ("warmup_epochs", "mixup_off_first"):
        if flags.get(name):
            flags[name] = min(epochs - 1, max(1, round(flags[name] * epochs / flags["num_epochs"])))
    flags["num_epochs"] = epochs
    if flags.get("dtype") == "float16" and not num_gpus:
        flags["dtype"] = "bfloat16" if computes_bfloat16() else "float32"
        stands.append(f"{flags['dtype']} for float16, which MXNet computes on GPUs only")
    return flags, stands

"""Break the package on purpose, one formula or constant at a time, and see whether the tests notice.

    python tests/mutate.py                      # all mutants: killed or survived
    python tests/mutate.py warm-up mixup        # those whose name holds one of the words
    python tests/mutate.py --list

Works in a copy of the tree, in a temporary folder. First the guarding tests must pass there unchanged; then
each mutant is written, its guards run, and the file is put back. Exit code 0 if every mutant was killed, 1 if
one survived: a gap in the tests, 2 if the comparison itself failed. Some five minutes on one core. pytest
does not collect this file.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
COPIED = ("gluon_tricks", "data_prep", "tests", "logs/published", "train_imagenet.py", "train_cifar.py",
          "pyproject.toml")

TRICKS, DATA = "gluon_tricks/tricks", "gluon_tricks/data"
LOOPS = "tests/parity/test_training_loops.py::test_twenty_updates_equal_gluoncvs"
TWO_DEVICES = "tests/parity/test_training_loops.py::test_they_do_on_two_devices"
RATES = "tests/parity/test_lr_parity.py"
LOSSES = "tests/parity/test_loss_parity.py::test_the_scripts_loss_and_gradient_are_gluoncvs"
TARGETS = "tests/parity/test_target_parity.py::test_images_and_targets_are_gluoncvs"
LAM = "tests/parity/test_target_parity.py::test_lam_has_the_law_of_numpys_legacy_beta_that_gluoncv_draws"
METRICS = "tests/parity/test_metric_parity.py"
NAG = "tests/parity/test_nag_parity.py"
START = "tests/parity/test_initialisation_parity.py"
CIFAR = "tests/parity/test_cifar_augment_parity.py"
PRECISION = "tests/tricks/test_low_precision.py"
IMAGENET = "tests/parity/test_imagenet_augment_parity.py"
PHOTOGRAPHS = "tests/data/test_photographs.py"


class Mutant(NamedTuple):
    """`old` stands in the file exactly once."""
    name: str
    file: str
    old: str
    new: str
    guards: tuple


def mutant(name, file, old, new, *guards):
    return Mutant(name, file, old, new, guards)


MUTANTS = [
    # §2.1: data
    mutant("crop: least area 10 %", f"{DATA}/imagenet_augment.py", "(0.08, 1.0)", "(0.1, 1.0)",
           f"{IMAGENET}::test_the_bounds_of_area_and_ratio_are_reached_and_kept"),
    mutant("crop: least ratio 4/5", f"{DATA}/imagenet_augment.py", "(3 / 4, 4 / 3)", "(4 / 5, 4 / 3)",
           f"{IMAGENET}::test_the_bounds_of_area_and_ratio_are_reached_and_kept"),
    mutant("crop: sides never swapped", f"{DATA}/imagenet_augment.py", 'law == "rec" and rng.random() < 0.5',
           'law == "rec" and rng.random() < 0.0',
           f"{IMAGENET}::test_the_bounds_of_area_and_ratio_are_reached_and_kept"),
    mutant("crop: the last column is left out", f"{DATA}/imagenet_augment.py", "rng.integers(width - w + 1)",
           "rng.integers(max(width - w - 20, 1))",
           f"{IMAGENET}::test_crops_and_flips_of_records_have_mxnets_law"),
    mutant("crop: the folders' fallback is rescaled", f"{DATA}/imagenet_augment.py",
           "image = center_crop(image, min(self.size, *image.shape[:2]))",
           "image = resize_short(image, self.size)",
           f"{IMAGENET}::test_what_becomes_of_an_image_that_no_crop_fits"),
    mutant("flip probability 0.4", f"{DATA}/imagenet_augment.py",
           "        if rng.random() < 0.5:\n            image =",
           "        if rng.random() < 0.4:\n            image =",
           f"{IMAGENET}::test_crops_and_flips_of_records_have_mxnets_law"),
    mutant("jitter 0.35", f"{DATA}/imagenet_augment.py", "JITTER, PCA_STD = 0.4, 0.1",
           "JITTER, PCA_STD = 0.35, 0.1",
           f"{IMAGENET}::test_brightness_contrast_and_saturation_have_mxnets_law"),
    mutant("contrast about 128", f"{DATA}/imagenet_augment.py", "grey = GREY @ change @ mean", "grey = 128",
           f"{IMAGENET}::test_brightness_contrast_and_saturation_have_mxnets_law"),
    mutant("PCA noise 0.12", f"{DATA}/imagenet_augment.py", "JITTER, PCA_STD = 0.4, 0.1",
           "JITTER, PCA_STD = 0.4, 0.12", f"{IMAGENET}::test_pca_noise_has_mxnets_law"),
    mutant("mean of red 123.675", "gluon_tricks/recipes/data_paths.py", "123.68,", "123.675,",
           f"{IMAGENET}::test_normalisation_comes_last_and_has_the_scripts_figures"),
    mutant("deviations of green and blue swapped", "gluon_tricks/recipes/data_paths.py", "58.393, 57.12, 57.375",
           "58.393, 57.375, 57.12", f"{IMAGENET}::test_normalisation_comes_last_and_has_the_scripts_figures"),
    mutant("validation resize rounded down", f"{DATA}/imagenet_augment.py", "math.ceil(size / crop_ratio)",
           "int(size / crop_ratio)", f"{IMAGENET}::test_validation_images_of_records_are_mxnets"),
    mutant("photograph: no coded row to spare", f"{DATA}/photographs.py", "(-(-stop // self.row) + 1)",
           "-(-stop // self.row)", f"{PHOTOGRAPHS}::test_rows_are_those_of_the_full_decoder"),
    mutant("photograph: orientation is not looked at", f"{DATA}/photographs.py", "and not is_upright(",
           "and not bytes(", f"{PHOTOGRAPHS}::test_other_images_are_decoded_by_opencv"),
    mutant("records: one stream, a few numbers apart", "gluon_tricks/randomness.py",
           "counter=(0, 0, record, 0)", "counter=(record, 0, 0, 0)",
           "tests/test_randomness.py::test_records_do_not_share_a_piece_of_a_stream"),
    mutant("CIFAR padding 3", f"{DATA}/augment.py", "PAD = 4", "PAD = 3",
           f"{CIFAR}::test_windows_and_flips_have_gluoncvs_law"),
    mutant("CIFAR flip probability 0.4", f"{DATA}/augment.py", "draws[:, 2] < 0.5", "draws[:, 2] < 0.4",
           f"{CIFAR}::test_windows_and_flips_have_gluoncvs_law"),
    mutant("CIFAR mean 0.4941", f"{DATA}/augment.py", "0.4914", "0.4941",
           f"{CIFAR}::test_validation_images_are_bit_equal"),

    # §2.1: start and optimizer
    mutant("the paper's Xavier with half the variance", "gluon_tricks/models/initializers.py",
           "math.sqrt(6 /", "math.sqrt(3 /",
           "tests/models/test_initializers.py::test_the_papers_bound_knows_no_kernel"),
    mutant("Xavier on ImageNet", "gluon_tricks/models/initializers.py", "else mx.init.MSRAPrelu()",
           "else mx.init.Xavier()",
           f"{START}::test_weights_have_gluoncvs_law_and_the_rest_its_values[resnet18_v1]"),
    mutant("MSRAPrelu on CIFAR", "gluon_tricks/script/cifar.py", "mx.init.Xavier()", "mx.init.MSRAPrelu()",
           f"{START}::test_weights_have_gluoncvs_law_and_the_rest_its_values[cifar_resnet20_v2]"),
    mutant("momentum's sign", "gluon_tricks/script/imagenet.py", "momentum=args.momentum",
           "momentum=-args.momentum", f"{NAG}::test_float32_steps", f"{LOOPS}[baseline]"),
    mutant("gradient divided by a device's share", "gluon_tricks/training/loop.py",
           "engine.step_size(train_data.batch_size)",
           "engine.step_size(train_data.batch_size) // len(engine.ctx)", f"{TWO_DEVICES}[real-baseline]"),
    mutant("gradients of emulated devices not summed", "gluon_tricks/training/loop.py", "total += gradient",
           "total[:] = gradient", f"{TWO_DEVICES}[emulated-baseline]"),
    mutant("gradients of emulated devices kept", "gluon_tricks/training/loop.py",
           "        self.totals = None\n\n\ndef scaled_update", "\n\ndef scaled_update",
           f"{TWO_DEVICES}[emulated-baseline]"),
    mutant("rate of the next update", "gluon_tricks/training/loop.py", "schedule(progress.num_update)",
           "schedule(progress.num_update + 1)", f"{LOOPS}[warm-up]"),
    mutant("step decay one update late", "gluon_tricks/optim/lr_schedule.py",
           'num_update + (formula == "head")', "num_update",
           f"{RATES}::test_every_update_of_train_imagenet_has_gluoncvs_rate"),

    # §3.1 and §3.2
    mutant("linear scaling from 0.1 at 128", f"{TRICKS}/linear_scaling.py", "0.1, 256", "0.1, 128",
           f"{LOOPS}[linear scaling]"),
    mutant("warm-up off by one", f"{TRICKS}/lr_warmup.py", "(num_update + 1) / (warmup_updates - 1)",
           "(num_update + 1) / warmup_updates",
           f"{RATES}::test_every_update_of_train_imagenet_has_gluoncvs_rate"),
    mutant("warm-up of the logs off by one", f"{TRICKS}/lr_warmup.py", "min(num_update / warmup_updates",
           "min((num_update + 1) / warmup_updates",
           f"{RATES}::test_the_other_conventions_are_mxnets_schedulers_counted_from_one_and_from_zero"),
    mutant("zero gamma missing", "gluon_tricks/models/resnet.py", 'return "zeros" if last_gamma',
           'return "ones" if last_gamma', f"{START}::test_zero_gamma_is_the_last_of_each_block_and_no_other"),
    mutant("gammas decayed", f"{TRICKS}/no_bias_decay.py", ".*beta|.*gamma|.*bias", ".*beta|.*bias",
           f"{LOOPS}[no bias decay]", f"{NAG}::test_float32_steps"),
    mutant("a tenth of the decay on biases", f"{TRICKS}/no_bias_decay.py", "param.wd_mult = 0.0",
           "param.wd_mult = 0.1", f"{LOOPS}[no bias decay]"),
    mutant("no float32 masters", "gluon_tricks/script/imagenet.py", 'multi_precision=dtype == "float16"',
           "multi_precision=False", f"{NAG}::test_float16_weights_follow_their_float32_masters"),
    mutant("loss scale not divided out", "gluon_tricks/training/loop.py", "trainer.update(samples * scale)",
           "trainer.update(samples)", f"{PRECISION}::test_a_power_of_two_as_scale_changes_no_bit"),
    mutant("updates applied though they overflow", f"{TRICKS}/low_precision.py",
           "self.skipped += 1\n            return False", "self.skipped += 1\n            return True",
           f"{PRECISION}::test_updates_that_overflow_are_left_out_until_the_scale_fits"),

    # §5.1 and §5.2
    mutant("cosine reaches 0 late", f"{TRICKS}/cosine_decay.py", '"head": (n + 1, length - 1)',
           '"head": (n + 1, length)', f"{LOOPS}[cosine]",
           f"{RATES}::test_every_update_of_train_imagenet_has_gluoncvs_rate"),
    mutant("half a cosine too far", f"{TRICKS}/cosine_decay.py", "math.cos(math.pi * fraction)",
           "math.cos(2 * math.pi * fraction)", f"{LOOPS}[cosine]"),
    mutant("smoothing by eta / (K - 1)", f"{TRICKS}/label_smoothing.py", "off_value=eta / classes",
           "off_value=eta / (classes - 1)", TARGETS),
    mutant("the true class without its share", f"{TRICKS}/label_smoothing.py",
           "on_value=1 - eta + eta / classes", "on_value=1 - eta", TARGETS),
    mutant("the paper's smoothing over all classes", f"{TRICKS}/label_smoothing.py",
           "off_value=eta / (classes - 1)", "off_value=eta / classes",
           "tests/tricks/test_label_smoothing.py::test_the_papers_rule_spreads_over_the_other_classes"),

    # §5.3
    mutant("T instead of T^2", f"{TRICKS}/distillation.py", "t * t * soft", "t * soft", LOSSES),
    mutant("hard weight on the soft term", f"{TRICKS}/distillation.py", "1 - hard_weight if",
           "hard_weight if", LOSSES),
    mutant("teacher not softened", f"{TRICKS}/distillation.py", "F.softmax(teacher_logits / t)",
           "F.softmax(teacher_logits)", LOSSES),
    mutant("teacher sees other images", "gluon_tricks/script/targets.py", "target, teacher(data)",
           "target, teacher(data[::-1])", f"{LOOPS}[distillation]"),

    # §5.4
    mutant("lam for labels only", f"{TRICKS}/mixup.py", "return lam * data + (1 - lam) * other_data,",
           "return data,", TARGETS),
    mutant("labels of other partners", f"{TRICKS}/mixup.py", "= data[::-1], targets[::-1]",
           "= data[::-1], targets", TARGETS),
    mutant("mixup one epoch too long", "gluon_tricks/script/targets.py",
           "epoch < flags.num_epochs - flags.mixup_off_epoch",
           "epoch <= flags.num_epochs - flags.mixup_off_epoch", f"{LOOPS}[mixup off at the end]", TARGETS),
    mutant("lam leans to the image itself", f"{TRICKS}/mixup.py", "rng.beta(alpha, alpha)",
           "rng.beta(alpha, 0.5 * alpha)", LAM),

    # what is counted
    mutant("RMSE not averaged over devices", "gluon_tricks/training/loop.py", "return len(parts)", "return 1",
           METRICS),
    mutant("mean square without its root", "gluon_tricks/training/loop.py", ".square().mean().sqrt()",
           ".square().mean()", METRICS),
    mutant("top 4 for top 5", "gluon_tricks/training/evaluation.py", "< np.array(top)",
           "< np.array(top) - (np.array(top) > 1)", METRICS),
]


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*",
                        help="only mutants whose name holds one of these words (default: all)")
    parser.add_argument("--list", action="store_true", help="name the mutants and stop")
    args = parser.parse_args()
    chosen = [m for m in MUTANTS if not args.words or any(word in m.name for word in args.words)]
    if args.list or not chosen:
        print("\n".join(m.name for m in MUTANTS))
        return 0 if args.list else 2
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        tree = Path(folder)
        copy_tree(tree)
        guards = sorted({guard for m in chosen for guard in m.guards})
        print(f"{len(guards)} guards on the unchanged tree ...", flush=True)
        code, output = run_tests(tree, guards)
        if code != 0:
            print(f"{output}\nerror: the guards do not pass on the unchanged tree")
            return 2
        survivors = [m.name for number, m in enumerate(chosen, start=1)
                     if not killed(tree, m, f"{number}/{len(chosen)}")]
    print(f"{len(chosen) - len(survivors)} of {len(chosen)} mutants killed"
          + (f"; survived: {', '.join(survivors)}" if survivors else ""))
    return 1 if survivors else 0


def copy_tree(tree):
    for name in COPIED:
        source, target = ROOT / name, tree / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)


def run_tests(tree, guards):
    """(exit code of pytest, what it printed); stops at the first failure."""
    # a stale .pyc would hide a change of equal length
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, "-m", "pytest", "-n0", "-x", "-q", *guards], cwd=tree, env=env,
                          text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.returncode, done.stdout


def killed(tree, mutant, number):
    """Write the mutant, run its guards, put the file back, and say what came of it."""
    path = tree / mutant.file
    original = path.read_text()
    if original.count(mutant.old) != 1:
        print(f"error: {mutant.name}: {mutant.old!r} does not stand exactly once in {mutant.file}")
        sys.exit(2)
    path.write_text(original.replace(mutant.old, mutant.new))
    start = time.time()
    code, output = run_tests(tree, mutant.guards)
    path.write_text(original)
    if code not in (0, 1):             # the tests could not be run: nothing learned
        print(f"{output}\nerror: {mutant.name}: pytest ended with {code}")
        sys.exit(2)
    by = next((line.split(" - ")[0] for line in output.splitlines() if line.startswith("FAILED")), "")
    print(f"{number:>6}  {'killed  ' if code else 'SURVIVED'}  {mutant.name:<42} {time.time() - start:3.0f} "
          f"s  {by.rpartition('::')[2]}", flush=True)
    return code == 1


if __name__ == "__main__":
    sys.exit(main())

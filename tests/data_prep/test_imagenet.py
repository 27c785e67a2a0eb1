"""data_prep/imagenet.py on a synthetic ILSVRC2012 in the publisher's archives."""

import hashlib
import os
import random
import signal
import subprocess
import sys
import tarfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.synthetic_imagenet import (
    FAULTS,
    WNIDS,
    as_validation,
    faulty,
    generated,
    photographs,
    write_devkit,
    write_folders,
    write_tar,
    write_train_tar,
)
from data_prep import imagenet, verify
from data_prep import photographs as preparation
from gluon_tricks.data import manifest as manifests
from gluon_tricks.data.classes import imagenet_val_labels
from gluon_tricks.data.encoded import decode
from gluon_tricks.data.manifest import open_split, read_manifest
from gluon_tricks.data.recordio import RecordReader
from gluon_tricks.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT.parent / "shared" / "data" / "imagenet-sample.tar"
GOOD = generated(classes=6, per_class=8)
VAL = as_validation({wnid: dict(list(members.items())[:2]) for wnid, members in GOOD.items()})


def with_faults(good=GOOD):
    """The good images with all four faults in the second class."""
    return {**good, WNIDS[1]: {**good[WNIDS[1]], **faulty(WNIDS[1], next(iter(good[WNIDS[1]].values())))}}


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    """The publisher's archives without faults, and the flags that name them."""
    folder = tmp_path_factory.mktemp("archives")
    write_train_tar(folder / "train.tar", GOOD)
    write_tar(folder / "val.tar", VAL)
    return folder, ["--train-tar", str(folder / "train.tar"), "--val-tar", str(folder / "val.tar"),
                    "--subset",
                    "--no-checksum"]


@pytest.fixture(scope="module")
def faulty_tar(tmp_path_factory):
    return write_train_tar(tmp_path_factory.mktemp("faulty") / "train.tar", with_faults())


@pytest.fixture(scope="module")
def undisturbed(archives, tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed") / "rec"
    assert imagenet.main([*archives[1], "--out", str(out)]) == 0
    return out


def prepare(out, *flags):
    """Prepare in this process; the manifest."""
    assert imagenet.main([*map(str, flags), "--out", str(out)]) == 0
    return read_manifest(out)


def refused(out, *flags):
    with pytest.raises(UserError) as error:
        imagenet.main([*map(str, flags), "--out", str(out)])
    return str(error.value)


def records(out, split="train"):
    """{key: (label, image bytes)} in the order of the file."""
    reader = RecordReader(out / f"{split}.rec")
    found = [reader.read_image(position) for position in range(len(reader))]
    assert [key for _, _, key, _ in found] == reader.keys.tolist()
    return {key: (int(label), image) for label, image, key, _ in found}


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


# --- what is written ----------------------------------------------------------------------------------------

def test_records_hold_the_source_s_own_bytes_under_sorted_labels(undisturbed):
    expected = [(label, content) for label, wnid in enumerate(GOOD) for _,
                content in sorted(GOOD[wnid].items())]
    assert dict(sorted(records(undisturbed).items())) == dict(enumerate(expected))
    labels = imagenet_val_labels()[:len(VAL)].tolist()
    assert list(records(undisturbed, "val").items()) == list(enumerate(zip(labels, VAL.values())))


def test_the_training_set_is_shuffled_and_the_manifest_says_how(archives, undisturbed, tmp_path):
    manifest = read_manifest(undisturbed)
    assert (manifest.splits["train"].order, manifest.splits["train"].shuffle_seed) == ("shuffled", 0)
    assert (manifest.splits["val"].order, manifest.splits["val"].shuffle_seed) == ("by file name", None)
    orders = {"seed 0": list(records(undisturbed))}
    for name, flags in (("seed 1", ["--seed", "1"]), ("sorted", ["--no-shuffle"])):
        split = prepare(tmp_path / name, *archives[1], *flags).splits["train"]
        assert split.shuffle_seed == {"seed 1": 1, "sorted": None}[name]
        orders[name] = list(records(tmp_path / name))
    assert orders["sorted"] == list(range(48))
    assert sorted(orders["seed 0"]) == sorted(orders["seed 1"]) == orders["sorted"]
    assert len({tuple(order) for order in orders.values()}) == 3


def test_the_manifest_describes_the_folder(undisturbed):
    manifest = read_manifest(undisturbed)
    assert (manifest.dataset, len(manifest.classes), manifest.classes[0]) == ("imagenet", 1000,
                                                                              "n01440764 tench")
    assert manifest.sources == {"train.tar": "", "val.tar": ""}                  # not read through
    assert manifest.splits["train"].per_class == [8] * 6 + [0] * 994
    assert sorted(contents(undisturbed)) == ["manifest.json", "train.idx", "train.rec", "train.records.npy",
                                             "val.idx",
                                             "val.rec", "val.records.npy"]
    assert verify.main([str(undisturbed)]) == 0
    for split in ("train", "val"):
        open_split(undisturbed, split, manifest)


@pytest.mark.parametrize("num_thread", [1, 2, 7])
def test_the_number_of_threads_does_not_show(archives, undisturbed, tmp_path, num_thread):
    prepare(tmp_path / "rec", *archives[1], "--num-thread", num_thread)
    assert contents(tmp_path / "rec") == contents(undisturbed)


def test_class_folders_give_the_same_root_hash(archives, undisturbed, tmp_path):
    labels = imagenet_val_labels()
    val = {}
    for number, (name, content) in enumerate(VAL.items()):
        val.setdefault(WNIDS[labels[number]], {})[name] = content
    write_folders(tmp_path / "train", GOOD)
    write_folders(tmp_path / "val", val)
    manifest = prepare(tmp_path / "rec", "--train-dir", tmp_path / "train", "--val-dir", tmp_path / "val",
                       "--subset")
    assert manifest.root_hash == read_manifest(undisturbed).root_hash
    assert manifest.options == read_manifest(undisturbed).options


def test_the_devkit_s_labels_replace_the_kit_s_own(archives, tmp_path):
    kit = write_devkit(tmp_path / "kit.tar.gz", [WNIDS[999 - i] for i in range(len(VAL))])
    prepare(tmp_path / "rec", "--val-tar", archives[0] / "val.tar", "--devkit", kit, "--subset",
            "--no-checksum")
    assert [label for label, _ in records(tmp_path / "rec", "val").values()] == [999 - i
                                                                                 for i in range(len(VAL))]


def test_other_classes_are_numbered_as_they_are_found(tmp_path):
    images = {"cat": {"1.jpg": next(iter(GOOD[WNIDS[0]].values()))},
              "dog": {"2.jpg": next(iter(GOOD[WNIDS[1]].values()))}}
    write_folders(tmp_path / "train", images)
    write_folders(tmp_path / "val", {"dog": images["dog"]})
    manifest = prepare(tmp_path / "rec", "--train-dir", tmp_path / "train", "--val-dir", tmp_path / "val",
                       "--subset",
                       "--classes", "found")
    assert (manifest.classes, manifest.splits["val"].per_class) == (["cat", "dog"], [0, 1])


def test_mxnets_iterator_reads_the_records(undisturbed):
    import mxnet as mx

    batches = mx.io.ImageRecordIter(path_imgrec=str(undisturbed / "train.rec"),
                                    path_imgidx=str(undisturbed / "train.idx"),
                                    data_shape=(3, 32, 32), batch_size=16, preprocess_threads=1,
                                    verbose=False)
    labels = np.concatenate([batch.label[0].asnumpy() for batch in batches])
    assert labels.tolist() == [label for label, _ in records(undisturbed).values()]
    theirs = mx.recordio.MXIndexedRecordIO(str(undisturbed / "train.idx"), str(undisturbed / "train.rec"),
                                           "r")
    for key, (label, image) in records(undisturbed).items():
        header, content = mx.recordio.unpack(theirs.read_idx(key))
        assert (header.id, header.label, content) == (key, label, image)


@pytest.mark.parametrize("flags, theirs", [((), ["--pass-through"]), (["--resize", "40", "--quality", "90"],
                                                                      ["--resize", "40", "--quality", "90"])])
@pytest.mark.slow
def test_the_files_are_those_of_mxnets_im2rec(tmp_path, flags, theirs):
    import mxnet

    write_folders(tmp_path / "train", GOOD)
    im2rec = [sys.executable, Path(mxnet.__file__).parent / "tools" / "im2rec.py", "list", "train"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONSTARTUP": ""}
    for options in (["--list", "--recursive", "--no-shuffle"], theirs):
        subprocess.run([*im2rec, *options], cwd=tmp_path, env=environment, check=True, capture_output=True,
                       timeout=300)
    prepare(tmp_path / "rec", "--train-dir", tmp_path / "train", "--subset", "--no-shuffle", *flags)
    for kind in ("rec", "idx"):
        assert (tmp_path / "rec" / f"train.{kind}").read_bytes() == (tmp_path / f"list.{kind}").read_bytes()


def test_an_image_with_recordios_magic_number_in_it_survives(tmp_path):
    magic = b"\x0a\x23\xd7\xce"
    jpeg = next(iter(GOOD[WNIDS[0]].values()))
    comment = b"\xff\xfe" + (2 + 30).to_bytes(2, "big") + (b"\0\0" + magic * 7)       # at any alignment
    image = jpeg[:2] + comment + jpeg[2:]
    write_folders(tmp_path / "train", {WNIDS[0]: {"a.jpg": image, "b.jpg": jpeg}})
    prepare(tmp_path / "rec", "--train-dir", tmp_path / "train", "--subset")
    assert {image for _, image in records(tmp_path / "rec").values()} == {image, jpeg}
    assert verify.main([str(tmp_path / "rec")]) == 0


# --- faulty images ------------------------------------------------------------------------------------------

FAULT_NAMES = [f"n01443537.tar: n01443537_fault{i}.JPEG: {fault}" for i, fault in enumerate(FAULTS)]


def test_fail_names_the_first_faulty_image_and_repair_goes_on_behind_it(faulty_tar, tmp_path, capsys):
    flags = ["--train-tar", str(faulty_tar), "--subset", "--no-checksum"]
    said = refused(tmp_path / "rec", *flags, "--on-error", "fail")
    assert any(said.startswith(f"--train-tar {faulty_tar}: {fault}; --on-error "
                               "skip") for fault in FAULT_NAMES)
    assert not (tmp_path / "rec" / "manifest.json").exists()
    going_on = prepare(tmp_path / "rec", *flags, "--on-error", "repair")
    assert "train.rec: continues at image " in capsys.readouterr().err
    assert going_on.root_hash == prepare(tmp_path / "afresh", *flags, "--on-error", "repair").root_hash
    said = refused(tmp_path / "other", *flags, "--on-error", "fail"), refused(tmp_path / "one", *flags,
                                                                              "--on-error", "fail",
                                                                             "--num-thread", "1")
    assert said[0] == said[1]


def test_skip_leaves_faulty_images_out_and_names_them(faulty_tar, tmp_path, capsys):
    manifest = prepare(tmp_path / "rec", "--train-tar", faulty_tar, "--subset", "--no-checksum",
                       "--on-error", "skip")
    split = manifest.splits["train"]
    assert (split.records, sorted(split.left_out), split.repaired) == (48, FAULT_NAMES, [])
    printed = capsys.readouterr().out
    assert all(name in printed for name in FAULT_NAMES)
    assert "  4 left out: " in printed and "1 CMYK JPEG" in printed
    good = {image for members in GOOD.values() for image in members.values()}
    assert {image for _, image in records(tmp_path / "rec").values()} == good
    assert verify.main([str(tmp_path / "rec")]) == 0


@pytest.mark.parametrize("resize", [(), ("--resize", "30")])
def test_repair_mends_what_it_can_and_names_the_rest(faulty_tar, tmp_path, resize):
    manifest = prepare(tmp_path / "rec", "--train-tar", faulty_tar, "--subset", "--no-checksum", *resize)
    split = manifest.splits["train"]
    assert (split.records, split.per_class[:2]) == (50, [8, 10])
    assert (sorted(split.repaired), sorted(split.left_out)) == (FAULT_NAMES[:2], FAULT_NAMES[2:])
    repaired = [image for _, image in records(tmp_path / "rec").values() if image not in
                {image for members in GOOD.values() for image in members.values()}]
    assert len(repaired) == (50 if resize else 2)
    assert all(image.startswith(b"\xff\xd8\xff") and decode(image) is not None for image in repaired)
    assert verify.main([str(tmp_path / "rec")]) == 0


def test_without_subset_what_cannot_be_repaired_ends_the_run(faulty_tar, tmp_path, monkeypatch):
    monkeypatch.setattr(imagenet, "PUBLISHED", replace(imagenet.PUBLISHED, counts={"train": 52}, classes=6))
    said = refused(tmp_path / "rec", "--train-tar", faulty_tar, "--no-checksum", "--num-thread", "1")
    assert "this cannot be repaired, and without it there are fewer than the published 52 images" in said
    assert prepare(tmp_path / "rec", "--train-tar", faulty_tar, "--no-checksum",
                   "--subset").splits["train"].records == 50


@pytest.mark.parametrize("check, kept", [("none", 52), ("header", 50), ("full", 50)])
def test_the_levels_of_checking(faulty_tar, tmp_path, check, kept):
    manifest = prepare(tmp_path / "rec", "--train-tar", faulty_tar, "--subset", "--no-checksum", "--verify",
                       check)
    assert manifest.splits["train"].records == kept
    # and what was not checked is found later
    assert verify.main([str(tmp_path / "rec")]) == (check == "none")


def test_members_that_are_no_images_are_named(tmp_path):
    tar = write_train_tar(tmp_path / "train.tar", {**GOOD, WNIDS[0]: {**GOOD[WNIDS[0]], "notes.txt": b"hello",
                                                                     "page.JPEG": b"<html>"}})
    flags = ["--train-tar", tar, "--subset", "--no-checksum"]
    split = prepare(tmp_path / "rec", *flags).splits["train"]
    assert split.left_out == ["n01440764.tar: page.JPEG: no JPEG or PNG (begins with 3c 68 74 6d 6c 3e) "
                              "(does not decode)",
                              "n01440764.tar: notes.txt: no image by its name"]
    said = refused(tmp_path / "x", *flags, "--on-error", "fail")
    assert "n01440764.tar: notes.txt: no image by its name (1 such members)" in said


def test_an_image_too_large_to_be_one_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(preparation, "MOST_BYTES",
                        max(len(image) for members in GOOD.values() for image in members.values()))
    tar = write_train_tar(tmp_path / "t.tar", {**GOOD, "n01514668": {"huge.JPEG": bytes(100_000)}})
    split = prepare(tmp_path / "rec", "--train-tar", tar, "--subset", "--no-checksum", "--verify",
                    "none").splits["train"]
    assert split.left_out == ["n01514668.tar: huge.JPEG: too large (100000 bytes)"]


# --- kills --------------------------------------------------------------------------------------------------

def command(out, *flags):
    return [sys.executable, "data_prep/imagenet.py", *map(str, flags), "--out", str(out),
            "--journal-seconds", "0"]


@pytest.mark.slow
def test_killed_at_every_step_it_ends_with_the_same_files(tmp_path):
    few = {wnid: dict(list(members.items())[:3]) for wnid, members in list(GOOD.items())[:3]}
    train = write_train_tar(tmp_path / "train.tar", with_faults(few))
    val = write_tar(tmp_path / "val.tar", dict(list(VAL.items())[:3]))
    done = subprocess.run([sys.executable, "tests/data_prep/kill_at_every_step.py", tmp_path / "scratch",
                           "--train-tar", train, "--val-tar", val, "--subset", "--no-checksum", "--num-thread",
                           "1"],
                          cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert int(done.stdout) > 30


@pytest.mark.slow
def test_killed_with_sigkill_at_random_moments_it_ends_with_the_same_files(tmp_path):
    tar = write_train_tar(tmp_path / "train.tar", generated(classes=8, per_class=12, size=(320, 240)))
    flags = ["--train-tar", tar, "--subset", "--no-checksum", "--resize", "300"]
    start = time.monotonic()
    subprocess.run(command(tmp_path / "straight", *flags), cwd=ROOT, check=True, capture_output=True,
                   timeout=300)
    duration = time.monotonic() - start
    for trial in range(3):
        out = tmp_path / f"trial{trial}"
        for _ in range(2):
            process = subprocess.Popen(command(out, *flags), cwd=ROOT, stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL)
            time.sleep(random.uniform(0, duration))
            process.send_signal(signal.SIGKILL)
            process.wait()
        subprocess.run(command(out, *flags), cwd=ROOT, check=True, capture_output=True, timeout=300)
        assert contents(out) == contents(tmp_path / "straight")


def test_a_damaged_part_file_is_noticed_and_the_split_starts_again(faulty_tar, tmp_path, capsys):
    flags = ["--train-tar", str(faulty_tar), "--subset", "--no-checksum"]
    refused(tmp_path / "rec", *flags, "--on-error", "fail")
    part = tmp_path / "rec" / ".train.rec.part"
    for damage in (lambda content: content[:-1] + bytes([content[-1] ^ 1]),
                   lambda content: content[:len(content) // 2],
                   lambda content: b"rubbish"):
        part.write_bytes(damage(part.read_bytes()))
        refused(tmp_path / "rec", *flags, "--on-error", "fail")
        printed = capsys.readouterr().err
        assert f"warning: {part} differs from the file of the interrupted run; train starts again" in printed
    assert prepare(tmp_path / "rec", *flags, "--on-error", "skip").splits["train"].records == 48


def test_a_finished_split_is_not_written_again(archives, tmp_path, monkeypatch):
    def interrupted(*args):
        raise KeyboardInterrupt
    monkeypatch.setattr(preparation, "write_manifest", interrupted)
    with pytest.raises(KeyboardInterrupt):
        imagenet.main([*archives[1], "--out", str(tmp_path / "rec")])
    monkeypatch.undo()
    monkeypatch.setattr(preparation, "pack_split", None)
    prepare(tmp_path / "rec", *archives[1])
    assert not (tmp_path / "rec" / ".prepare.json").exists()


def test_a_full_disk_is_reported_and_the_run_goes_on_when_there_is_room(archives, tmp_path, undisturbed):
    limited = f"ulimit -f 40; exec {' '.join(map(str, command(tmp_path / 'rec', *archives[1])))}"
    done = subprocess.run(["bash", "-c", limited], cwd=ROOT, capture_output=True, text=True, timeout=300,
                          check=False)
    assert done.returncode == 2
    assert f"--out {tmp_path}/rec: File too large; correct this, and the same command continues" in done.stderr
    assert prepare(tmp_path / "rec", *archives[1]).root_hash == read_manifest(undisturbed).root_hash


# --- what a user may get wrong ------------------------------------------------------------------------------

def test_a_finished_folder_is_left_alone(archives, undisturbed, capsys):
    before = contents(undisturbed)
    assert imagenet.main([*archives[1], "--out", str(undisturbed)]) == 0
    assert "is prepared already, root hash " in capsys.readouterr().out
    assert contents(undisturbed) == before


def test_a_folder_of_something_else_is_not_overwritten_unasked(archives, tmp_path):
    out = tmp_path / "rec"
    prepare(out, *archives[1])
    other = [*archives[1], "--resize", "32"]
    assert "holds imagenet of other sources or options" in refused(out, *other)
    (out / "manifest.json").unlink()
    assert "holds train.rec, train.idx, train.records.npy, val.rec, " in refused(out, *other)
    assert prepare(out, *other, "--overwrite").splits["train"].encoding == "shorter edge 32, JPEG quality 95"
    assert verify.main([str(out)]) == 0


def test_an_interrupted_preparation_of_something_else_is_not_overwritten_unasked(faulty_tar, archives,
                                                                                 tmp_path):
    refused(tmp_path / "rec", "--train-tar", faulty_tar, "--subset", "--no-checksum", "--on-error", "fail")
    assert "holds an interrupted preparation" in refused(tmp_path / "rec", *archives[1])
    prepare(tmp_path / "rec", *archives[1], "--overwrite")


@pytest.mark.parametrize("flags, said", [
    ([], "give --train-tar or --train-dir, --val-tar or --val-dir"),
    (["--val-tar", "x", "--classes", "found"], "--classes found: other classes than the published ones are a "
                                               "subset"),
    (["--val-tar", "x", "--num-thread", "0"], "--num-thread 0: must be from 1 to 1024"),
    (["--val-tar", "x", "--resize", "-1"], "--resize -1: must be from 0 to 65500"),
    (["--val-tar", "x", "--quality", "101"], "--quality 101: must be from 1 to 100"),
    (["--val-tar", "x", "--seed", "-1"], "--seed -1: must be from 0"),
    (["--val-tar", "/no/such/file"], "--val-tar /no/such/file: cannot be read (No such file or directory)"),
    (["--val-dir", "/no/such/folder"], "--val-dir /no/such/folder: is no folder"),
])
def test_what_a_user_typed_is_checked_first(tmp_path, flags, said):
    assert refused(tmp_path / "rec", *flags).startswith(said)


def test_an_error_is_one_sentence_and_exit_code_2(tmp_path):
    (tmp_path / "file").touch()
    for flags, said in ((["--val-tar", "no.tar", "--out", str(tmp_path / "rec")], "--val-tar no.tar: cannot "
                                                                                  "be read"),
                        (["--val-tar", "no.tar", "--out", str(tmp_path / "file" / "rec")],
                         "cannot be made (Not a directory)"),
                        (["--val-tar", "a", "--val-dir", "b"], "not allowed with")):
        done = subprocess.run([sys.executable, "data_prep/imagenet.py", *flags], cwd=ROOT,
                              capture_output=True, text=True,
                              timeout=300, check=False)
        assert (done.returncode, done.stdout) == (2, "")
        assert said in done.stderr.splitlines()[-1] and "Traceback" not in done.stderr


def test_published_counts_are_asserted(archives, tmp_path, monkeypatch):
    flags = archives[1][:4] + ["--no-checksum"]
    assert "train.tar: 48 images in 6 classes, published 1281167 in 1000; is the download complete?" in \
        refused(tmp_path / "rec", *flags)
    assert "val.tar: 12 images in 12 classes, published 50000 in 1000" in refused(tmp_path / "rec",
                                                                                  *flags[2:])
    small = replace(imagenet.PUBLISHED, counts={"train": 48, "val": 12}, classes=6)
    monkeypatch.setattr(imagenet, "PUBLISHED", small)
    prepare(tmp_path / "train", *flags[:2], "--no-checksum")
    monkeypatch.setattr(imagenet, "PUBLISHED", replace(small, classes=12))
    assert "has 1 images, published 50 of each" in refused(tmp_path / "rec", *flags[2:])
    monkeypatch.setattr(imagenet, "PUBLISHED_PER_CLASS", {"val": 1})
    prepare(tmp_path / "val", *flags[2:])


def test_published_checksums_are_compared_once(archives, tmp_path, monkeypatch):
    flags = archives[1][:-1]
    said = refused(tmp_path / "rec", *flags)
    md5 = {name: hashlib.md5((archives[0] / f"{name}.tar").read_bytes()).hexdigest()
           for name in ("train", "val")}
    assert f"train.tar: MD5 {md5['train']}, published 1d675b47d978889d74fa0da5fadfb00e" in said
    monkeypatch.setitem(imagenet.PUBLISHED.md5, "--train-tar", md5["train"])
    assert f"val.tar: MD5 {md5['val']}, published 29b22e2961454d5413ddabcf34fc5622" in refused(tmp_path
                                                                                               / "rec",
                                                                                               *flags)
    monkeypatch.setitem(imagenet.PUBLISHED.md5, "--val-tar", md5["val"])
    monkeypatch.setattr(preparation, "digests_of", None)            # both are known by now
    manifest = prepare(tmp_path / "rec", *flags)
    assert manifest.sources == {f"{name}.tar": hashlib.sha256((archives[0]
                                                               / f"{name}.tar").read_bytes()).hexdigest()
                                for name in ("train", "val")}


def test_a_disk_without_room_is_refused_at_once(archives, tmp_path, monkeypatch):
    monkeypatch.setattr(preparation.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 1000}))
    assert "GB are needed, 0.0 GB are free" in refused(tmp_path / "rec", *archives[1])
    monkeypatch.undo()
    prepare(tmp_path / "rec", *archives[1])


def test_a_flat_validation_folder_is_refused(tmp_path):
    (tmp_path / "val").mkdir()
    for name, content in VAL.items():
        (tmp_path / "val" / name).write_bytes(content)
    assert "lies in no class folder and so has no label" in refused(tmp_path / "rec", "--val-dir",
                                                                    tmp_path / "val")


def test_help_has_examples():
    done = subprocess.run([sys.executable, "data_prep/imagenet.py", "--help"], cwd=ROOT, capture_output=True,
                          text=True,
                          timeout=300, check=True)
    assert "python data_prep/imagenet.py --train-tar ILSVRC2012_img_train.tar --val-tar ILSVRC2012_img_" in done.stdout


# --- verifying ----------------------------------------------------------------------------------------------

def test_verify_names_a_damaged_record_of_a_large_file(archives, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(manifests, "HASH_WHOLE_FILES_BELOW", 1000)        # so that only records are hashed
    manifest = prepare(tmp_path / "rec", *archives[1])
    assert manifest.splits["train"].rec_sha256 == ""
    open_split(tmp_path / "rec", "train", manifest)
    assert verify.main([str(tmp_path / "rec")]) == 0
    reader = RecordReader(tmp_path / "rec" / "train.rec")
    damaged = bytearray(reader.path.read_bytes())
    damaged[int(reader.offsets[5]) + 900] ^= 1
    reader.path.write_bytes(damaged)
    capsys.readouterr()
    assert verify.main([str(tmp_path / "rec")]) == 1
    assert f"{reader.describe(5)}: the record is not the one in train.records.npy" in capsys.readouterr().out


# --- photographs --------------------------------------------------------------------------------------------

@pytest.mark.shared
@pytest.mark.skipif(not SAMPLE.exists(), reason=f"{SAMPLE.name} does not lie beside the checkout")
def test_real_photographs_in_the_publishers_layout(tmp_path):
    train = photographs(SAMPLE)
    train = {wnid: train[wnid] for wnid in sorted(train)[::4]}
    first = min(train)
    train[first].update(faulty(first, next(iter(train[first].values()))))
    tar = write_train_tar(tmp_path / "train.tar", train)
    val = write_tar(tmp_path / "val.tar", as_validation(dict(list(train.items())[1:9])))
    flags = ["--train-tar", tar, "--val-tar", val, "--subset", "--no-checksum"]
    manifest = prepare(tmp_path / "rec", *flags)
    split = manifest.splits["train"]
    assert (split.records, manifest.splits["val"].records) == (42, 8)
    assert [len(split.repaired), len(split.left_out)] == [2, 2]
    assert [wnid for wnid, count in zip(WNIDS, split.per_class) if count] == sorted(train)
    assert verify.main([str(tmp_path / "rec")]) == 0
    assert prepare(tmp_path / "small", *flags, "--resize", "256").splits["train"].records == 42
    assert {min(decode(image).shape[:2]) for _, image in records(tmp_path / "small").values()} == {256}
    assert verify.main([str(tmp_path / "small")]) == 0


@pytest.mark.shared
@pytest.mark.skipif(not SAMPLE.exists(), reason=f"{SAMPLE.name} does not lie beside the checkout")
def test_a_tar_of_class_folders_is_read_as_it_is(tmp_path):
    manifest = prepare(tmp_path / "rec", "--train-tar", SAMPLE, "--subset", "--no-checksum", "--verify",
                       "header")
    with tarfile.open(SAMPLE) as tar:
        expected = {tar.extractfile(member).read() for member in tar if member.isfile()}
    assert {image for _, image in records(tmp_path / "rec").values()} == expected
    assert manifest.splits["train"].records == 160

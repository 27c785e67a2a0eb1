"""Images and labels are found in the publisher's files and in folders; what is odd is refused."""

import gzip
import io
import os
import tarfile

import numpy as np
import pytest

from benchmarks.synthetic_imagenet import WNIDS, generated, write_devkit, write_folders, write_tar, write_train_tar
from data_prep.imagenet_sources import Archive, Folder, devkit_val_wnids, list_images, published_val_wnids
from gluon_tricks.errors import UserError

TRAIN = generated(classes=3, per_class=2)
VAL = {f"ILSVRC2012_val_{number:08d}.JPEG": b"jpeg %d" % number for number in (1, 2, 50000)}


def listed(source, **options):
    """{description: (label, content)}, after a check that keys are in the order of the file names."""
    images, _ = list_images(source, **options)
    assert images.names.tolist() == sorted(images.names.tolist())
    return {images.describe(i): (int(images.labels[i]), images.read(i)) for i in range(len(images))}


def error_of(call, *args, **options):
    with pytest.raises(UserError) as error:
        call(*args, **options)
    return str(error.value)


def tar_of(path, *members, content=b"x"):
    """A tar of members given as names or as prepared `TarInfo`s."""
    with tarfile.open(path, "w") as tar:
        for member in members:
            if isinstance(member, str):
                member = tarfile.TarInfo(member)
                member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def special(name, kind, target=""):
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


# --- what is found ------------------------------------------------------------------------------------------

def test_images_of_class_tars_are_read_where_they_lie(tmp_path):
    archive = Archive("--train-tar", write_train_tar(tmp_path / "train.tar", TRAIN))
    assert listed(archive, classes=WNIDS) == {
        f"{wnid}.tar: {name}": (WNIDS.index(wnid), content) for wnid, members in TRAIN.items()
        for name, content in members.items()}


def test_folders_and_archives_give_the_same_images(tmp_path):
    archive, _ = list_images(Archive("--train-tar", write_train_tar(tmp_path / "train.tar", TRAIN)), WNIDS)
    folder, _ = list_images(Folder("--train-dir", write_folders(tmp_path / "train", TRAIN)), WNIDS)
    tar_of_folders = write_tar(tmp_path / "folders.tar", {
        f"./train/{wnid}/{name}": content for wnid, members in TRAIN.items() for name,
                                                          content in members.items()})
    loose, _ = list_images(Archive("--train-tar", tar_of_folders), WNIDS)
    assert archive.sha256() == folder.sha256() == loose.sha256()
    assert [archive.read(i) for i in range(6)] == [folder.read(i) for i in range(6)] == [loose.read(i)
                                                                                         for i in range(6)]
    assert loose.describe(0) == "train/n01440764: n01440764_0.JPEG"


def test_the_order_does_not_depend_on_the_archives(tmp_path):
    turned = {wnid: dict(reversed(TRAIN[wnid].items())) for wnid in reversed(TRAIN)}
    images = [list_images(Archive("--train-tar", write_train_tar(tmp_path / f"{i}.tar", members)), WNIDS)[0]
              for i, members in enumerate((TRAIN, turned))]
    assert images[0].names.tolist() == images[1].names.tolist()
    assert images[0].sha256() == images[1].sha256()


def test_other_images_have_another_hash(tmp_path):
    other = {wnid: {name: content + b"!" for name, content in members.items()} for wnid,
             members in TRAIN.items()}
    hashes = {list_images(Archive("--train-tar", write_train_tar(tmp_path / f"{i}.tar", members)),
                          WNIDS)[0].sha256()
              for i, members in enumerate((TRAIN, other, {wnid: TRAIN[wnid] for wnid in WNIDS[:2]}))}
    assert len(hashes) == 3


@pytest.mark.parametrize("prefix", ["", "./", "ILSVRC2012_img_val/"])
def test_validation_images_get_the_published_labels(tmp_path, prefix):
    archive = Archive("--val-tar", write_tar(tmp_path / "val.tar",
                                             {prefix + name: c for name, c in VAL.items()}))
    images, _ = list_images(archive, WNIDS, published_val_wnids())
    # sea_snake, alp and llama
    assert images.labels.tolist() == [65, 970, 355]
    assert [images.read(i) for i in range(3)] == list(VAL.values())


def test_the_published_validation_labels_are_balanced():
    wnids, counts = np.unique(published_val_wnids(), return_counts=True)
    assert wnids.tolist() == WNIDS and set(counts) == {50}


def test_the_synsets_are_those_of_the_paper_s_data_set():
    assert len(WNIDS) == 1000 and sorted(WNIDS) == WNIDS
    assert (WNIDS[0], WNIDS[1], WNIDS[999]) == ("n01440764", "n01443537", "n15075141")


def test_class_folders_of_validation_images_need_no_list(tmp_path):
    write_folders(tmp_path / "val", {WNIDS[7]: VAL})
    for options in ({}, {"val_wnids": published_val_wnids()}):
        images = listed(Folder("--val-dir", tmp_path / "val"), classes=WNIDS, **options)
        assert [label for label, _ in images.values()] == [7, 7, 7]


def test_classes_may_be_those_that_are_found(tmp_path):
    folder = write_folders(tmp_path / "train",
                           {"dog": {"1.jpg": b"a"}, "cat": {"1.jpg": b"b", "2.png": b"c"}})
    images, classes = list_images(Folder("--train-dir", folder))
    assert classes == ["cat", "dog"]
    assert [(images.describe(i), images.labels[i]) for i in range(3)] == [("cat: 1.jpg", 0),
                                                                          ("dog: 1.jpg", 1),
                                                                         ("cat: 2.png", 0)]


def test_what_is_no_image_by_its_name_is_listed_apart(tmp_path):
    archive = tar_of(tmp_path / "t.tar", "n01440764/a.JPEG", "n01440764/._a.JPEG", "n01440764/Thumbs.db",
                     "README",
                     special("n01440764", tarfile.DIRTYPE), special(".", tarfile.DIRTYPE))
    images, _ = list_images(Archive("--train-tar", archive), WNIDS)
    assert images.strays == ["README"] and images.hidden == ["n01440764: ._a.JPEG", "n01440764: Thumbs.db"]
    folder = tmp_path / "f"
    (folder / "n01440764" / "deeper").mkdir(parents=True)
    (folder / ".git").mkdir()
    for name in ("n01440764/a.JPEG", "n01440764/Thumbs.db", "README"):
        (folder / name).write_bytes(b"x")
    os.symlink("nowhere", folder / "n01440764" / "dead.JPEG")
    images, _ = list_images(Folder("--train-dir", folder), WNIDS)
    assert images.strays == ["README", "n01440764: dead.JPEG/", "n01440764: deeper/"]
    assert images.hidden == [".git/", "n01440764: Thumbs.db"]


def test_names_that_are_no_text_are_read_and_can_be_printed(tmp_path):
    odd = "n01440764/é\udcff.JPEG"
    images, _ = list_images(Archive("--train-tar", tar_of(tmp_path / "t.tar", odd)), WNIDS)
    assert (images.describe(0), images.read(0)) == ("n01440764: é\\udcff.JPEG", b"x")
    (tmp_path / "f" / "n01440764").mkdir(parents=True)
    (tmp_path / "f" / odd).write_bytes(b"y")
    images, _ = list_images(Folder("--train-dir", tmp_path / "f"), WNIDS)
    assert (images.describe(0), images.read(0)) == ("n01440764: é\\udcff.JPEG", b"y")


# --- what is refused ----------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", ["/etc/passwd.JPEG", "../a.JPEG", "n01440764/../../a.JPEG", "..",
                                  "n01440764\\..\\a.JPEG"])
def test_a_member_that_points_out_of_the_archive_is_refused(tmp_path, name):
    archive = Archive("--train-tar", tar_of(tmp_path / "t.tar", "n01440764/good.JPEG", name))
    assert "points out of the archive" in error_of(list_images, archive, WNIDS)
    inner = tar_of(tmp_path / "inner.tar", name).read_bytes()
    archive = Archive("--train-tar", write_tar(tmp_path / "outer.tar", {"n01440764.tar": inner}))
    said = error_of(list_images, archive, WNIDS)
    assert said.startswith(f"--train-tar {tmp_path}/outer.tar: member 'n01440764.tar: "
                           "") and "points out" in said


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE,
                                  tarfile.FIFOTYPE])
def test_links_and_devices_in_an_archive_are_refused(tmp_path, kind):
    members = "n01440764/a.JPEG", special("n01440764/b.JPEG", kind, "n01440764/a.JPEG")
    for path in (tar_of(tmp_path / "t.tar", *members),
                 write_tar(tmp_path / "outer.tar",
                           {"n01440764.tar": tar_of(tmp_path / "i.tar", *members).read_bytes()})):
        assert "is a link, a device or the like" in error_of(list_images, Archive("--train-tar", path), WNIDS)


def whole(tmp_path):
    return bytearray(write_train_tar(tmp_path / "whole.tar", TRAIN).read_bytes())


@pytest.mark.parametrize("cut", [1, 100, 512, 600, 5000, -20000])
def test_a_truncated_archive_is_refused(tmp_path, cut):
    (tmp_path / "t.tar").write_bytes(whole(tmp_path)[:cut])
    said = error_of(list_images, Archive("--train-tar", tmp_path / "t.tar"), WNIDS)
    assert "cannot be read as a tar archive (" in said and said.endswith("is the download complete?")


def test_a_damaged_header_does_not_pass_for_the_end_of_the_archive(tmp_path):
    content = whole(tmp_path)
    second_class = content.index(b"n01443537.tar\0")
    second_image = content.index(b"n01440764_1.JPEG\0")
    for place in (second_class, second_image):
        damaged = content.copy()
        damaged[place + 20] ^= 1
        (tmp_path / "t.tar").write_bytes(damaged)
        assert f"no header at byte {place}" in error_of(list_images,
                                                        Archive("--train-tar", tmp_path / "t.tar"), WNIDS)


def test_an_archive_without_an_end_mark_is_whole(tmp_path):
    inner = tar_of(tmp_path / "i.tar", "a.JPEG").read_bytes()[:1024]
    outer = write_tar(tmp_path / "o.tar", {"n01440764.tar": inner, "n01443537.tar": inner})
    assert len(listed(Archive("--train-tar", outer), classes=WNIDS)) == 2
    outer.write_bytes(outer.read_bytes()[:4 * 512 + 2 * 512])
    assert len(listed(Archive("--train-tar", outer), classes=WNIDS)) == 2


@pytest.mark.parametrize("content", [b"", b"no tar at all" * 100, gzip.compress(b"x" * 2000, mtime=0)],
                         # pytest's own ids would have the bytes: workers must agree
                         ids=["empty", "text", "gzip"])
def test_what_is_no_tar_is_refused(tmp_path, content):
    (tmp_path / "t.tar").write_bytes(content)
    assert "cannot be read as a tar archive" in error_of(list_images,
                                                         Archive("--val-tar", tmp_path / "t.tar"), WNIDS)


def test_a_missing_source_is_refused(tmp_path):
    assert error_of(Archive, "--val-tar", tmp_path / "no.tar") == \
        f"--val-tar {tmp_path}/no.tar: cannot be read (No such file or directory)"
    assert error_of(Folder, "--val-dir", tmp_path / "no") == f"--val-dir {tmp_path}/no: is no folder"
    (tmp_path / "empty").mkdir()
    assert error_of(list_images, Folder("--val-dir",
                                        tmp_path / "empty")) == f"--val-dir {tmp_path}/empty: holds no images"


def test_an_image_that_is_there_twice_is_refused(tmp_path):
    path = tar_of(tmp_path / "t.tar", "n01440764/a.JPEG", "n01443537/a.JPEG", "again/n01440764/a.JPEG")
    assert "n01440764: a.JPEG is there twice (1 such images)" in error_of(list_images,
                                                                          Archive("--train-tar", path), WNIDS)


def test_an_unknown_class_is_refused(tmp_path):
    path = write_train_tar(tmp_path / "t.tar", {**TRAIN, "n00000000": {"a.JPEG": b"x"}})
    said = error_of(list_images, Archive("--train-tar", path), WNIDS)
    assert "'n00000000' is none of the 1000 classes (1 such)" in said and "--classes found" in said


def test_a_flat_validation_folder_without_labels_is_refused(tmp_path):
    for name, content in VAL.items():
        (tmp_path / name).write_bytes(content)
    said = error_of(list_images, Folder("--val-dir", tmp_path), WNIDS)
    assert "lies in no class folder and so has no label; give --val-tar, or the labels with --devkit" in said


def test_a_validation_image_beyond_the_list_is_refused(tmp_path):
    archive = Archive("--val-tar", tar_of(tmp_path / "v.tar", "ILSVRC2012_val_00050001.JPEG"))
    assert "ILSVRC2012_val_00050001.JPEG has no label; the list has those of images 1 to 50000" in \
        error_of(list_images, archive, WNIDS, published_val_wnids())


def test_an_archive_that_is_shortened_meanwhile_is_noticed(tmp_path):
    path = write_train_tar(tmp_path / "t.tar", TRAIN)
    images, _ = list_images(Archive("--train-tar", path), WNIDS)
    os.truncate(path, 1500)
    assert "ends inside n01440764.tar: n01440764_0.JPEG" in error_of(images.read, 0)


# --- the development kit ------------------------------------------------------------------------------------

@pytest.mark.parametrize("seed", [0, 1])
def test_the_devkit_s_ids_are_mapped_to_wnids(tmp_path, seed):
    wnids = [WNIDS[i] for i in (999, 0, 500, 0)]
    assert devkit_val_wnids(write_devkit(tmp_path / "kit.tar.gz", wnids, seed)) == wnids


def test_a_flat_folder_is_labelled_by_the_devkit(tmp_path):
    (tmp_path / "val").mkdir()
    for name in list(VAL)[:2]:
        (tmp_path / "val" / name).write_bytes(VAL[name])
    kit = write_devkit(tmp_path / "kit.tar.gz", [WNIDS[42], WNIDS[7]])
    images, _ = list_images(Folder("--val-dir", tmp_path / "val"), WNIDS, devkit_val_wnids(kit))
    assert images.labels.tolist() == [42, 7]


def test_what_is_no_devkit_is_refused(tmp_path):
    assert "has no meta.mat" in error_of(devkit_val_wnids,
                                         write_tar(tmp_path / "other.tar.gz", {"readme.txt": b""}))
    (tmp_path / "kit.tar.gz").write_bytes(b"nothing")
    assert "cannot be read as a tar archive" in error_of(devkit_val_wnids, tmp_path / "kit.tar.gz")
    truth = "ILSVRC2012_validation_ground_truth.txt"
    broken = write_tar(tmp_path / "broken.tar.gz", {"data/meta.mat": b"no matrix", f"data/{truth}": b"1\n"})
    assert "do not fit together" in error_of(devkit_val_wnids, broken)

"""data_prep/voc.py on synthetic archives in the publisher's layout, sound and hostile."""

import io
import json
import re
import tarfile

import cv2
import numpy as np
import pytest

from data_prep import archives, voc
from gluon_tricks.data.voc import CLASSES, VocDetection, parse_annotation, prepared_zero_based
from gluon_tricks.errors import UserError

OBJECT = ("<object><name>{name}</name><difficult>{hard}</difficult><bndbox><xmin>{0}</xmin><ymin>{1}</ymin><xmax>{2}</xmax>"
          "<ymax>{3}</ymax></bndbox></object>")


def xml(*objects, width=60, height=40):
    return (f"<annotation><size><width>{width}</width><height>{height}</height><depth>3</depth></size>"
            + "".join(objects) + "</annotation>").encode()


def thing(*box, name="dog", hard=0):
    return OBJECT.format(*box, name=name, hard=hard)


def jpeg(width=60, height=40, seed=0):
    image = np.random.default_rng(seed).integers(0, 255, (height, width, 3)).astype(np.uint8)
    return cv2.imencode(".jpg", image)[1].tobytes()


def sound():
    """What an archive of two training images and a test image holds."""
    files = {"VOCdevkit/VOC2007/ImageSets/Main/trainval.txt": b"000001\n000002\n",
             "VOCdevkit/VOC2007/ImageSets/Main/dog_trainval.txt": b"000001  1\n000002 -1\n",
             "VOCdevkit/VOC2007/ImageSets/Main/test.txt": b"000003\n",
             "VOCdevkit/VOC2007/devkit_doc.pdf": b"not needed"}
    annotations = [xml(thing(1, 1, 60, 40), thing(5, 6, 20, 30, name="Person", hard=1)),
                   xml(thing(2, 3, 9, 9, name="cat")), xml()]
    for number, annotation in enumerate(annotations, start=1):
        files[f"VOCdevkit/VOC2007/Annotations/{number:06d}.xml"] = annotation
        files[f"VOCdevkit/VOC2007/JPEGImages/{number:06d}.jpg"] = jpeg(seed=number)
    return files


def write_tar(path, files, links=()):
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        for name, target in links:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            tar.addfile(member)
    return path


def prepare(tmp_path, files, *flags, links=()):
    path = write_tar(tmp_path / "made-up.tar", files, links)
    return voc.main(["--archives", str(path), "--out", str(tmp_path / "voc"), "--subset", *flags])


def test_an_archive_becomes_folders_and_a_manifest(tmp_path, capsys):
    assert prepare(tmp_path, sound()) == 0
    manifest = json.loads((tmp_path / "voc" / "manifest.json").read_text())
    assert manifest["splits"]["VOC2007_trainval"] == {"images": 2, "objects": 3, "difficult": 1,
                                                      "per_class": {"cat": 1, "dog": 1, "person": 1}}
    assert set(manifest["splits"]) == {"VOC2007_trainval", "VOC2007_test"}
    assert not (tmp_path / "voc" / "VOC2007" / "devkit_doc.pdf").exists()
    assert "VOC2007_trainval: 2 images, 3 objects, 1 of them difficult" in capsys.readouterr().out
    dataset = VocDetection(tmp_path / "voc", [(2007, "trainval")])
    assert dataset.classes == CLASSES and len(dataset) == 2
    image, label = dataset[0]
    assert image.shape == (40, 60, 3)
    # from 0; difficult kept
    np.testing.assert_array_equal(label, [[0, 0, 59, 39, 11, 0], [4, 5, 19, 29, 14, 1]])


def test_the_same_command_goes_on_after_an_interruption(tmp_path):
    prepare(tmp_path, sound())
    first = json.loads((tmp_path / "voc" / "manifest.json").read_text())
    (tmp_path / "voc" / "VOC2007" / "JPEGImages" / "000002.jpg").write_bytes(b"half")
    (tmp_path / "voc" / "VOC2007" / "Annotations" / "000001.xml").unlink()
    (tmp_path / "voc" / "VOC2007" / "Annotations" / ".000001.xml.77.part.xml").write_bytes(b"killed here")
    prepare(tmp_path, sound())
    assert json.loads((tmp_path / "voc" / "manifest.json").read_text()) == first


def changed(**files):
    found = sound()
    for name, content in files.items():
        found[f"VOCdevkit/VOC2007/{name}"] = content
    return found


@pytest.mark.parametrize("files, says", [
    ({"Annotations/000001.xml": b"<annotation><size>"}, "000001.xml: broken XML"),
    ({"Annotations/000001.xml": xml(thing(5, 5, 61, 20))},
     r"000001.xml: the box \(5, 5, 61, 20\) of object 1, dog, is not"),
    ({"Annotations/000001.xml": xml(thing(0, 5, 20, 20))}, "is not inside the image of 60 x 40"),
    ({"Annotations/000001.xml": xml(thing(9, 5, 9, 20))}, "is not inside the image"),
    ({"Annotations/000001.xml": xml(thing("x", 5, 9, 20))}, "no number at bndbox/xmin"),
    ({"Annotations/000001.xml": xml(thing("nan", 5, 9, 20))}, "no number at bndbox/xmin"),
    ({"Annotations/000001.xml": xml(thing(5, 5, 9, "1e999"))}, "no number at bndbox/ymax"),
    ({"Annotations/000001.xml": xml(thing(1, 5, 9, 20, name="a&#10;b"))}, r"has no name that can .*'a\\nb'"),
    ({"Annotations/000001.xml": b"<annotation></annotation>"}, "no number at size/width"),
    ({"Annotations/000002.xml": xml(width=600, height=400)},
     "says 600 x 400 pixels, its image has another size"),
    ({"JPEGImages/000002.jpg": b"no image"}, "000002.jpg: the image does not decode"),
    ({"JPEGImages/000002.jpg": jpeg()[:-300]}, r"000002.jpg: the image does not decode \(truncated JPEG\)"),
    ({"ImageSets/Main/trainval.txt": b"000001\n000009\n"},
     "000009.xml: is missing, though trainval.txt lists"),
    ({"ImageSets/Main/trainval.txt": b"\n"}, "trainval.txt: lists no image"),
])
def test_faults_are_named_and_refused(tmp_path, files, says):
    with pytest.raises(UserError, match=says):
        prepare(tmp_path, changed(**files))
    assert not (tmp_path / "voc" / "manifest.json").exists()


@pytest.mark.parametrize("width, says", [
    ("nan", "no number at size/width"), ("inf", "no number at size/width"), ("-60", "an image of -60 x 40"),
    ("60.5", "an image of 60.5 x 40"), ("0", "an image of 0 x 40"), ("1e30", "an image of 1e\\+30 x 40"),
    ("9" * 5000, "no number at size/width"), ("65535", None)])
def test_a_size_that_no_image_has_is_refused(width, says):
    if says is None:
        assert parse_annotation(xml(width=width), "here").width == 65535
        return
    with pytest.raises(UserError, match=f"here: {says}"):
        parse_annotation(xml(width=width), "here")


LAUGHS = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 10))


@pytest.mark.parametrize("content, says", [
    (b'<?xml version="1.0" encoding="no-such"?><annotation/>', "broken XML"),
    (b'<?xml version="1.0" encoding="utf-32"?><annotation/>', "broken XML"),
    (b'<?xml version="1.0" encoding="big5"?><annotation/>', "broken XML"),
    ("<annotation/>".encode("utf-32"), "broken XML"),
    (b"\xff\xfe", "broken XML"),
    (b"", "broken XML"),
    (b"<a>" * 100_000, "broken XML"),
    (f'<!DOCTYPE a [<!ENTITY l0 "ha">{LAUGHS}]><annotation>&l9;</annotation>'.encode(), "declares the entity 'l0'"),
    (b'<!DOCTYPE a [<!ENTITY f SYSTEM "file:///etc/passwd">]><annotation>&f;</annotation>',
     "declares the entity 'f'"),
])
def test_unusable_xml_is_one_sentence(content, says):
    with pytest.raises(UserError, match=f"here: {says}"):
        parse_annotation(content, "here")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_other_encodings_are_read(encoding):
    declared = "" if encoding.startswith("utf") else f'<?xml version="1.0" encoding="{encoding}"?>'
    content = (declared + xml(thing(1, 5, 9, 20, name="\xe9l\xe9phant")).decode()).encode(encoding)
    assert parse_annotation(content, "here").names == ("\xe9l\xe9phant",)


def test_corners_from_0_are_named_and_read_if_asked_for(tmp_path):
    """Both the last pixel and the image's edge are taken as the right and lower end."""
    files = changed(**{"Annotations/000001.xml": xml(thing(0, 0, 60, 39))})
    with pytest.raises(UserError, match=r"the box \(0, 0, 60, 39\) .*corners count from 1, so give --zero-based"):
        prepare(tmp_path, files)
    with pytest.raises(UserError, match=r"is not inside the image of 60 x 40 pixels$"):
        prepare(tmp_path, changed(**{"Annotations/000001.xml": xml(thing(5, 5, 61, 20))}), "--zero-based")
    assert prepare(tmp_path, files, "--zero-based") == 0
    [_, label], [_, other] = VocDetection(tmp_path / "voc", [(2007, "trainval")])     # the manifest says so
    np.testing.assert_array_equal([*label[:, :4], *other[:, :4]], [[0, 0, 60, 39], [2, 3, 9, 9]])
    (tmp_path / "voc" / "manifest.json").unlink()
    with pytest.raises(UserError, match="--zero-based"):
        VocDetection(tmp_path / "voc", [(2007, "trainval")])
    again = VocDetection(tmp_path / "voc", [(2007, "trainval")], zero_based=True)
    np.testing.assert_array_equal(again.label(0)[:, :4], [[0, 0, 60, 39]])


@pytest.mark.parametrize("content", [b"[1]", b"\xff", b"{", b"[" * 100_000])
def test_a_manifest_of_anything_is_no_traceback(tmp_path, content):
    (tmp_path / "manifest.json").write_bytes(content)
    try:
        assert not prepared_zero_based(tmp_path)
    except UserError as error:
        assert "manifest.json: is no manifest" in str(error)


def claim(path, name, size, kind=tarfile.REGTYPE):
    """A tar whose only member says that it has `size` bytes; the file ends after its header."""
    member = tarfile.TarInfo(name)
    member.size, member.type = size, kind
    path.write_bytes(member.tobuf() + bytes(tarfile.RECORDSIZE))
    return ["--archives", str(path), "--out", str(path.parent / "voc"), "--subset"]


def test_sizes_are_checked_before_anything_is_read(tmp_path):
    """A member of 6 GB, and names and extended headers of as much, which `tarfile` would read whole."""
    words = claim(tmp_path / "a.tar", "VOC2007/Annotations/1.xml", 6 << 30)
    with pytest.raises(UserError, match="member 'VOC2007/Annotations/1.xml' has 6442450944 bytes, more than"):
        voc.main(words)
    for kind in (tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.XGLTYPE):
        with pytest.raises(UserError, match="cannot be read as a tar archive"):
            voc.main(claim(tmp_path / "a.tar", "name", 6 << 30, kind))


def test_a_large_member_that_is_not_needed_is_not_read(tmp_path, monkeypatch):
    files = {**sound(), "VOCdevkit/VOC2007/movie.avi": b"x"}
    path = write_tar(tmp_path / "a.tar", files)
    monkeypatch.setattr(archives, "MOST_MEMBER_BYTES", 100)
    found = archives.tar_members("--archives", path, re.compile(".*avi").fullmatch)
    assert [name for name, _ in found] == ["VOCdevkit/VOC2007/movie.avi"]
    with pytest.raises(UserError, match="more than the 100 that are read"):
        list(archives.tar_members("--archives", path))


def test_an_annotation_is_not_read_whatever_its_size(tmp_path):
    prepare(tmp_path, sound())
    path = tmp_path / "voc" / "VOC2007" / "Annotations" / "000001.xml"
    with open(path, "wb") as stream:
        stream.truncate(6 << 30)
    with pytest.raises(UserError, match="000001.xml: 6442450944 bytes, at most"):
        VocDetection(tmp_path / "voc", [(2007, "trainval")])


@pytest.mark.parametrize("name", ["../evil.xml", "VOCdevkit/../../VOC2007/Annotations/1.xml",
                                  "/etc/VOC2007/Annotations/1.xml"])
def test_members_that_lead_out_are_refused(tmp_path, name):
    with pytest.raises(UserError, match="points out of the archive"):
        prepare(tmp_path, {**sound(), name: b"x"})
    assert not list(tmp_path.parent.glob("evil*"))


def test_links_are_refused(tmp_path):
    with pytest.raises(UserError, match="is a link, a device or the like"):
        prepare(tmp_path, sound(), links=[("VOCdevkit/VOC2007/JPEGImages/000009.jpg", "/etc/passwd")])


def test_archives_of_other_things_are_refused(tmp_path):
    with pytest.raises(UserError, match="nothing in VOC's layout"):
        prepare(tmp_path, {"readme.txt": b"hello"})
    (tmp_path / "cut.tar").write_bytes(b"\1" * 1000)
    with pytest.raises(UserError, match="cannot be read as a tar archive"):
        voc.main(["--archives", str(tmp_path / "cut.tar"), "--out", str(tmp_path / "voc"), "--subset"])


def test_published_digest_and_counts_are_demanded(tmp_path):
    path = write_tar(tmp_path / "VOCtrainval_06-Nov-2007.tar", sound())
    with pytest.raises(UserError, match="published 34ed68851bce2a36e2a223fa52c661d592c66b3c"):
        voc.main(["--archives", str(path), "--out", str(tmp_path / "voc")])
    with pytest.raises(UserError, match="2 images with 2 objects, published 5011 with 12608"):
        voc.main(["--archives", str(path), "--out", str(tmp_path / "voc"), "--no-checksum"])


def test_labels_are_those_of_gluoncv(tmp_path):
    gluoncv = pytest.importorskip("gluoncv")
    prepare(tmp_path, sound())
    theirs = gluoncv.data.VOCDetection(root=str(tmp_path / "voc"), splits=[(2007, "trainval")])
    ours = VocDetection(tmp_path / "voc", [(2007, "trainval")])
    for position in range(2):
        for one, other in zip(ours[position], theirs[position]):
            np.testing.assert_array_equal(np.asarray(one.asnumpy() if hasattr(one, "asnumpy") else one),
                                          np.asarray(other.asnumpy() if hasattr(other, "asnumpy") else other))


def test_other_classes_are_found_and_sorted(tmp_path):
    prepare(tmp_path, changed(**{"Annotations/000002.xml": xml(thing(2, 3, 9, 9, name="zebra"))}))
    assert VocDetection(tmp_path / "voc", [(2007, "trainval")]).classes == ("dog", "person", "zebra")


def test_an_image_without_objects_has_an_empty_label():
    annotation = parse_annotation(xml(), "here")
    assert annotation.boxes.shape == (0, 4)


class Answer(io.BytesIO):
    """What `urlopen` returns; `cut` ends it after 100 bytes."""

    def __init__(self, content, cut=False):
        super().__init__(content[:100] if cut else content)
        self.headers = {"Content-Length": str(len(content))}


def test_archives_are_fetched_whole_or_not_at_all(tmp_path, monkeypatch):
    content = write_tar(tmp_path / "there.tar", sound()).read_bytes()
    folder = tmp_path / "downloads"
    folder.mkdir()
    words = ["--archives", str(folder), "--download", "--out", str(tmp_path / "voc"), "--subset",
             "--no-checksum"]
    monkeypatch.setattr("urllib.request.urlopen", lambda url, **_: Answer(content, cut=True))
    with pytest.raises(UserError, match="--download: "
                                        "http://host.robots.ox.ac.uk/.*VOCtrainval_06-Nov-2007.tar cannot be"):
        voc.main(words)
    assert not list(folder.iterdir())
    asked = []
    monkeypatch.setattr("urllib.request.urlopen", lambda url, **_: asked.append(url) or Answer(content))
    assert voc.main(words) == 0
    assert len(asked) == 3 and {path.name for path in folder.iterdir()} == set(voc.PUBLISHED_SHA1)

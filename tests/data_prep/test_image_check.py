"""What is wrong with an image is found, named, and mended where it can be."""

import io

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from benchmarks.synthetic_imagenet import FAULTS, faulty, generated
from data_prep.image_check import LONGEST_JPEG_EDGE, header_problem, process
from gluon_tricks.data.encoded import Undecodable, check_decodes, decode
from gluon_tricks.data.photographs import Photograph

GOOD = generated(classes=1, per_class=1, size=(90, 60))["n01440764"]["n01440764_0.JPEG"]
FAULTY = dict(zip(FAULTS, faulty("n", GOOD).values()))


def encoded(kind, mode="RGB", size=(40, 30), **options):
    stream = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    Image.fromarray(pixels).convert(mode).save(stream, kind, **options)
    return stream.getvalue()


# --- what is found ------------------------------------------------------------------------------------------

@pytest.mark.parametrize("content", [GOOD, encoded("JPEG"), encoded("JPEG", progressive=True),
                                     encoded("JPEG", mode="L"),
                                     encoded("JPEG", comment=b"\xff\xd9 \xff\xda"),
                                     encoded("JPEG") + b"rubbish behind it"])
@pytest.mark.parametrize("verify", ["none", "header", "full"])
def test_a_good_image_is_kept_as_it_is(content, verify):
    assert process("a.JPEG", content, verify, "repair") == (content, "")


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("verify", ["header", "full"])
def test_each_fault_is_named(fault, verify):
    for on_error in ("fail", "skip"):
        assert process("a.JPEG", FAULTY[fault], verify, on_error) == (None, fault)


@pytest.mark.parametrize("content, what", [
    (b"<html>no such file</html>", "no JPEG or PNG (begins with 3c 68 74 6d 6c 3e 6e 6f)"),
    (b"x", "no JPEG or PNG (begins with 78)"),
    (GOOD[:3], "truncated JPEG (ends in its header)"),
    (GOOD[:100], "truncated JPEG (ends in its header)"),
    (GOOD[:-2], "truncated JPEG"),
    (encoded("PNG")[:-20], "truncated PNG"),
    (encoded("GIF"), "GIF under another name"),
    (encoded("BMP"), "BMP under another name"),
    (encoded("WEBP"), "WebP under another name"),
    (encoded("PNG")[:16] + b"\0\0\xff\xff" * 2 + encoded("PNG")[24:], "too large (65535 x 65535 pixels)"),
])
def test_other_faults_are_named_too(content, what):
    assert header_problem("a.JPEG", content).what == what


def test_a_jpeg_that_claims_to_be_huge_is_not_decoded():
    start = GOOD.index(b"\xff\xc0") + 5
    content = GOOD[:start] + b"\xff\xff\xff\xff" + GOOD[start + 4:]
    assert process("a.JPEG", content, "full", "repair") == (None, "too large (65535 x 65535 pixels)")


def test_a_png_that_says_so_is_no_fault():
    png = encoded("PNG")
    assert process("class: a.PNG", png, "full", "fail") == (png, "")
    assert process("class: a.jpg", png, "header", "fail") == (None, "PNG under a JPEG's name")


@pytest.mark.parametrize("kind", ["PNG", "BMP", "JPEG"])
@pytest.mark.parametrize("size", [(1, 1), (1, 40), (3, 2), (7, 7), (40, 7), (8, 8)])
def test_what_training_reads_is_kept_however_narrow(kind, size):
    content = encoded(kind, size=size)
    assert process(f"a.{kind}", content, "full", "fail") == (content, "")
    assert Photograph(content).pixels().shape == (size[1], size[0], 3)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16"])
def test_every_kind_of_png_is_kept(mode):
    stream = io.BytesIO()
    Image.new(mode, (5, 4)).save(stream, "PNG")
    content = stream.getvalue() + b"bytes behind the last chunk" * 9
    assert process("a.png", content, "full", "fail") == (content, "")
    assert Photograph(content).shape == (4, 5)


def test_an_image_of_another_format_that_decodes_is_repaired():
    content = cv2.imencode(".jp2", np.full((64, 80, 3), 90, np.uint8))[1].tobytes()
    repaired, what = process("a.JPEG", content, "full", "repair")
    assert what == "no JPEG or PNG (begins with 00 00 00 0c 6a 50 20 20)" and decode(repaired).shape == (64, 80, 3)


@settings(max_examples=120, deadline=None)
@given(end=st.integers(0, len(GOOD) - 1))
def test_every_truncation_is_found_by_its_header(end):
    assert header_problem("a.JPEG", GOOD[:end]) is not None


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=40).map(lambda tail: b"\xff\xd8\xff" + tail) | st.binary(max_size=8))
def test_no_bytes_upset_the_check(content):
    for verify in ("none", "header", "full"):
        image, problem = process("a.JPEG", content, verify, "repair", resize=0)
        assert (image == content) == (not problem)


PROGRESSIVE = encoded("JPEG", size=(90, 60), progressive=True)


@settings(max_examples=200, deadline=None)
@given(jpeg=st.sampled_from([GOOD, PROGRESSIVE, FAULTY["PNG under a JPEG's name"]]), data=st.data())
def test_decoding_small_refuses_what_decoding_in_full_refuses(jpeg, data):
    content = bytearray(jpeg)
    for _ in range(data.draw(st.integers(0, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = content[:data.draw(st.integers(1, len(content)) | st.just(len(content)))]
    assert found(check_decodes, content) == found(decode, content)


def found(check, content):
    try:
        check(content)
    except Undecodable as error:
        return str(error)
    return ""


# --- what is mended -----------------------------------------------------------------------------------------

@pytest.mark.parametrize("fault", ["CMYK JPEG", "PNG under a JPEG's name"])
def test_repair_makes_an_rgb_jpeg_of_the_same_pixels(fault):
    repaired, what = process("a.JPEG", FAULTY[fault], "header", "repair", quality=100)
    assert (what, header_problem("a.JPEG", repaired)) == (fault, None)
    assert Image.open(io.BytesIO(repaired)).mode == "RGB"
    difference = np.abs(decode(repaired).astype(int) - decode(GOOD).astype(int))
    assert difference.mean() < 4               # quality 100, and CMYK's own rounding and compression


@pytest.mark.parametrize("fault", ["truncated JPEG", "empty"])
def test_what_cannot_be_repaired_is_left_out(fault):
    assert process("a.JPEG", FAULTY[fault], "header", "repair") == (None, fault)


def test_a_repairable_image_that_does_not_decode_is_left_out():
    cmyk = FAULTY["CMYK JPEG"]
    table = cmyk.index(b"\xff\xdb")
    broken = cmyk[:table + 2] + b"\0\4" + cmyk[table + 4:]                  # a quantisation table of no bytes
    assert process("a.JPEG", broken, "header", "repair")[0] is None


@pytest.mark.parametrize("size, expected", [((90, 60), (72, 48)), ((60, 90), (48, 72)), ((31, 20), (74, 48)),
                                            ((7, 7), (48, 48))])
def test_resizing_sets_the_shorter_edge(size, expected):
    image, problem = process("a.JPEG", encoded("JPEG", size=size), "full", "repair", resize=48)
    assert (decode(image).shape[1::-1], problem) == (expected, "")


def test_resizing_turns_the_image_as_exif_asks():
    exif = Image.Exif()
    exif[0x0112] = 6                            # turned by a quarter
    image, _ = process("a.JPEG", encoded("JPEG", size=(60, 30), exif=exif), "full", "repair", resize=20)
    assert decode(image).shape == (40, 20, 3)
    assert not Image.open(io.BytesIO(image)).getexif()


def test_an_image_too_long_to_be_resized_is_left_out():
    content = encoded("JPEG", size=(2 * LONGEST_JPEG_EDGE // 48, 1))
    assert process("a.JPEG", content, "full", "repair", resize=48) == (None, "too long for a JPEG (2729 x 1 "
                                                                             "pixels)")


def test_resizing_finds_faults_even_unasked():
    assert process("a.JPEG", FAULTY["truncated JPEG"], "none", "repair", resize=48) == (None, "truncated JPEG")
    assert process("a.JPEG", b"", "none", "skip", resize=48) == (None, "empty")
    image, problem = process("a.JPEG", FAULTY["CMYK JPEG"], "none", "fail", resize=48)
    assert decode(image).shape[0] == 48 and problem == ""

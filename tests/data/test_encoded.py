"""Encoded images: no valid file is refused, and none whose header claims what the file cannot hold."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from small_records import write_rec

from data_prep.image_check import process
from data_prep.verify import check_record
from gluon_tricks.data.encoded import PNG, Undecodable, decode, fault_of, jpeg_header
from gluon_tricks.data.images import FolderImages, RecordImages
from gluon_tricks.data.loaders import ImagesInMemory
from gluon_tricks.data.photographs import Photograph
from gluon_tricks.errors import UserError

SAVED = {"JPEG": {}, "optimized": {"optimize": True, "quality": 1}, "4:4:4": {"subsampling": 0, "optimize": True},
         "4:2:2": {"subsampling": 1, "optimize": True}, "4:2:0": {"subsampling": 2, "optimize": True},
         "progressive": {"progressive": True, "optimize": True}}


def saved(image, kind="JPEG", **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def noise(width=64, height=48):
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8))


def claiming(jpeg, width, height):
    """The JPEG with another size in its frame."""
    at = next(at for at in map(jpeg.find, (b"\xff\xc0", b"\xff\xc2")) if at > 0) + 5
    return jpeg[:at] + struct.pack(">HH", height, width) + jpeg[at + 4:]


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width, height, data, more=b""):
    """A PNG in grey with this compressed data and further chunks."""
    return (PNG + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)) + more
            + chunk(b"IDAT", data) + chunk(b"IEND", b""))


# --- valid files --------------------------------------------------------------------------------------------

@pytest.mark.parametrize("size", [(1, 1), (7, 3), (17, 65), (2000, 1500)])
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("options", SAVED)
def test_no_jpeg_of_one_colour_is_refused(size, mode, options):
    content = saved(Image.new(mode, size), **SAVED[options])
    assert not fault_of(content) and Photograph(content).shape == size[::-1]


def test_the_limit_of_jpeg_is_reached():
    """Three components without subsampling, shortest code words: two bits for each block, and 32 bytes."""
    content = saved(Image.new("RGB", (1600, 1600)), optimize=True, subsampling=0, quality=1)
    header = jpeg_header(content)
    assert header.least_bytes == 200 * 200 * 3 * 2 // 8
    assert 0 < len(content) - header.scan - header.least_bytes < 32


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "I;16"])
def test_no_png_of_one_colour_is_refused(mode):
    content = saved(Image.new(mode, (1500, 1000)), "PNG", compress_level=9)
    assert not fault_of(content) and decode(content).shape == (1000, 1500, 3)


# --- files that cannot hold their pixels --------------------------------------------------------------------

CLAIMS = {
    "JPEG": (claiming(saved(noise()), 9000, 9000), "9000 x 9000 pixels in"),
    "progressive": (claiming(saved(noise(), progressive=True), 9000, 9000), "9000 x 9000 pixels in"),
    "grey": (claiming(saved(noise().convert("L")), 9000, 9000), "9000 x 9000 pixels in"),
    "PNG": (png(9000, 9000, zlib.compress(bytes(9000))), "9000 x 9000 pixels in"),
    "PNG with a large comment": (png(9000, 9000, zlib.compress(bytes(9000)), chunk(b"tEXt", bytes(99_000))),
                                 "9000 x 9000 pixels in"),
    "JPEG beyond all limits": (claiming(saved(noise()), 20000, 20000), "too large (20000 x 20000 pixels)"),
    "half a JPEG": (saved(noise())[:2000], "truncated JPEG"),
    "half a progressive JPEG": (saved(noise(), progressive=True)[:2000], "truncated JPEG"),
    "half a PNG": (saved(noise(), "PNG")[:5000], "truncated PNG"),
    "a PNG without its end": (saved(noise(), "PNG")[:-12], "truncated PNG"),
}


@pytest.fixture(scope="module")
def claims(tmp_path_factory):
    """A reader of a record for each claim."""
    return write_rec(tmp_path_factory.mktemp("claims"), [content for content, _ in CLAIMS.values()],
                     [0] * len(CLAIMS))


@pytest.mark.parametrize("name", CLAIMS)
def test_preparation_readers_and_verify_refuse_by_one_rule(name, claims, tmp_path):
    content, says = CLAIMS[name]
    position = list(CLAIMS).index(name)
    assert says in process("a.png" if "PNG" in name else "a.jpg", content, "header", "repair")[1]
    assert says in check_record(claims, position, None, (0, 1))[0][0]
    (tmp_path / "class").mkdir()
    (tmp_path / "class" / "image.jpg").write_bytes(content)
    for images, at in ((RecordImages(claims.path), position), (FolderImages(tmp_path), 0)):
        with pytest.raises(UserError) as caught:
            images.read([at])
        assert says in str(caught.value)


def test_images_in_memory_are_checked_before_they_are_decoded(claims):
    with pytest.raises(UserError, match=r"the image does not decode \(too short for its size \(9000 x 9000"):
        ImagesInMemory(claims, [0] * len(claims))


@pytest.mark.parametrize("kind, options", [("BMP", {}), ("WEBP", {}), ("WEBP", {"lossless": True}), ("TIFF", {})])
def test_the_decoder_refuses_incomplete_files_of_other_formats(kind, options):
    content = saved(noise(), kind, **options)
    assert decode(content).shape == (48, 64, 3)
    with pytest.raises(Undecodable):
        decode(content[:len(content) // 2])

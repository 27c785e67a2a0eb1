"""Photographs: as many rows as asked for, and every pixel the full decoder's."""

import io
import struct

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from gluon_tricks.data.encoded import Undecodable
from gluon_tricks.data.photographs import Decoded, Photograph, baseline_frame

HEIGHT, WIDTH = 203, 150                   # neither a multiple of 8 nor of 16


def picture(height=HEIGHT, width=WIDTH, seed=0):
    """Something like a photograph: uint8, shape (height, width, 3), RGB."""
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 1.5), None, 0, 255, cv2.NORM_MINMAX)


def encode(kind="JPEG", mode="RGB", **options):
    stream = io.BytesIO()
    Image.fromarray(picture()).convert(mode).save(stream, kind, **options)
    return stream.getvalue()


def opencv(encoded):
    """The pixels that OpenCV's full decoder gives: RGB."""
    return cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


def exif(orientation):
    """EXIF data with a camera's name and perhaps an orientation: 1 is upright, 6 a quarter turn."""
    data = Image.Exif()
    data[0x0110] = "a camera"
    if orientation is not None:
        data[0x0112] = orientation
    return data


# name -> file, pixels between two coded rows (None: decoded as a whole)
BASELINE = {
    "4:4:4": (encode(subsampling=0), 8),
    "4:2:2": (encode(subsampling=1), 8),
    "4:2:0": (encode(subsampling=2), 16),
    "4:2:0, quality 30": (encode(subsampling=2, quality=30), 16),
    "grey": (encode(mode="L"), 8),
    "tables of its own": (encode(optimize=True), 16),
    "restart markers": (encode(restart_marker_rows=1), 16),
    "many restart markers": (encode(restart_marker_blocks=3, subsampling=0), 8),
    "a comment that looks like a header": (
        encode(comment=b"\xff\xc0\x00\x11\x08\x00\x01\x00\x01\x03\xff\xd9"), 16),
    "bytes after the end": (encode() + bytes(1000), 16),
    "EXIF, upright": (encode(exif=exif(1)), 16),
    "EXIF without orientation": (encode(exif=exif(None)), 16),
}
WHOLE = {
    "progressive": encode(progressive=True),
    "CMYK": encode(mode="CMYK"),
    "turned by EXIF": encode(exif=exif(6)),
    "mirrored by EXIF": encode(exif=exif(2)),
    "EXIF that says nonsense": encode(exif=exif(77)),
    "EXIF that cannot be read": encode(exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + bytes(range(200))),
    "PNG": encode("PNG"),
    "BMP": encode("BMP"),
    "PNG with a palette": encode("PNG", mode="P"),
}


@pytest.mark.parametrize("name", BASELINE)
@settings(max_examples=20, deadline=None)
@given(stop=st.integers(1, HEIGHT))
def test_rows_are_those_of_the_full_decoder(name, stop):
    encoded, _ = BASELINE[name]
    photograph = Photograph(encoded)
    assert photograph.shape == (HEIGHT, WIDTH)
    np.testing.assert_array_equal(photograph.rows(stop)[:stop], opencv(encoded)[:stop])


@pytest.mark.parametrize("name", BASELINE)
def test_no_more_rows_are_decoded_than_needed(name):
    """Whole coded rows, and one more for the colours between two of them."""
    encoded, row = BASELINE[name]
    for stop in (1, row - 1, row, row + 1, 100):
        assert len(Photograph(encoded).rows(stop)) == (stop + row - 1) // row * row + row
    np.testing.assert_array_equal(Photograph(encoded).pixels(), opencv(encoded))


def test_a_row_less_would_give_other_colours():
    """Why one coded row more: of colours at half height, a row's last line is interpolated with the next
    row's first.
    """
    encoded = bytearray(BASELINE["4:2:0"][0])
    struct.pack_into(">H", encoded, baseline_frame(bytes(encoded)).height_at, 64)
    cut, full = opencv(bytes(encoded)), opencv(BASELINE["4:2:0"][0])
    np.testing.assert_array_equal(cut[:63], full[:63])
    assert (cut[63] != full[63]).any()


@pytest.mark.parametrize("name", WHOLE)
def test_other_images_are_decoded_by_opencv(name):
    photograph, expected = Photograph(WHOLE[name]), opencv(WHOLE[name])
    assert baseline_frame(WHOLE[name]) is None
    assert photograph.shape == expected.shape[:2]
    assert photograph.shape == ((WIDTH, HEIGHT) if name == "turned by EXIF" else (HEIGHT, WIDTH))
    for pixels in (photograph.rows(5), photograph.pixels()):
        np.testing.assert_array_equal(pixels, expected)


@pytest.mark.parametrize("encoded", [b"", b"no image", b"\xff\xd8", b"\xff\xd8\xff\xd9", encode()[:3000],
                                     encode()[:-2], encode("PNG")[:50]], ids=len)
def test_what_opencv_does_not_decode_is_named_at_once(encoded):
    """A JPEG without its end among them: where the damage lies in it is not known."""
    with pytest.raises(Undecodable, match="the image does not decode"):
        Photograph(encoded)


def test_a_jpeg_whose_header_alone_is_sound_is_found_when_it_is_decoded():
    encoded = encode()
    at = encoded.index(b"\xff\xc4")                                       # the first table of code words
    broken = encoded[:at + 4] + bytes([255]) * 17 + encoded[at + 21:]
    photograph = Photograph(broken)
    with pytest.raises(Undecodable):
        photograph.rows(10)


def test_the_file_is_left_as_it_was():
    encoded = bytes(BASELINE["4:4:4"][0])
    copy = bytes(bytearray(encoded))
    Photograph(encoded).rows(10)
    assert encoded == copy


@settings(max_examples=300, deadline=None)
@given(start=st.sampled_from([b"", b"\xff\xd8", encode()[:200], encode(exif=exif(6))[:200]]),
       rest=st.binary(max_size=60), end=st.sampled_from([b"", b"\xff\xd9"]))
def test_no_header_confuses_the_reader(start, rest, end):
    frame = baseline_frame(start + rest + end)
    if frame is not None:
        assert frame.height > 0 and frame.width > 0 and frame.row % 8 == 0
        assert start + rest + end[:0] != b"" and frame.height_at + 2 <= len(start + rest)


def test_a_decoded_image_has_a_photographs_face():
    image = picture()
    assert Decoded(image).shape == Photograph(encode()).shape
    assert Decoded(image).rows(3) is Decoded(image).pixels() is image

"""Encoded photographs that are decoded only down to the last row that a crop needs, to the same pixels.

A baseline JPEG codes its rows from top to bottom, and its header states their number. With a smaller number a
decoder stops there, so the rows below a crop cost nothing. Columns cannot be skipped (every code word must be
read to find the next). Decoding at half size would give other pixels than the published runs, which decoded
in full; `docs/input.md` has measurements. simplejpeg (libjpeg-turbo) decodes these JPEGs, OpenCV (also
libjpeg-turbo) everything else.
"""

import struct
from typing import NamedTuple

import cv2
import simplejpeg

from gluon_tricks.data.encoded import END_OF_IMAGE, Undecodable, decode, fault_of

BLOCK = 8                                              # pixels; a coded row is one or more blocks high
BASELINE, APP1 = 0xC0, 0xE1
EXIF, ORIENTATION, UPRIGHT = b"Exif\0\0", 0x0112, 1
# progressive, lossless, arithmetic; the three are tables
OTHER_FRAMES = {*range(0xC1, 0xD0)} - {0xC4, 0xC8, 0xCC}


class Photograph:
    """An encoded image whose size is known before it is decoded.

    Parameters
    ----------
    encoded : bytes
        A whole file of any format that OpenCV reads.

    Attributes
    ----------
    shape : (height, width) in pixels, EXIF orientation applied

    Raises
    ------
    Undecodable
        Here if the file has a fault that its header shows, here or in `rows` if OpenCV gives no image.
    """

    def __init__(self, encoded):
        self._encoded, self._frame, self._pixels = encoded, baseline_frame(encoded), None
        if self._frame is None:
            self._pixels = self._decode_all()
        elif fault := fault_of(encoded):
            raise Undecodable(fault)
        self.shape = self._pixels.shape[:2] if self._frame is None else self._frame[:2]

    def rows(self, stop):
        """At least the rows above `stop`: uint8 RGB, shape (at least stop, width, 3)."""
        if self._pixels is not None:
            return self._pixels
        encoded, height = self._encoded, self._frame.enough(stop)
        if height < self._frame.height:
            encoded = bytearray(encoded)
            struct.pack_into(">H", encoded, self._frame.height_at, height)
        try:
            # strict would refuse the changed height
            return simplejpeg.decode_jpeg(encoded, "RGB", strict=False)
        except ValueError:
            self._pixels = self._decode_all()
            return self._pixels

    def pixels(self):
        """The whole image: uint8 RGB, shape (height, width, 3)."""
        return self.rows(self.shape[0])

    def _decode_all(self):
        return decode_rgb(self._encoded)


class Decoded:
    """A decoded image with the interface of a `Photograph`."""

    def __init__(self, pixels):
        self._pixels, self.shape = pixels, pixels.shape[:2]

    def rows(self, stop):
        return self._pixels

    def pixels(self):
        return self._pixels


class Frame(NamedTuple):
    """Contents of the header of a baseline JPEG."""
    height: int
    width: int
    row: int                 # pixels between two coded rows
    height_at: int           # offset of the two bytes with the height

    def enough(self, stop):
        """The least height with which all rows above `stop` get their final pixels.

        One coded row more than covers them: the colours of a row's last line are interpolated with the next
        row's first.
        """
        return min((-(-stop // self.row) + 1) * self.row, self.height)


def baseline_frame(encoded):
    """The `Frame` of a baseline JPEG in grey or three colours that ends as it should, or None.

    None also if EXIF data require a rotation.
    """
    at, size = 2, len(encoded)
    if encoded[:2] != b"\xff\xd8":
        return None
    while at + 10 <= size and encoded[at] == 0xFF:
        marker, length = encoded[at + 1], encoded[at + 2] << 8 | encoded[at + 3]
        if marker in OTHER_FRAMES:
            return None
        content = encoded[at + 4:at + 2 + length]
        if marker == APP1 and content[:6] == EXIF and not is_upright(content[6:]):
            return None
        if marker == BASELINE:
            bits, height, width, colours = struct.unpack_from(">BHHB", encoded, at + 4)
            if bits != 8 or colours not in (1, 3) or not height or not width or length != 8 + 3 * colours \
                    or at + 2 + length > size or encoded.rfind(END_OF_IMAGE, at) < 0:
                return None
            blocks = max(encoded[at + 11:at + 2 + length:3]) & 15  # the largest vertical sampling factor
            return Frame(height, width, BLOCK * blocks, at + 5)
        at += 2 + length
    return None


def is_upright(tiff):
    """Whether EXIF data, a TIFF file's bytes, need no rotation; False also if they cannot be read."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    try:
        [start] = struct.unpack_from(f"{order}L", tiff, 4)
        [entries] = struct.unpack_from(f"{order}H", tiff, start)
        # tag, type, count, value: 2, 2, 4, 4 bytes
        for entry in range(start + 2, start + 2 + 12 * entries, 12):
            tag, value = struct.unpack_from(f"{order}H6xH2x", tiff, entry)
            if tag == ORIENTATION:
                return value == UPRIGHT
    except struct.error:
        return False
    return True


def decode_rgb(encoded):
    """uint8 RGB image, shape (H, W, 3). EXIF orientation is applied, as MXNet's iterator does."""
    return decode(encoded, cv2.IMREAD_COLOR_RGB)

"""Encoded images: faults that are visible without decoding, and decoding.

Decoders fill the missing part of a JPEG with grey and report nothing. So before it is decoded, a file must be
complete (a JPEG has its end mark behind the first scan, a PNG its last chunk), and long enough for the pixels
that its header claims. The least that a valid file needs, whatever it shows:

    JPEG          2 bits for each block of 8 x 8 in each component: a code word for the mean, one for the rest
    progressive   1 bit for each block: one code word can end 32767 blocks, but each has a mean
    PNG           1 byte of compressed data for 1032 bytes of rows, the limit of deflate
    others        no limit: arithmetic coding and lossless WebP need next to nothing for an even area

Decoders refuse incomplete files of the other formats. What no rule can find: random bytes inside a complete
scan, and half a JPEG to which an end mark was added.
"""

from typing import NamedTuple

import cv2
import numpy as np

MOST_BYTES = 1 << 27                 # far above any photograph; bounds the memory
MOST_PIXELS = 1 << 27
JPEG, PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
END_OF_IMAGE = b"\xff\xd9"
START_OF_SCAN = 0xDA
START_OF_FRAME = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
STANDALONE = {0x00, 0x01, *range(0xD0, 0xD9)}     # no segment follows
BLOCK = 8                                         # pixels
BITS_PER_BLOCK = {0xC0: 2, 0xC1: 2, 0xC2: 1}      # kind of frame -> least bits; others have no useful limit
DEFLATE = 1032                                    # 258 bytes from two bits
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}         # of PNG's color types


class Undecodable(ValueError):
    """The bytes are not a sound image; `fault` is that of `fault_of`, "" if only the decoder refuses them."""

    def __init__(self, fault=""):
        super().__init__("the image does not decode" + (f" ({fault})" if fault else ""))
        self.fault = fault


class JpegHeader(NamedTuple):
    """The frame of a JPEG, and where its first scan begins."""
    kind: int                # marker of the frame
    height: int
    width: int
    sampling: tuple          # (horizontal, vertical) factor of each component
    scan: int

    @property
    def least_bytes(self):
        """Bytes of scans without which no valid file has so many pixels."""
        most = [max(factors) for factors in zip(*self.sampling)]
        blocks = 0
        for across, down in self.sampling:
            # blocks that touch the image; those that only fill up a group of blocks are not counted
            columns, rows = (-(-side * factor // (BLOCK * largest)) for side, factor, largest in
                             zip((self.width, self.height), (across, down), most))
            blocks += columns * rows
        return blocks * BITS_PER_BLOCK.get(self.kind, 0) // 8


def fault_of(content):
    """What is wrong with an encoded image as far as its header and its end show it; "" if nothing is.

    Formats other than JPEG and PNG are left to the decoder.
    """
    if not content:
        return "empty"
    if len(content) > MOST_BYTES:
        return f"too large ({len(content)} bytes)"
    if content.startswith(JPEG):
        return _jpeg_fault(content)
    return _png_fault(content) if content.startswith(PNG) else ""


def decode(content, flags=cv2.IMREAD_COLOR):
    """The pixels of an encoded image, as `cv2.imdecode` gives them: BGR, rotated as EXIF says.

    Raises
    ------
    Undecodable
        If the image has a fault (`fault_of`) or does not decode.
    """
    fault = fault_of(content)
    if fault:
        raise Undecodable(fault)
    try:
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    except cv2.error:                # more pixels than OpenCV accepts, in a format that is not checked here
        pixels = None
    if pixels is None:
        raise Undecodable
    return pixels


def check_decodes(content):
    """Decode an image as fast as the same faults are found.

    A JPEG is decoded at an eighth of its size, which takes half of the time. Other formats would be decoded
    in full and then reduced, and OpenCV refuses to reduce an image narrower than 8 pixels.

    Returns
    -------
    (height, width, factor) : the decoded size, which is the image's divided by `factor` and rounded up

    """
    factor = BLOCK if content.startswith(JPEG) else 1
    height, width = decode(content, cv2.IMREAD_COLOR if factor == 1 else cv2.IMREAD_REDUCED_COLOR_8).shape[:2]
    return height, width, factor


def jpeg_header(content):
    """The `JpegHeader` of a JPEG; None if it ends before its first scan."""
    frame, position = None, 2
    while True:
        position = content.find(b"\xff", position)
        while content[position:position + 1] == b"\xff":
            position += 1
        # length, and in a frame: precision, height, width, components
        segment = content[position + 1:position + 9]
        if position < 0 or len(segment) < 8:
            return None
        marker = content[position]
        if marker == START_OF_SCAN:
            return frame and JpegHeader(*frame, position)
        if marker in START_OF_FRAME:
            height, width = (int.from_bytes(segment[at:at + 2], "big") for at in (3, 5))
            factors = content[position + 10:position + 9 + 3 * segment[7]:3]
            frame = marker, height, width, tuple((max(1, byte >> 4), max(1, byte & 15)) for byte in factors)
        position += 1 if marker in STANDALONE else 1 + int.from_bytes(segment[:2], "big")


def _jpeg_fault(content):
    header = jpeg_header(content)
    if header is None or not header.sampling:
        return "truncated JPEG (ends in its header)"
    # inside a scan 0xff is followed by 0 or a restart marker
    if content.rfind(END_OF_IMAGE, header.scan) < 0:
        return "truncated JPEG"
    return _size_fault(header.width, header.height, header.least_bytes, len(content) - header.scan)


def _png_fault(content):
    if content[12:16] != b"IHDR" or len(content) < 33:
        return "truncated PNG"
    width, height = int.from_bytes(content[16:20], "big"), int.from_bytes(content[20:24], "big")
    at, data = len(PNG), 0
    while content[at + 4:at + 8] != b"IEND":
        length = int.from_bytes(content[at:at + 4], "big")
        data += length * (content[at + 4:at + 8] == b"IDAT")
        at += 12 + length
        if at + 12 > len(content):
            return "truncated PNG"
    bits = width * content[24] * CHANNELS.get(content[25], 1)
    return _size_fault(width, height, height * bits // (8 * DEFLATE), data)


def _size_fault(width, height, least, found):
    if width * height > MOST_PIXELS:
        return f"too large ({width} x {height} pixels)"
    if least > found:
        return f"too short for its size ({width} x {height} pixels in {found} bytes)"
    return ""

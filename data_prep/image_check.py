"""What is wrong with an encoded image, and what can be done about it.

ILSVRC2012 itself holds 22 CMYK JPEGs and a PNG under a JPEG's name; downloads and disks add truncated and empty files.
MXNet's iterator decodes the former, other loaders do not; the latter it decodes to grey or dies of.

Levels of checking: `header` looks at markers, components and the end of the file, which finds all of the above in some
microseconds; `full` also decodes. Neither sees garbage inside an otherwise whole scan: no decoder refuses that.
"""

from typing import NamedTuple

import cv2
import numpy as np

MOST_BYTES = 1 << 27                 # far above any image of ILSVRC2012; so that memory stays bounded
MOST_PIXELS = 1 << 27
JPEG, PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
OTHER_FORMATS = {b"GIF8": "GIF", b"BM": "BMP", b"RIFF": "WebP", b"II*\0": "TIFF", b"MM\0*": "TIFF"}
START_OF_SCAN = 0xDA
START_OF_FRAME = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
STANDALONE = {0x00, 0x01, *range(0xD0, 0xD9)}     # no segment follows
END_OF_IMAGE = b"\xff\xd9"
LONGEST_JPEG_EDGE = 65500            # libjpeg's limit


class Problem(NamedTuple):
    what: str                        # images are counted by it, without what stands in brackets
    repairable: bool = False


def process(name, content, verify, on_error, resize=0, quality=95):
    """The image to store for a source's image.

    Parameters
    ----------
    name : str
        A PNG is as good as a JPEG unless its name says that it is one.
    content : bytes
    verify : "none", "header" or "full"
    on_error : "fail", "skip" or "repair"
        Only "repair" returns an image despite a problem, decoded and encoded again as an RGB JPEG.
    resize : int
        Length of the shorter edge to store; 0 keeps the image's own bytes.
    quality : int
        Of the JPEGs encoded here.

    Returns
    -------
    content : bytes, or None if the image is to be left out
    problem : str, "" if there is none
    """
    problem = header_problem(name, content) if verify != "none" else None
    if problem and not (on_error == "repair" and problem.repairable):
        return None, problem.what
    what = problem.what if problem else ""
    if problem or resize:
        image = decode(content)
        if image is None:
            return None, f"{what} (does not decode)" if what else "does not decode"
        stored = encode_jpeg(resize_short_edge(image, resize) if resize else image, quality)
        return stored, what if stored else "too long for a JPEG ({1} x {0} pixels)".format(*image.shape)
    # The smallest size still reads the whole file, and refuses what a full decoding refuses, in half of the time
    if verify == "full" and decode(content, cv2.IMREAD_REDUCED_COLOR_8) is None:
        return None, "does not decode"
    return content, ""


def header_problem(name, content):
    """What can be said against an image without decoding it; None if nothing."""
    if not content:
        return Problem("empty")
    if content.startswith(JPEG):
        return _jpeg_problem(content)
    if content.startswith(PNG):
        return _png_problem(name, content)
    for signature, known in OTHER_FORMATS.items():
        if content.startswith(signature):
            return Problem(f"{known} under another name", repairable=True)
    return Problem(f"no image (begins with {content[:8].hex(' ')})")


def _jpeg_problem(content):
    size, scan = _jpeg_size(content)
    if size is None or scan is None:
        return Problem("truncated JPEG (ends in its header)")
    height, width, components = size
    if height * width > MOST_PIXELS:
        return Problem(f"too large ({width} x {height} pixels)")
    if content.rfind(END_OF_IMAGE, scan) < 0:            # inside a scan 0xff is followed by 0 or a restart marker
        return Problem("truncated JPEG")
    return Problem("CMYK JPEG", repairable=True) if components == 4 else None


def _jpeg_size(content):
    """`(height, width, components)` and where the first scan begins; None for what the file ends before."""
    size, position = None, 2
    while True:
        position = content.find(b"\xff", position)
        while content[position:position + 1] == b"\xff":
            position += 1
        segment = content[position + 1:position + 9]     # length, and in a frame: precision, height, width, components
        if position < 0 or len(segment) < 8:
            return size, None
        marker = content[position]
        if marker == START_OF_SCAN:
            return size, position
        if marker in START_OF_FRAME:
            size = int.from_bytes(segment[3:5], "big"), int.from_bytes(segment[5:7], "big"), segment[7]
        position += 1 if marker in STANDALONE else 1 + int.from_bytes(segment[:2], "big")


def _png_problem(name, content):
    width, height = int.from_bytes(content[16:20], "big"), int.from_bytes(content[20:24], "big")
    if width * height > MOST_PIXELS:
        return Problem(f"too large ({width} x {height} pixels)")
    if b"IEND" not in content[-64:]:
        return Problem("truncated PNG")
    return None if name.lower().endswith(".png") else Problem("PNG under a JPEG's name", repairable=True)


def decode(content, flags=cv2.IMREAD_COLOR):
    """BGR pixels, turned as EXIF asks, as MXNet's iterator has them; None if the image does not decode."""
    try:
        return cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    except cv2.error:                # nothing in it, or more pixels than OpenCV accepts
        return None


def resize_short_edge(image, edge):
    """The image with its shorter edge of this length, as MXNet's im2rec makes it: bilinear, smaller images enlarged.

    None if the longer edge would not fit into a JPEG.
    """
    height, width = image.shape[:2]
    size = (edge, height * edge // width) if height > width else (width * edge // height, edge)
    return cv2.resize(image, size) if max(size) <= LONGEST_JPEG_EDGE else None


def encode_jpeg(image, quality):
    """JPEG bytes; None for what no JPEG can hold."""
    if image is None or max(image.shape) > LONGEST_JPEG_EDGE:
        return None
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()

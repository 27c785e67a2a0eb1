"""Find and repair faults of encoded images.

ILSVRC2012 has 22 CMYK JPEGs and a PNG under a JPEG's name. MXNet's iterator decodes these; other loaders do
not. Downloads and disks add truncated and empty files. MXNet's iterator decodes these to grey, or crashes.

The check `header` reads markers, components and the end of the file; it takes microseconds and finds all of
the above. `full` also decodes. Neither finds random bytes inside a complete scan: no decoder refuses these.
"""

from typing import NamedTuple

import cv2
import numpy as np

MOST_BYTES = 1 << 27                 # far above any image of ILSVRC2012; bounds the memory
MOST_PIXELS = 1 << 27
JPEG, PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
OTHER_FORMATS = {b"GIF8": "GIF", b"BM": "BMP", b"RIFF": "WebP", b"II*\0": "TIFF", b"MM\0*": "TIFF"}
START_OF_SCAN = 0xDA
START_OF_FRAME = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
STANDALONE = {0x00, 0x01, *range(0xD0, 0xD9)}     # no segment follows
END_OF_IMAGE = b"\xff\xd9"
LONGEST_JPEG_EDGE = 65500            # libjpeg's limit


class Problem(NamedTuple):
    what: str                        # reports count images by it, without the part in brackets
    repairable: bool = False


def process(name, content, verify, on_error, resize=0, quality=95):
    """Check an image, and repair it if asked to.

    Parameters
    ----------
    name : str
        A PNG is valid unless its name is that of a JPEG.
    content : bytes
    verify : "none", "header" or "full"
    on_error : "fail", "skip" or "repair"
        Only "repair" returns an image despite a problem: decoded, and encoded again as an RGB JPEG.
    resize : int
        Length of the shorter edge to store; 0 keeps the image's own bytes.
    quality : int
        JPEG quality of images encoded here.

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
    # Decoding at the smallest size reads the whole file and finds the same faults, in half of the time
    if verify == "full" and decode(content, cv2.IMREAD_REDUCED_COLOR_8) is None:
        return None, "does not decode"
    return content, ""


def header_problem(name, content):
    """The `Problem` of an image that is visible without decoding; None if there is none."""
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
    if content.rfind(END_OF_IMAGE, scan) < 0:  # inside a scan 0xff is followed by 0 or a restart marker
        return Problem("truncated JPEG")
    return Problem("CMYK JPEG", repairable=True) if components == 4 else None


def _jpeg_size(content):
    """`(height, width, components)` and the position of the first scan; None for each that is missing."""
    size, position = None, 2
    while True:
        position = content.find(b"\xff", position)
        while content[position:position + 1] == b"\xff":
            position += 1
        # length, and in a frame: precision, height, width, components
        segment = content[position + 1:position + 9]
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
    """BGR pixels, rotated as EXIF says, as in MXNet's iterator; None if the image does not decode."""
    try:
        return cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    except cv2.error:                # it is empty, or has more pixels than OpenCV accepts
        return None


def resize_short_edge(image, edge):
    """The image scaled so that its shorter edge has this length: bilinear, as in MXNet's im2rec.

    Smaller images are enlarged. None if the longer edge would not fit into a JPEG.
    """
    height, width = image.shape[:2]
    size = (edge, height * edge // width) if height > width else (width * edge // height, edge)
    return cv2.resize(image, size) if max(size) <= LONGEST_JPEG_EDGE else None


def encode_jpeg(image, quality):
    """JPEG bytes; None for an image of None or one too large for a JPEG."""
    if image is None or max(image.shape) > LONGEST_JPEG_EDGE:
        return None
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()

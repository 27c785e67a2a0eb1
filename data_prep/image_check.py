"""Find and repair faults of encoded images.

ILSVRC2012 has 22 CMYK JPEGs and a PNG under a JPEG's name. MXNet's iterator decodes these; other loaders do
not. Downloads and disks add truncated and empty files. MXNet's iterator decodes these to grey, or crashes.

The check `header` is `fault_of` of `gluon_tricks/data/encoded.py`, the rule of training, and finds all of the
above in microseconds. `full` also decodes, as training does. So what is kept can be trained on.
"""

from typing import NamedTuple

import cv2

from gluon_tricks.data.encoded import JPEG, PNG, Undecodable, check_decodes, decode, fault_of, jpeg_header

# Signature -> format, and the suffix with which training reads it as it is
OTHER_FORMATS = {PNG: ("PNG", ".png"), b"BM": ("BMP", ".bmp"), b"GIF8": ("GIF", None),
                 b"RIFF": ("WebP", None), b"II*\0": ("TIFF", None), b"MM\0*": ("TIFF", None)}
LONGEST_JPEG_EDGE = 65500            # libjpeg's limit


class Problem(NamedTuple):
    what: str                        # reports count images by it, without the part in brackets
    repairable: bool = False


def process(name, content, verify, on_error, resize=0, quality=95):
    """Check an image, and repair it if asked to.

    Parameters
    ----------
    name : str
        A PNG or BMP is valid under its own suffix only.
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
    try:
        if problem or resize:
            image = decode(content)
            stored = encode_jpeg(resize_short_edge(image, resize) if resize else image, quality)
            return stored, what if stored else "too long for a JPEG ({1} x {0} pixels)".format(*image.shape)
        if verify == "full":
            check_decodes(content)
    except Undecodable as error:
        if error.fault:
            return None, error.fault
        return None, f"{what} (does not decode)" if what else "does not decode"
    return content, ""


def header_problem(name, content):
    """The `Problem` of an image that is visible without decoding; None if there is none."""
    fault = fault_of(content)
    if fault:
        return Problem(fault)
    if content.startswith(JPEG):
        return Problem("CMYK JPEG", repairable=True) if len(jpeg_header(content).sampling) == 4 else None
    for signature, (known, suffix) in OTHER_FORMATS.items():
        if content.startswith(signature):
            named = suffix and name.lower().endswith(suffix)
            other = "a JPEG's" if known == "PNG" else "another"
            return None if named else Problem(f"{known} under {other} name", repairable=True)
    return Problem(f"no JPEG or PNG (begins with {content[:8].hex(' ')})", repairable=True)


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

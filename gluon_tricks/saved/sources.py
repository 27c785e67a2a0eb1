"""Images to ask a net about: files, folders, patterns, standard input."""

import glob
import os
from pathlib import Path
from typing import NamedTuple

import cv2

from gluon_tricks.data.encoded import Undecodable
from gluon_tricks.data.folders import IMAGE_SUFFIXES, is_hidden, is_image
from gluon_tricks.data.images import BLACK, LEFT_OUT, Images
from gluon_tricks.data.photographs import Decoded, Photograph
from gluon_tricks.errors import UserError

STANDARD_INPUT = "-"


class Source(NamedTuple):
    """An image: its name in answers, and its file, encoded bytes, or pixels (uint8 RGB, shape (H, W, 3))."""
    name: str
    content: object


class Sources(NamedTuple):
    """Images in the order in which they were named; of a folder, sorted by path."""
    images: list
    left_out: int            # files in folders whose names are no images'


def find_sources(words, stdin):
    """The images that the words of a command line name.

    Parameters
    ----------
    words : list of str
        Files, folders (with all folders in them, without hidden files and folders), patterns such as
        `photos/*.jpg`, or `-`: standard input, an image or a list of files, one a line.
    stdin : binary file

    Returns
    -------
    Sources

    Raises
    ------
    UserError
        If a word names nothing.
    """
    images, left_out = [], 0
    for word in words:
        path = Path(word).expanduser()
        if word == STANDARD_INPUT:
            images += read_standard_input(stdin)
        elif path.is_dir():
            found, others = walk(path)
            images += found
            left_out += others
            if not found:
                raise UserError(f"{word}: the folder has no images ({', '.join(IMAGE_SUFFIXES)})")
        elif path.is_file():
            images.append(Source(word, path))
        else:
            found = sorted(filter(os.path.isfile, glob.glob(str(path), recursive=True)))
            if not found:
                raise UserError(f"{word}: is neither a file nor a folder, and as a pattern it matches no "
                                "file")
            images += [Source(one, Path(one)) for one in found]
    return Sources(images, left_out)


def walk(folder):
    """`(images, number of other files)` in a folder and all folders in it, hidden ones left out."""
    found, others = [], 0
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not is_hidden(name))
        for name in sorted(name for name in files if not is_hidden(name)):
            if is_image(name):
                found.append(Source(os.path.join(place, name), Path(place, name)))
            else:
                others += 1
    return found, others


def read_standard_input(stdin):
    """The images in standard input: a list of files if it is text, else one encoded image."""
    content = stdin.read()
    if not content:
        raise UserError("-: standard input is empty; give an image, or a list of files, one a line")
    try:
        names = content.decode().splitlines()
    except UnicodeDecodeError:
        names = []
    if names and all(map(str.isprintable, names)):
        return [Source(name, Path(name).expanduser()) for name in names if name]
    return [Source(STANDARD_INPUT, content)]


class FileImages(Images):
    """The images of some `Source`s, without labels. Those that cannot be read are in `bad`, with the reason.

    Parameters
    ----------
    sources : list of Source
    channels : 3 or 1
        1: colours are made grey.
    """

    def __init__(self, sources, channels=3):
        super().__init__("leave out")
        self.sources, self.channels = sources, channels

    def __len__(self):
        return len(self.sources)

    def _one(self, position, number, take):
        try:
            photograph = photograph_of(self.sources[position].content)
            return take(number, grey(photograph) if self.channels == 1 else photograph), 0
        except Undecodable as damage:
            self.bad[position] = str(damage)
        except OSError as error:
            self.bad[position] = f"cannot be read ({error.strerror})"
        return take(number, BLACK), LEFT_OUT


def photograph_of(content):
    """A `Photograph` of a file or of encoded bytes, or `Decoded` pixels."""
    if isinstance(content, Path):
        content = content.read_bytes()
    return Photograph(content) if isinstance(content, bytes) else Decoded(content)


def grey(photograph):
    """The photograph as three equal channels."""
    plane = cv2.cvtColor(photograph.pixels(), cv2.COLOR_RGB2GRAY)
    return Decoded(cv2.cvtColor(plane, cv2.COLOR_GRAY2RGB))

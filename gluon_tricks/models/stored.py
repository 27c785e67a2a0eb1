"""The place of an array in a file, whatever the format."""

import math
from typing import NamedTuple

import numpy as np

BFLOAT16 = np.dtype([("bfloat16", np.uint16)])                   # MXNet's name for it


class Damaged(ValueError):
    """A file is not what its format asks for; the message has the place."""


class Stored(NamedTuple):
    """The place of an array's values in a file."""
    shape: tuple
    dtype: np.dtype
    start: int

    def array(self, content):
        """The values: a view of `content`; bfloat16 as float32."""
        count = math.prod(self.shape)
        if self.dtype == BFLOAT16:
            return widened(np.frombuffer(content, "<u2", count, self.start)).reshape(self.shape)
        return np.frombuffer(content, self.dtype, count, self.start).reshape(self.shape)


def widened(halves):
    """bfloat16, given as 16-bit numbers, as float32."""
    return (halves.astype("<u4") << 16).view("<f4")

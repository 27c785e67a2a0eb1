"""Check that all processes have the same parameters, bit for bit."""

import zlib
from collections import Counter

import numpy as np

from gluon_tricks.parameters import is_statistic, named_parameters


class OutOfSync(Exception):
    """Parameters differ between processes."""


def check_in_sync(net, engine, num_update):
    """Compare checksums of all parameters over the processes; every process must call it.

    BatchNorm's running statistics are local during training and are not compared.

    Raises
    ------
    OutOfSync
        On every process; names the ranks that differ from the majority.
    """
    if engine.world_size == 1:
        return
    names, sums = zip(*((name, zlib.crc32(np.ascontiguousarray(param.list_data()[0].asnumpy())))
                        for name, param in named_parameters(net).items() if not is_statistic(param)))
    table = engine.gather(sums)
    # of equally common ones, that of the lowest rank
    common = Counter(map(tuple, table)).most_common(1)[0][0]
    differing = [rank for rank, row in enumerate(table) if tuple(row) != common]
    if differing:
        name = names[int(np.flatnonzero(table[differing[0]] != common)[0])]
        raise OutOfSync(f"rank {', '.join(map(str, differing))}: parameters differ from the other ranks' "
                        f"after update {num_update}, first in {name}; numbers are corrupted on the way, or "
                        f"programs differ")

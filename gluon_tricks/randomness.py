"""Randomness as a function, not a state.

Every draw follows from `(seed, purpose, epoch, index)` alone, through numpy's counter-based Philox generator.
It does not depend on the number of workers, their order, or resumptions. MXNet's own generator
(initialisation, dropout) gets its seeds from the same numbers.
"""

import functools
import zlib

import numpy as np

# Purposes: independent streams
ORDER, AUGMENT, MIXUP, NET, PACKING, CUTOUT, ERASE, COLOR = range(1, 9)


def purpose_of(word):
    """The number of a purpose: one of the above as it is, or another one for each name."""
    return word if isinstance(word, int) else 1 << 32 | zlib.crc32(word.encode())


def generator(seed, *words):
    """A numpy generator that depends on these integers alone."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, *words))))


@functools.lru_cache(maxsize=2)                   # the current epoch and the one being prefetched
def epoch_order(seed, epoch, records):
    """The permutation of `range(records)` in which an epoch visits the records; int64, shape (records,)."""
    order = _permutation(generator(seed, ORDER, epoch), records)
    order.flags.writeable = False
    return order


def packing_order(seed, records):
    """The order in which `records` images are written: a permutation, int64, shape (records,)."""
    return _permutation(generator(seed, PACKING), records)


def _permutation(rng, count):
    # Sorting uniform draws, not Generator.permutation: numpy may change the latter's algorithm between
    # versions
    return np.argsort(rng.random(count), kind="stable")


@functools.lru_cache(maxsize=6)                   # three purposes
def sample_draws(seed, epoch, records, draws, purpose=AUGMENT):
    """Uniform draws in [0, 1), shape (records, draws): row *i* belongs to record *i* in this epoch.

    The table is filled row by row, so row *i* does not depend on the number of records.
    """
    table = generator(seed, purpose, epoch).random((records, draws))
    table.flags.writeable = False
    return table


@functools.lru_cache(maxsize=2)
def _epoch_key(seed, epoch):
    return np.random.SeedSequence((seed, AUGMENT, epoch)).generate_state(2, np.uint64)


def sample_generator(seed, epoch, record):
    """A numpy generator for one record in one epoch.

    Philox enciphers a counter. The key belongs to the epoch, and the counter starts at (0, 0, record, 0), so
    each record has 2 ** 128 numbers. This takes a fifth of the time of `generator`, which computes a new key.
    """
    return np.random.Generator(np.random.Philox(key=_epoch_key(seed, epoch), counter=(0, 0, record, 0)))


def net_seed(seed, num_update, rank=0):
    """The seed for MXNet's generator before update `num_update` (-1: initialisation) on process `rank`."""
    return int(generator(seed, NET, num_update + 1, *([rank] if rank else [])).integers(1 << 31))

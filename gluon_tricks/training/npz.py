"""Write `.npz` archives such that a full disk is an OSError and nothing else."""

import zipfile

import numpy as np


def save_arrays(stream, arrays):
    """Write arrays by name to an open file, as `numpy.savez` does.

    After an error `numpy.savez` leaves its archive open, and Python prints a traceback when it deletes it.
    """
    with zipfile.ZipFile(stream, "w") as archive:
        for name, value in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(value), allow_pickle=False)

"""Pack images into records in a fixed order, with any number of threads; a kill costs seconds of work.

Several threads make the records. One thread appends them in order to a part file, `.NAME.rec.part`. Every few
seconds, in the background, the part file is synced, and the number of records, their bytes and the hash of
their rows are written to the journal, `.prepare.json`.

After a kill, the next run of the same request reads the part file up to that point, which also restores the
index and the table of records. It compares the hash, cuts off the rest of the file, and continues. So the
bytes depend neither on the number of threads nor on kills.
"""

import collections
import contextlib
import hashlib
import itertools
import json
import os
import struct
import sys
import time
from array import array
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from gluon_tricks.data.manifest import (
    HASH_WHOLE_FILES_BELOW,
    RECORD,
    Split,
    describe_split,
    read_manifest,
    record_row,
)
from gluon_tricks.data.recordio import frame, image_payload, key_and_label, read_frames
from gluon_tricks.errors import UserError
from gluon_tricks.files import atomic_path, atomic_write, digest_of
from gluon_tricks.training.status import progress_bar

JOURNAL = ".prepare.json"
NOTHING_YET = {"records": 0, "bytes": 0, "rows_sha256": hashlib.sha256().hexdigest(), "done": 0,
               "repaired": (),
               "left_out": ()}
BATCH_BYTES, BATCH_IMAGES = 1 << 20, 16  # source images that a thread takes at a time; this bounds the memory
SYNC_BYTES = 1 << 26  # sync at the latest after so many bytes, so that no sync takes long


class Made(NamedTuple):
    """The record made from one image."""
    name: str
    record: bytes            # framed; b"" if it is left out
    row: tuple               # for the table of records
    problem: str             # "" if there was none


def make_record(name, key, label, image, problem=""):
    """The record of an encoded image; an empty one if `image` is None, which leaves it out."""
    if image is None:
        return Made(name, b"", (), problem)
    payload = image_payload(key, label, image)
    return Made(name, frame(payload), record_row(key, label, payload), problem)


def pack_split(journal, name, order, sizes, make, accept, num_threads, journal_seconds):
    """Write the records of one split, from the position in the journal on.

    Parameters
    ----------
    journal : Journal
    order : int array
        Numbers of the images in the order of their records.
    sizes : int array
        Bytes of each image, by its number; batches are cut by them, so that large images do not fill the
        memory.
    make : callable, number -> Made
        Runs in threads.
    accept : callable, Made -> None
        Called for every image, in order, before it counts as done; may raise to stop there.

    Returns
    -------
    SplitWriter
        Every record is on disk; `finish` gives the files their final names.
    """
    with contextlib.closing(SplitWriter(journal, name)) as writer, \
            contextlib.closing(in_order(lambda numbers: [make(number) for number in numbers],
                                        small_batches(order[writer.done:], sizes), num_threads)) as batches, \
            progress_bar(len(order), f"{name}.rec", "images", writer.done) as bar:
        if writer.done:
            print(f"{name}.rec: continues at image {writer.done} of {len(order)}", file=sys.stderr)
        for batch in batches:
            for made in batch:
                try:
                    accept(made)
                except UserError:
                    writer.checkpoint()
                    writer.settle()
                    raise
                writer.add(made)
            bar.update(len(batch))
            if writer.is_due(journal_seconds):
                writer.checkpoint()
        writer.checkpoint()
        writer.settle()
    return writer


def in_order(work, items, num_threads):
    """Yield `work(item)` of every item, in the items' order; threads compute a few items ahead."""
    pool, ahead = ThreadPoolExecutor(num_threads), collections.deque()
    try:
        for item in items:
            ahead.append(pool.submit(work, item))
            if len(ahead) > 2 * num_threads:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def small_batches(numbers, sizes):
    """Lists of consecutive numbers: at most BATCH_IMAGES images and about BATCH_BYTES each."""
    batch, filled = [], 0
    for number in numbers.tolist():
        batch.append(number)
        filled += int(sizes[number])
        if filled >= BATCH_BYTES or len(batch) == BATCH_IMAGES:
            yield batch
            batch, filled = [], 0
    if batch:
        yield batch


# --- the journal --------------------------------------------------------------------------------------------

class Journal:
    """The state of a preparation, saved atomically.

    `request` decides the output's bytes. `archives` has the hashes of checked archives, `splits` the finished
    splits, and `progress` the last synced state of the unfinished ones.
    """

    def __init__(self, folder, request):
        self.folder, self.request = folder, request
        self.archives, self.splits, self.progress = {}, {}, {}

    def save(self):
        atomic_write(self.folder / JOURNAL, json.dumps({
            "request": self.request, "archives": self.archives, "splits": self.splits,
            "progress": self.progress}))

    def remove(self):
        (self.folder / JOURNAL).unlink(missing_ok=True)


def open_journal(folder, request, names, overwrite):
    """The journal of a request: that of an interrupted run, or a new one.

    Parameters
    ----------
    folder : Path
        Exists, and no other process writes to it.
    request : dict
        Of JSON's types; it becomes the manifest's `options`.
    names : list of str
        The splits that will be written.
    overwrite : bool
        Replace the files of another request, or finished ones of this request.

    Returns
    -------
    Journal, or None if the folder's manifest is that of the request.

    Raises
    ------
    UserError
        If the folder holds something else and `overwrite` is not given.
    """
    prepared, earlier = (folder / "manifest.json").exists(), _read_journal(folder)
    # images that pass with "fail" are stored alike with the others
    same = (request, {**request, "on_error": "fail"})
    if prepared and not overwrite:
        manifest = read_manifest(folder)
        if manifest.options not in same:
            raise UserError(f"--out {folder}: holds {manifest.dataset} of other sources or options; "
                            f"choose another folder or give --overwrite")
        (folder / JOURNAL).unlink(missing_ok=True)
        return None
    journal = Journal(folder, request)
    if not prepared and earlier.get("request") in same:
        vars(journal).update(earlier, request=request)
        return journal
    present = [f"{name}.{kind}" for name in names for kind in ("rec", "idx", "records.npy")
               if (folder / f"{name}.{kind}").exists()]
    if not overwrite and (earlier.get("splits") or earlier.get("progress")):
        raise UserError(f"--out {folder}: holds an interrupted preparation of other sources or options; "
                        f"finish it with its own command, choose another folder or give --overwrite")
    if not overwrite and present:
        raise UserError(f"--out {folder}: holds {', '.join(present)} of something else; "
                        f"choose another folder or give --overwrite")
    # first: a folder that is being replaced must not look complete
    (folder / "manifest.json").unlink(missing_ok=True)
    for leftover in [*present, *(_part(folder, name).name for name in names)]:
        (folder / leftover).unlink(missing_ok=True)
    journal.save()
    return journal


def _read_journal(folder):
    try:
        return json.loads((folder / JOURNAL).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UserError(f"{folder / JOURNAL}: cannot be read ({error}); remove it and start again") from error


# --- one split ----------------------------------------------------------------------------------------------

class SplitWriter:
    """The part file of one split, with the rows, offsets and problems of its images so far."""

    def __init__(self, journal, name):
        self.journal, self.name, self.path = journal, name, _part(journal.folder, name)
        self.rows, self.offsets, self.rows_digest = bytearray(), array("Q"), hashlib.sha256()
        self.done, self.repaired, self.left_out = 0, [], []
        final = journal.folder / f"{name}.rec"
        if name in journal.progress and final.exists() and not self.path.exists():
            os.replace(final, self.path)       # the run was killed between the last two steps of `finish`
        self.path.touch()
        self._stream = open(self.path, "r+b", buffering=1 << 16)  # noqa: SIM115  closed by `close`
        self._take_up(journal.progress.get(name, NOTHING_YET))
        self._background, self._syncing = ThreadPoolExecutor(1), None
        self._synced_at, self._synced_bytes = time.monotonic(), self._stream.tell()

    def _take_up(self, noted):
        """Continue after the records in the journal's `noted`, if the part file has them."""
        with contextlib.suppress(struct.error, ValueError, OverflowError), \
                progress_bar(noted["bytes"], f"reading {self.path.name}", "B") as bar:
            for payload, offset in itertools.islice(read_frames(self._stream), noted["records"]):
                self._note(record_row(*key_and_label(payload), payload), offset)
                bar.update(self._stream.tell() - offset)
        if self._state() == {field: noted[field] for field in self._state()}:
            self.done = noted["done"]
            self.repaired, self.left_out = list(noted["repaired"]), list(noted["left_out"])
        else:
            print(f"warning: {self.path} differs from the file of the interrupted run; {self.name} starts "
                  "again",
                  file=sys.stderr)
            self.rows, self.offsets, self.rows_digest = bytearray(), array("Q"), hashlib.sha256()
            self._stream.seek(0)
        self._stream.truncate()
        small = self._stream.tell() < HASH_WHOLE_FILES_BELOW
        # grows with the file, see `add`
        self._rec_digest = digest_of(self.path) if small else hashlib.sha256()

    def _note(self, row, offset):
        row = np.array(row, RECORD).tobytes()
        self.rows += row
        self.rows_digest.update(row)
        self.offsets.append(offset)

    def _state(self):
        return {"records": len(self.offsets), "bytes": self._stream.tell(),
                "rows_sha256": self.rows_digest.hexdigest()}

    def add(self, made):
        if made.problem:
            (self.repaired if made.record else self.left_out).append(f"{made.name}: {made.problem}")
        if made.record:
            self._note(made.row, self._stream.tell())
            self._stream.write(made.record)
            if self._stream.tell() < HASH_WHOLE_FILES_BELOW:
                self._rec_digest.update(made.record)       # now, while other threads work, not at the end
        self.done += 1

    def is_due(self, journal_seconds):
        """Whether a checkpoint is due, by time or by bytes; always with `journal_seconds` 0."""
        if journal_seconds and self._syncing and not self._syncing.done():
            return False
        return time.monotonic() - self._synced_at >= journal_seconds or \
            self._stream.tell() - self._synced_bytes >= SYNC_BYTES

    def checkpoint(self):
        """Sync all records so far in the background, after the previous checkpoint has ended."""
        self.settle()
        self._stream.flush()
        state = {**self._state(), "done": self.done, "repaired": tuple(self.repaired),
                 "left_out": tuple(self.left_out)}
        self._synced_at, self._synced_bytes = time.monotonic(), state["bytes"]
        self._syncing = self._background.submit(self._sync, state)

    def _sync(self, state):
        os.fsync(self._stream.fileno())                  # at least the bytes in `state`, perhaps more
        self.journal.progress[self.name] = state
        self.journal.save()

    def settle(self):
        """Wait for the last checkpoint; raise its error if it failed."""
        if self._syncing:
            self._syncing.result()

    def close(self):
        self._background.shutdown()
        self._stream.close()

    def finish(self, classes, **described):
        """Give the files their final names, enter the split in the journal, and return it."""
        folder, rows = self.journal.folder, np.frombuffer(self.rows, RECORD)
        with atomic_path(folder / f"{self.name}.idx") as part, open(part, "w") as index:
            index.writelines(f"{key}\t{offset}\n" for key, offset in zip(rows["key"].tolist(), self.offsets))
        os.replace(self.path, folder / f"{self.name}.rec")
        split = describe_split(folder, self.name, classes, rows, self._rec_digest.hexdigest(),
                               repaired=self.repaired,
                               left_out=self.left_out, **described)
        self.journal.splits[self.name] = vars(split)
        del self.journal.progress[self.name]
        self.journal.save()
        return split


def finished_split(journal, name):
    """The `Split` that an interrupted run finished; None if it did not, or if the file is gone."""
    if name not in journal.splits:
        return None
    split, rec = Split(**journal.splits[name]), journal.folder / f"{name}.rec"
    if not rec.exists() or rec.stat().st_size != split.rec_bytes:
        return None
    return split


def _part(folder, name):
    return folder / f".{name}.rec.part"

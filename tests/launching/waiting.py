"""A worker that joins its job, writes a file named by its rank, and waits for a file `go`."""

import sys
import time
from pathlib import Path

import gluon_tricks  # noqa: F401
from gluon_tricks.engines.create import create_engine

kvstore, folder = sys.argv[1], Path(sys.argv[2])
engine = create_engine(0, kvstore=kvstore)
(folder / str(engine.rank)).touch()
while not (folder / "go").exists():
    time.sleep(0.05)
engine.close()

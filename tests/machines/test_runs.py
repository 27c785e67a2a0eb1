"""Trainings over two machines: the parameters of one process; every way to reach a machine, and what is said when
there is none."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from jobs_over_machines import NAME, RESUME, ROOT, assert_equal_bits, cifar, losses, train, undone

from tests.engines.jobs import ENGINES, arrays_of, assert_close


@pytest.mark.parametrize("engine", ENGINES)
def test_four_processes_on_two_machines_train_as_one_process(engine, network, tmp_path):
    rate = ("--lr", 0.002)         # rounding grows from update to update: another image changes a loss's second digit
    train(network, engine, cifar(tmp_path / "four", *rate, updates=2), n=4, hosts="node1:2,node2:2")
    words = cifar(tmp_path / "one", *rate, "--num-cpus", 4, updates=2)
    # as many threads as the workers have: other ones round otherwise
    subprocess.run([sys.executable, *map(str, words)], cwd=ROOT, check=True, capture_output=True,
                   env={**os.environ, "OMP_NUM_THREADS": "1"})
    four, one = (arrays_of(tmp_path / name / RESUME) for name in ("four", "one"))
    trained = {name for name in one if name.startswith("param/") and "running" not in name}
    assert_close({name: four[name] for name in trained}, {name: one[name] for name in trained}, 1e-4, 0.1)
    np.testing.assert_allclose(losses(tmp_path / "four"), losses(tmp_path / "one"), rtol=1e-5)


@pytest.mark.slow
def test_imagenets_script_on_machines_with_folders_of_their_own(network, tmp_path):
    """Records lie on each machine; only the first one, where rank 0 is, gets the run's files."""
    for name in ("node1", "node2"):
        subprocess.run([sys.executable, "-c", RECORDS, str(network.folder / name)], cwd=ROOT, check=True)
    own = network.own
    train(network, "dist_sync", [
        "train_imagenet.py", "--rec-dir", own / "rec", "--model", "mobilenet0.25", "--input-size", 32, "--batch-size", 4,
        "--num-epochs", 1, "--num-gpus", 0, "-j", 1, "--mode", "hybrid", "--max-updates", 2, "--save-dir", own / "out",
        "--logging-file", own / "out" / "a.log"])
    assert (network.folder / "node1" / "out" / "a.log").exists()
    assert not [path for path in (network.folder / "node2" / "out").rglob("*") if path.is_file()]


RECORDS = """
import subprocess, sys
from pathlib import Path
import cv2, numpy as np
folder = Path(sys.argv[1])
random = np.random.default_rng(0)
for split in ("train", "val"):
    for label in ("cat", "dog"):
        (folder / "photos" / split / label).mkdir(parents=True)
        for i in range(8):
            cv2.imwrite(str(folder / "photos" / split / label / f"{i}.png"), random.integers(0, 256, (48, 48, 3), np.uint8))
subprocess.run([sys.executable, "data_prep/folder.py", folder / "photos", "--out", folder / "rec"], check=True,
               capture_output=True)
"""


@pytest.mark.slow
def test_other_names_for_everything(network, tmp_path):
    """Another user, port, folder and interpreter: each named by its flag."""
    (tmp_path / "python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (tmp_path / "python").chmod(0o755)
    shutil.copytree(ROOT, tmp_path / "kit", ignore=shutil.ignore_patterns(".git", ".venv*", "site"))
    output = train(network, "dist_sync", cifar(tmp_path / "out", updates=2), "--ssh", "ssh -p 2222 -l root", "--workdir",
                   tmp_path / "kit", "--python", tmp_path / "python", hosts="node1:1,root@node2:1")
    assert "stopped by --max-updates 2" in output and (tmp_path / "out" / NAME / "run.json").exists()


@pytest.mark.parametrize("flags, hosts, says", [
    ([], "node1:1,nowhere:1", "-H nowhere: has no address; correct the name"),
    ([], "node1:1,unknown@node2:1", "-H unknown@node2: ssh is refused"),
    (["--ssh", "ssh -p 99"], "node1:1,node2:1", "-H node2: no ssh server answers there; start sshd, or name its port"),
    (["--workdir", "/nowhere"], "node1:1,node2:1", "-H node2: has no folder /nowhere; share it, or name"),
    (["--python", "/nowhere/python"], "node1:1,node2:1", "-H node2: has no Python /nowhere/python; name"),
    (["--workdir", "/", "--python", "/usr/bin/python3"], "node1:1,node2:1", "/usr/bin/python3 does not find gluon_tricks"),
    (["--ssh", "nossh"], "node1:1,node2:1", "--ssh nossh: cannot be started (No such file or directory)"),
    (["--interface", "eth9"], "node1:1,node2:1", "--interface eth9: node2 has no such interface"),
])
def test_a_machine_that_cannot_take_part_is_one_sentence(flags, hosts, says, network, tmp_path):
    output = train(network, "dist_sync", cifar(tmp_path), *flags, hosts=hosts, check=2, PYTHONPATH="")
    assert says in output and "Traceback" not in output and len(output.splitlines()) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_machine_that_is_down_is_one_sentence(network, tmp_path):
    with undone(lambda: network.mend("node2")):
        network.cut("node2")
        output = train(network, "dist_sync", cifar(tmp_path), check=2)
    assert "-H node2: does not answer; it is down, or the network between is" in output


@pytest.mark.slow
def test_a_changed_host_key_is_one_sentence(network, tmp_path):
    known = network.folder / "ssh" / "known_hosts"
    before = known.read_text()
    with undone(lambda: known.write_text(before)):
        known.write_text(f"node2 {(network.folder / 'ssh' / 'id.pub').read_text()}")
        changed = train(network, "dist_sync", cifar(tmp_path), check=2)
        known.write_text("")
        unknown = train(network, "dist_sync", cifar(tmp_path), check=2)
    assert "-H node2: its host key has changed since the last login" in changed
    assert "-H node2: its host key is not known here; log in once with `ssh node2`" in unknown


@pytest.mark.slow
def test_all_processes_elsewhere(network, tmp_path):
    """The launcher's machine takes no part."""
    train(network, "dist_sync", cifar(tmp_path / "elsewhere"), at="stranger")
    train(network, "dist_sync", cifar(tmp_path / "here"))
    assert_equal_bits(tmp_path / "elsewhere", tmp_path / "here")

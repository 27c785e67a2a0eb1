"""What processes say to each other, with threads in their place: an engine whose sums meet at a barrier."""

import re
import threading
from types import SimpleNamespace

import mxnet as mx
import numpy as np
import pytest
from mxnet import nd
from mxnet.gluon import nn

from gluon_tricks.data.cifar import find_cifar, open_cifar
from gluon_tricks.data.loaders import RecordLoader
from gluon_tricks.data.mxnet_iterators import Shard
from gluon_tricks.engines.create import create_engine
from gluon_tricks.engines.launcher import kvstore_of_launcher, launched_processes
from gluon_tricks.engines.single import SingleProcess
from gluon_tricks.engines.sync_check import OutOfSync, check_in_sync, check_same_facts
from gluon_tricks.errors import UserError
from gluon_tricks.script.engine_flags import settled_kvstore
from gluon_tricks.script.flags import check_numbers
from gluon_tricks.training.evaluation import evaluate, hits
from gluon_tricks.training.progress import Diverged, Meter, Progress, Stop

ONE_AT_A_TIME = threading.Lock()


class Rank(SingleProcess):
    """One of several ranks, each a thread."""

    def __init__(self, rank, world_size, meeting):
        super().__init__([mx.cpu()])
        self.rank, self.world_size, self._meeting = rank, world_size, meeting

    def sum(self, array):
        barrier, table = self._meeting
        table[self.rank] = np.array(array, np.float64)
        barrier.wait(timeout=60)
        total = np.sum([table[rank] for rank in range(self.world_size)], axis=0)
        barrier.wait(timeout=60)
        return total


def on_ranks(world_size, work):
    """`work(engine)` of each rank, in order; an exception becomes its result."""
    meeting, results = (threading.Barrier(world_size), {}), [None] * world_size

    def run(rank):
        try:
            results[rank] = work(Rank(rank, world_size, meeting))
        except Exception as error:
            results[rank] = error
    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(world_size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


class Images:
    def __init__(self, count):
        self.pixels = np.random.default_rng(0).integers(0, 256, (count, 2, 2, 3), np.uint8)
        self.labels = np.arange(count) % 3

    def __len__(self):
        return len(self.labels)

    def read(self, positions):
        return self.pixels[positions], self.labels[positions]


class Net(nn.Dense):
    def __init__(self):
        super().__init__(3, use_bias=False, in_units=12)
        mx.random.seed(1)
        self.initialize(mx.init.Normal(1))

    def __call__(self, data):
        with ONE_AT_A_TIME:
            return super().__call__(data.reshape((len(data), -1)))


def loader(count, batch_size, engine):
    share = {"num_workers": 0, "rank": engine.rank, "world_size": engine.world_size}
    return RecordLoader(Images(count), lambda images, positions, epoch: images.astype(np.float32), batch_size,
                        None, "keep", **share)


# 3 x 9: a rank without any image
@pytest.mark.parametrize("world_size, batch_size", [(2, 4), (3, 4), (3, 9)])
def test_validation_counts_every_image_once_in_its_place(world_size, batch_size):
    net, alone = Net(), SingleProcess([mx.cpu()])
    expected = hits(net, loader(17, 5, alone), alone, top=(1, 2))
    assert 0 < expected[:, 0].sum() < 17
    for right in on_ranks(world_size, lambda engine: hits(net, loader(17, batch_size, engine), engine,
                                                          top=(1, 2))):
        np.testing.assert_array_equal(right, expected)
    for accuracies in on_ranks(world_size, lambda one: evaluate(net, loader(17, batch_size, one), one,
                                                                top=(1, 2))):
        assert accuracies == expected.mean(axis=0).tolist()


def test_a_signal_to_one_rank_leaves_validation_on_all():
    net = Net()
    results = on_ranks(3, lambda engine: hits(net, loader(17, 9, engine), engine,
                                              keep_going=lambda: engine.rank != 1))
    assert all(isinstance(result, Stop) for result in results)


def test_all_ranks_stop_after_the_same_update_and_know_the_sums_of_all():
    def work(engine):
        progress = Progress()
        meter = Meter(progress, engine, keep_going=lambda: not (engine.rank == 1
                                                                and progress.num_update >= 3))
        while not meter.stop:
            progress.num_update += 1
            meter.add(0, progress.num_update, [(nd.array([10.0 ** engine.rank]),
                                                nd.array([engine.rank + 1.0]))], 4)
        meter.drain()
        return progress.num_update, progress.loss_sum, progress.metric_sum, progress.metric_count
    # the flag goes with the sums of update 2, which are read when update 3 is under way
    stopped_at = updates = 3
    assert on_ranks(3, work) == [(stopped_at, updates * 111.0, updates * 6.0, updates * 12)] * 3


def test_a_loss_that_is_not_finite_on_one_rank_stops_all():
    def work(engine):
        meter = Meter(Progress(), engine)
        meter.add(0, 1, [(nd.array([np.nan if engine.rank else 1.0]), nd.array([0.0]))], 4)
        meter.drain()
    results = on_ranks(2, work)
    assert all(isinstance(result, Diverged) and result.num_update == 1 for result in results)


def normed_net(value):
    net = nn.HybridSequential()
    net.add(nn.Dense(3, in_units=2), nn.BatchNorm(in_channels=3))
    net.initialize(mx.init.Constant(value))
    net[1].running_mean.set_data(nd.array([value, 0, 1]))
    return net


def test_parameters_become_those_of_rank_0():
    nets = [normed_net(0.1), normed_net(0.7)]
    on_ranks(2, lambda engine: engine.broadcast_parameters(nets[engine.rank]))
    np.testing.assert_array_equal(nets[1][0].weight.data().asnumpy(), np.full((3, 2), 0.1, np.float32))


def test_statistics_become_the_mean_and_nothing_else_changes():
    nets = [normed_net(0.5), normed_net(2.5)]
    on_ranks(2, lambda engine: engine.average_statistics(nets[engine.rank]))
    for net, weight in zip(nets, (0.5, 2.5)):
        np.testing.assert_array_equal(net[1].running_mean.data().asnumpy(), [1.5, 0, 1])
        np.testing.assert_array_equal(net[0].weight.data().asnumpy(), np.full((3, 2), weight, np.float32))


@pytest.mark.parametrize("odd", [[1], [0], [2]])
def test_ranks_whose_parameters_differ_are_named(odd):
    nets = [normed_net(0.5) for _ in range(3)]
    assert on_ranks(3, lambda engine: check_in_sync(nets[engine.rank], engine, 7)) == [None] * 3
    for rank in odd:
        nets[rank][0].bias.data()[1] = np.nextafter(np.float32(0), np.float32(1))      # the least there is
    for result in on_ranks(3, lambda engine: check_in_sync(nets[engine.rank], engine, 7)):
        assert isinstance(result, OutOfSync)
        assert (f"rank {odd[0]}: parameters differ from the other ranks' after update 7, first in 0.bias"
                in str(result))


# --- shards of MXNet's iterators ----------------------------------------------------------------------------

@pytest.mark.parametrize("records, world_size", [(50, 1), (50, 4), (51, 4), (500, 3)])
def test_shards_hold_each_record_once(records, world_size):
    shards = [Shard(records, rank, world_size) for rank in range(world_size)]
    held = np.concatenate([shard.positions(0, len(shard) + 10) for shard in shards])
    np.testing.assert_array_equal(held, np.arange(records))
    assert len({shard.batches_per_epoch(4, train=True) for shard in shards}) == 1


def test_too_few_records_for_the_processes_are_refused():
    with pytest.raises(UserError, match="4 records are too few for 9 processes"):
        Shard(4, 8, 9)


def test_mxnets_iterator_reads_the_shard_and_takes_equally_many_steps_on_all_ranks():
    whole = open_cifar(find_cifar("cifar10-excerpt"), "ours", 100, 0, 1)
    pixels = np.concatenate([batch.data.asnumpy() for batch in whole.val.epoch(0)])
    seen = []
    for rank in range(3):
        data = open_cifar(find_cifar("cifar10-excerpt"), "mxnet", 100, 0, 1, rank, 3)
        for batch in data.val.epoch(0):
            seen.append(batch.positions)
            np.testing.assert_allclose(batch.data.asnumpy(), pixels[batch.positions], atol=1e-5)
        assert [len(list(data.train.epoch(epoch))) for epoch in range(3)] == [6, 6, 6]
    np.testing.assert_array_equal(np.concatenate(seen), np.arange(500))


# --- what all processes must agree in -----------------------------------------------------------------------

FACTS = {"seed": 0, "data_root_hash": "ab", "threads": "1",
         "args": {"lr": 0.1, "seed": 0, "data_dir": "/a", "rec_val": None, "teacher": None}}


def with_flags(**flags):
    return {**FACTS, "args": {**FACTS["args"], **flags}}


def agreement(*facts):
    """What `check_same_facts` raises on each rank, as text; "None" for nothing."""
    return list(map(str, on_ranks(len(facts), lambda engine: check_same_facts(
        facts[engine.rank], SimpleNamespace(records=5), engine))))


@pytest.mark.parametrize("other, says", [
    (with_flags(lr=0.2), "--lr .--lr of rank 0: 0.1; rank 1: 0.1; rank 2: 0.2."),
    (with_flags(seed=1), "--seed"),
    ({**FACTS, "data_root_hash": "cd"}, "data_root_hash .*rank 0: ab; rank 1: ab; rank 2: cd"),
    (with_flags(more=1), "names of flags and facts"),
])
def test_a_rank_with_other_flags_or_data_is_named_on_all(other, says):
    errors = agreement(FACTS, FACTS, other)
    assert len(set(errors)) == 1 or "names of" in says
    for error in errors:
        assert re.search(f"the processes differ in {says}", error), error


def test_paths_and_threads_of_a_rank_are_its_own(tmp_path):
    for name, content in (("a", "same"), ("b", "same"), ("c", "other")):
        (tmp_path / name).write_text(content)
    alike = [{**with_flags(data_dir=name, rec_val=str(tmp_path / name), teacher=f"net:{tmp_path / name}"),
              "threads": name} for name in "ab"]
    assert agreement(*alike) == ["None"] * 2
    other = with_flags(rec_val=str(tmp_path / "c"), teacher=f"net:{tmp_path / 'c'}")
    assert re.search("differ in --rec-val, --teacher", agreement(alike[0], other)[1])


# --- flags --------------------------------------------------------------------------------------------------

class Args:
    def __init__(self, **values):
        self.__dict__.update({"kvstore": None, "num_gpus": 0, "num_cpus": 1, "check_sync": 0, "timeout": 1.0,
                              **values})


@pytest.mark.parametrize("environ, kvstore, processes", [
    ({}, None, 1),
    ({"HOROVOD_RANK": "1", "HOROVOD_SIZE": "4"}, "horovod", 4),                     # horovodrun
    ({"OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "2"}, "horovod", 2),      # mpirun
    ({"DMLC_ROLE": "worker", "DMLC_NUM_WORKER": "3"}, "dist_sync", 3),               # MXNet's tracker
    ({"DMLC_ROLE": "server", "DMLC_NUM_WORKER": "3"}, None, 1),
])
def test_the_launcher_decides_the_engine(environ, kvstore, processes):
    assert kvstore_of_launcher(environ) == kvstore
    assert launched_processes(kvstore or "device", environ) == processes


@pytest.mark.parametrize("environ, values, says", [
    ({"HOROVOD_RANK": "1"}, {"kvstore": "device"}, "every process would train alone"),
    ({"HOROVOD_RANK": "1"}, {"num_cpus": 2}, "supports one device per process"),
    ({}, {"num_cpus": 2, "num_gpus": 1}, "give one of them"),
    ({}, {"num_cpus": 0}, "--num-cpus 0"),
    ({}, {"kvstore": "nccl"}, "needs GPUs"),
    ({}, {"check_sync": -1}, "--check-sync -1"),
    ({}, {"timeout": 0.0}, "--timeout 0.0"),
])
def test_flags_that_no_engine_has_are_refused(environ, values, says, monkeypatch):
    for name in ("HOROVOD_RANK", "OMPI_COMM_WORLD_RANK", "DMLC_ROLE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=says):
        check_numbers(Args(**values))
        settled_kvstore(Args(**values))


def test_a_distributed_store_without_a_launcher_is_one_sentence(monkeypatch):
    monkeypatch.delenv("DMLC_ROLE", raising=False)
    with pytest.raises(UserError, match="no launcher has started this process .* launch -n 2"):
        create_engine(0, kvstore="dist_sync")

"""The time to add up an array over all processes of a job, by its size; `bench scaling` runs this in each of
them.

Prints one JSON line on rank 0: a list of [bytes, seconds], the median of --repeats exchanges each.
"""

import argparse
import json
import os
import statistics
import time

import mxnet as mx

from gluon_tricks.engines.create import create_engine
from gluon_tricks.engines.launcher import kvstore_of_launcher


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", type=int, nargs="+", help="bytes")
    parser.add_argument("--repeats", type=int)
    args = parser.parse_args()
    engine = create_engine(0, kvstore=kvstore_of_launcher(os.environ))
    measured = []
    for number, size in enumerate(args.sizes):
        array = mx.nd.zeros(size // 4)
        if engine.kvstore is None:
            exchange = by_horovod(array, number)
        else:
            exchange = by_store(engine.kvstore, array, number)
        times = []
        for _ in range(args.repeats + 1):          # the first one sets up connections and buffers
            mx.nd.waitall()
            engine.barrier()
            start = time.perf_counter()
            exchange()
            array.wait_to_read()
            times.append(time.perf_counter() - start)
        measured.append([size, statistics.median(times[1:])])
    if engine.is_writer:
        print(json.dumps(measured), flush=True)
    engine.close()


def by_horovod(array, number):
    import horovod.mxnet as hvd
    return lambda: hvd.allreduce_(array, average=False, name=f"array {number}")


def by_store(store, array, number):
    store.init(number, array)
    return lambda: store.pushpull(number, array, out=array)


if __name__ == "__main__":
    main()

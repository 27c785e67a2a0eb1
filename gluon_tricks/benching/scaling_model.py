"""Bytes that an update of many GPUs sends over each machine's network link, and the share of that time hidden
by computing.

    python -m gluon_tricks.benching.scaling_model          # the tables of docs/scaling.md

With S bytes of gradients, N GPUs on M machines:

    ring all-reduce       2 (N - 1) / N S      out of each machine and into it: a ring crosses each link once
    parameter servers     2 (M - 1) / M S k    the same; one server and k worker processes per machine, k = 1
                                               where a process adds up the gradients of all its machine's GPUs
    one server            (M - 1) S k          out of its machine and into it

    time of an update     C + max(0, X - h C)  C: computing; X: bytes / rate of the link; h: share of C while
                                               gradients travel, at best the backward pass, two thirds
"""

from gluon_tricks.benching.paired import table

RESNET50 = 25_557_032        # trained values of resnet50_v1
BACKWARD = 2 / 3             # of the multiply-adds of an update
GPUS_PER_MACHINE = 8
NETWORKS = {"10 Gb/s": 10e9 / 8, "25 Gb/s": 25e9 / 8, "100 Gb/s": 100e9 / 8}        # bytes per second
# float16 images per second and V100, batch per GPU: GluonCV's log of resnet50_v1 (median of 8 GPUs), NVIDIA's
# single GPU
SPEEDS = {"GluonCV": (4808.5 / 8, 128), "NVIDIA": (1376.0, 192)}


def ring_bytes(gradients, gpus):
    """Bytes that each machine sends, and receives, in one update."""
    return 2 * (gpus - 1) / gpus * gradients


def server_bytes(gradients, machines, workers_per_machine=1):
    """The same with one parameter server on each machine."""
    return 2 * (machines - 1) / machines * gradients * workers_per_machine


def one_server_bytes(gradients, machines, workers_per_machine=1):
    """Bytes that the one server's machine receives, and sends; 0 for a single machine."""
    return (machines - 1) * gradients * workers_per_machine


def efficiency(compute_s, sent, bytes_per_s, hidden=BACKWARD):
    """Share of the GPUs' time that computes."""
    return compute_s / (compute_s + max(0.0, sent / bytes_per_s - hidden * compute_s))


def bytes_table(gpu_counts=(8, 64, 256)):
    """MB per update and machine, ResNet-50."""
    rows = []
    for dtype, size in (("float32", 4), ("float16", 2)):
        for gpus in gpu_counts:
            machines, s = gpus // GPUS_PER_MACHINE, RESNET50 * size / 1e6
            rows.append((dtype, gpus, machines, f"{ring_bytes(s, gpus):.0f}",
                         f"{server_bytes(s, machines):.0f}",
                         f"{server_bytes(s, machines, GPUS_PER_MACHINE):.0f}",
                         f"{one_server_bytes(s, machines):.0f}"))
    return table(("gradients", "GPUs", "machines", "ring", "a server each, 1 process per machine",
                  "the same, 8 processes", "one server, 1 process"), rows)


def efficiency_table(hidden=BACKWARD, gpus=64):
    """Predicted efficiency of a float16 ring by speed of GPU and network."""
    sent = ring_bytes(RESNET50 * 2, gpus)
    rows = [(f"{speed:.0f} images/s ({who})", batch, f"{1e3 * batch / speed:.0f} ms",
             *(f"{1e3 * sent / rate:.0f} ms, {efficiency(batch / speed, sent, rate, hidden):.0%}"
               for rate in NETWORKS.values()))
            for who, (speed, batch) in SPEEDS.items()]
    return table(("per GPU", "batch", "computing", *(f"exchange, efficiency at {name}" for name in NETWORKS)),
                 rows)


def main():
    print(f"{bytes_table()}\n\n{efficiency_table()}\n\n{efficiency_table(hidden=0)}")


if __name__ == "__main__":
    main()

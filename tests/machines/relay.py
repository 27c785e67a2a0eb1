"""A cable that hands every frame on after a time: two TAP devices, one at the bridge, one on a machine.

    python relay.py PID_OF_THE_HUB NAME PID_OF_THE_MACHINE SECONDS
"""

import contextlib
import ctypes
import fcntl
import heapq
import os
import select
import struct
import sys
import time

TUNSETIFF, IFF_TAP, IFF_NO_PI, CLONE_NEWNET = 0x400454CA, 0x0002, 0x1000, 0x40000000


def tap(pid, name):
    """A TAP device in the network namespace of a process."""
    with open(f"/proc/{pid}/ns/net") as namespace:
        if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TAP | IFF_NO_PI))
    return device


def main(hub, name, machine, seconds):
    machine_end = tap(machine, "eth0")
    ends = {machine_end: tap(hub, name)}
    ends.update({other: end for end, other in ends.items()})
    waiting, count = [], 0                                       # (time, order, end, frame)
    while True:
        pause = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
        for end in select.select([*ends], [], [], pause)[0]:
            heapq.heappush(waiting, (time.monotonic() + seconds, count, ends[end], os.read(end, 65536)))
            count += 1
        while waiting and waiting[0][0] <= time.monotonic():
            _, _, end, frame = heapq.heappop(waiting)
            with contextlib.suppress(OSError):                   # it is not up: the frame is lost
                os.write(end, frame)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4]))

"""One side of `bench net` in PyTorch: training steps of a net on one synthetic batch.

    .venv-torch/bin/python -m gluon_tricks.benching.torch_side --model cifar_resnet20_v1 < /dev/null

PyTorch's best settings on a CPU: channels-last memory, and bfloat16 by autocast. Runs with an interpreter
that has torch and needs neither MXNet nor NumPy.
"""

import argparse
import json
import os
import sys
import time

import torch
from torch import nn

from gluon_tricks.benching.torch_nets import make_net


def main():
    args = parse_args()
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    net = make_net(args.model, args.classes)
    if net is None:
        sys.exit(f"this kit has no {args.model} for PyTorch")
    net = net.train().to(memory_format=torch.channels_last)
    shape = args.batch_size, 3, args.input_size, args.input_size
    data = (2 * torch.rand(shape) - 1).contiguous(memory_format=torch.channels_last)
    label = torch.randint(args.classes, shape[:1])
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4, nesterov=True)
    criterion = nn.CrossEntropyLoss()
    learned = sum(param.numel() for param in net.parameters())
    print(json.dumps({"parameters": learned, "version": torch.__version__}), flush=True)
    # as `worker.serve`, which imports what this environment may not have
    for _ in sys.stdin:
        start, used = time.perf_counter(), time.process_time()
        for _ in range(args.updates):
            with torch.autocast("cpu", torch.bfloat16, enabled=args.dtype == "bfloat16"):
                loss = criterion(net(data), label)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
        images = args.updates * args.batch_size
        print(json.dumps({"rate": images / (time.perf_counter() - start),
                          "cpu_ms": 1000 * (time.process_time() - used) / images}), flush=True)


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--model", default="cifar_resnet20_v1")
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--input-size", type=int, default=32)
    parser.add_argument("--updates", type=int, default=10, help="per turn")
    return parser.parse_args()


if __name__ == "__main__":
    main()

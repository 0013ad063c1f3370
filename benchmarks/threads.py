"""One thread against all: the time of one, and how many times faster the pool is, by size.

    python benchmarks/threads.py [number of threads]

In a loop of calls, where the pool is awake, and with a millisecond between them, where it sleeps.
Interleaved, the median.  The thresholds in src_c/threads.h come from this table.
"""

import argparse
import functools
import time
from statistics import median

import numpy as np

import cact


def ratios(call, threads, pause, rounds):
    """The median seconds of one thread, and of the pool."""
    times = {1: [], threads: []}
    for _ in range(rounds):
        for k, taken in times.items():
            cact.set_num_threads(k)
            for i in range(4):
                if pause:
                    time.sleep(pause)
                start = time.perf_counter()
                call()
                if i or pause:
                    taken.append(time.perf_counter() - start)
    return median(times[1]), median(times[threads])


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("threads", type=int, nargs="?", default=cact.get_num_threads())
    threads = parser.parse_args().threads
    sizes = [1 << k for k in range(13, 25)]
    for pause in (0, 1e-3):
        print(
            f"{threads} threads, float32, {pause * 1e3:g} ms between calls; us of one thread, and the ratio"
        )
        print(f"{'':18}" + "".join(f"{n:>14,}" for n in sizes))
        for name in ("relu", "sigmoid", "gelu", "softmax"):
            for operation in ("forward", "backward"):
                row = f"{name + ' ' + operation:18}"
                for n in sizes:
                    shape = (n // 128, 128) if name == "softmax" else n
                    x = np.random.default_rng(0).normal(0, 2, shape).astype(np.float32)
                    f, y, dy = cact.get(name), np.empty_like(x), x[::-1].copy()
                    arguments = (x,) if operation == "forward" else (dy, x)
                    call = functools.partial(f if operation == "forward" else f.backward, *arguments, out=y)
                    one, all_ = ratios(call, threads, pause, max(3, min(40, (1 << 22) // n)))
                    row += f"{one * 1e6:8.1f} {one / all_:4.2f}x"
                print(row, flush=True)


if __name__ == "__main__":
    main()

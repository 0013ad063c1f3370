"""One thread against all: the time of one, and how many times faster the pool is, by size.

    python benchmarks/threads.py [number of threads]

Interleaved, the minimum of the rounds.  The thresholds in src_c/dispatch.c come from this table.
"""

import sys
import time

import numpy as np

import cact


def main():
    threads = int(sys.argv[1]) if len(sys.argv) > 1 else cact.get_num_threads()
    sizes = [1 << k for k in range(14, 25, 2)]
    print(f"{threads} threads, float32; us of one thread, and the ratio")
    print(f"{'':20}" + "".join(f"{n:>18,}" for n in sizes))
    for name in ("relu", "sigmoid", "gelu", "softmax"):
        for operation in ("forward", "backward"):
            row = f"{name + ' ' + operation:20}"
            for n in sizes:
                shape = (n // 128, 128) if name == "softmax" else n
                x = np.random.default_rng(0).normal(0, 2, shape).astype(np.float32)
                f, y, dy = cact.get(name), np.empty_like(x), x[::-1].copy()
                times = {1: [], threads: []}
                for _ in range(max(5, min(200, (1 << 24) // n))):
                    for k in times:
                        cact.set_num_threads(k)
                        start = time.perf_counter()
                        if operation == "forward":
                            f(x, out=y)
                        else:
                            f.backward(dy, x, out=y)
                        times[k].append(time.perf_counter() - start)
                one, many = (min(times[k]) for k in (1, threads))
                row += f"{one * 1e6:11.1f} {one / many:5.2f}x"
            print(row, flush=True)


if __name__ == "__main__":
    main()

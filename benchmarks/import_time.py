"""What ``import cact`` costs beyond ``import numpy``, in fresh processes.

    python benchmarks/import_time.py [--rounds N]

Each round starts one process of each kind, interleaved: nothing, NumPy, NumPy and cact,
NumPy and cact without the compiled kernels.  Printed are medians in ms, then the median
over the rounds of the difference within a round, which a drifting machine leaves alone.
The first round is not counted: it fills the file cache and writes the byte code.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
from time import perf_counter

PROCESSES = {
    "python": ("pass", ""),
    "numpy": ("import numpy", ""),
    "numpy, cact": ("import numpy, cact", ""),
    "numpy, cact (NumPy backend)": ("import numpy, cact", "numpy"),
}


def seconds(code: str, backend: str) -> float:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("OPENBLAS_", "CACT_"))}
    if backend:
        environment["CACT_BACKEND"] = backend
    start = perf_counter()
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    return perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=20, help="default: 20")
    rounds = max(1, parser.parse_args().rounds)
    times: dict[str, list[float]] = {name: [] for name in PROCESSES}
    for round_ in range(rounds + 1):
        for name, (code, backend) in PROCESSES.items():
            taken = seconds(code, backend)
            if round_ > 0:
                times[name].append(taken * 1e3)
    for name, values in times.items():
        print(f"{name:30}{statistics.median(values):8.1f} ms   (least {min(values):.1f})")
    print()
    for name in list(PROCESSES)[2:]:
        differences = [a - b for a, b in zip(times[name], times["numpy"])]
        print(f"{name:30}{statistics.median(differences):8.1f} ms beyond import numpy")


if __name__ == "__main__":
    main()

"""Builds the one extension module: kernels once per instruction set and real type.

Everything else is in pyproject.toml.  Without a working C compiler the package installs
without the extension and runs on NumPy; an error in the sources, though, is an error.
"""

import os
import platform
import tempfile
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CCompilerError, ExecError, PlatformError

SOURCES = Path("src_c")

# -ffp-contract=off: fma only where the source says so, hence the same bits on every ISA.
# -fno-trapping-math lets gcc vectorise comparisons; it changes no value.
FLAGS = [
    "-O3",
    "-std=gnu11",
    "-fvisibility=hidden",
    "-ffp-contract=off",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-g0",  # no debugging symbols, five times the size of the code
]

#: machine -> {name in the C symbols: flags}; the instruction-set flags touch kernels.c only.
ISAS = {
    "x86_64": {"v3": ["-march=x86-64-v3"], "v4": ["-march=x86-64-v4", "-mprefer-vector-width=512"]},
    "amd64": {"v3": ["-march=x86-64-v3"], "v4": ["-march=x86-64-v4", "-mprefer-vector-width=512"]},
    "aarch64": {"neon": []},
    "arm64": {"neon": []},
}


def check_inventory():
    """Every src_c/act/<name>.h has its include line (the reverse is the compiler's to say)."""
    listed = (SOURCES / "activations.h").read_text()
    for path in sorted((SOURCES / "act").glob("*.h")):
        if f'#include "act/{path.name}"' not in listed:
            raise SystemExit(
                f"{path.stem}: src_c/act/{path.name} is not in the inventory; "
                f'add #include "act/{path.name}" to src_c/activations.h'
            )


class BuildKernels(build_ext):
    """build_ext that compiles kernels.c several times, into an object of its own each time."""

    def build_extensions(self):
        check_inventory()
        why_not = self.obstacle()
        if why_not:
            for path in (self.get_ext_fullpath("cact._kernels"), *Path("cact").glob("_kernels*.so")):
                Path(path).unlink(missing_ok=True)  # of a former build: it may be of other sources
            self.warn(f"cact is installed without its C kernels and will run on NumPy: {why_not}")
            self.extensions.clear()
            return
        super().build_extensions()
        if not self.inplace:  # a checkout is on sys.path where its users stand: it needs the module too
            self.copy_extensions_to_source()

    def obstacle(self):
        """Why the kernels cannot be built here, or None."""
        machine = platform.machine().lower()
        if machine not in ISAS:
            return f"no kernels for the architecture {machine}"
        if self.compiler.compiler_type != "unix":
            return f"the kernels need gcc or clang, not {self.compiler.compiler_type}"
        with tempfile.TemporaryDirectory() as folder:
            probe = Path(folder, "probe.c")
            probe.write_text("#include <Python.h>\nint main(void) { return 0; }\n")
            for flags in ([], *(FLAGS + f for f in ISAS[machine].values())):
                try:
                    self.compiler.compile(
                        [str(probe)],
                        output_dir=folder,
                        include_dirs=self.include_dirs,
                        extra_postargs=flags,
                    )
                except (CCompilerError, ExecError, PlatformError, OSError) as error:
                    what = f"the C compiler does not take {flags[-1]}" if flags else "no working C compiler"
                    return f"{what} ({error})"
        return None

    def build_extension(self, ext):
        ext.extra_objects = [
            self.compile_kernels(isa, flags, bits)
            for isa, flags in ISAS[platform.machine().lower()].items()
            for bits in (32, 64)
        ]
        super().build_extension(ext)

    def compile_kernels(self, isa, flags, bits):
        folder = os.path.join(self.build_temp, f"kernels-{isa}-{bits}")
        (built,) = self.compiler.compile(
            [str(SOURCES / "kernels.c")],
            output_dir=folder,
            macros=[("CACT_ISA", isa), ("CACT_REAL", str(bits))],
            include_dirs=[str(SOURCES)],
            extra_postargs=FLAGS + flags,
        )
        return built


def extension():
    import numpy
    from Cython.Build import cythonize

    return cythonize(
        Extension(
            "cact._kernels",
            sources=[
                "cact/_kernels.pyx",
                *(
                    f"src_c/{name}.c"
                    for name in ("dispatch", "half", "strided", "sums", "threads", "training")
                ),
            ],
            depends=[str(p) for p in (*SOURCES.glob("*.[ch]"), *SOURCES.glob("*/*.h"))],
            include_dirs=[str(SOURCES), numpy.get_include()],
            define_macros=[
                ("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION"),
                ("NPY_TARGET_VERSION", "NPY_2_0_API_VERSION"),
            ],
            extra_compile_args=["-O2", "-std=gnu11", "-fvisibility=hidden", "-pthread", "-g0"],
            extra_link_args=["-pthread"],
        )
    )


setup(ext_modules=extension(), cmdclass={"build_ext": BuildKernels})

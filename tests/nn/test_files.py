"""`cact.save` and `cact.load`: the same bits back, whole files or none, ValueError for every bad one."""

from __future__ import annotations

import errno
import json
import math
import os
import pickle
import struct
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("safetensors")
pytest.importorskip("hypothesis")

import hypothesis
import safetensors.numpy
from hypothesis import strategies as st
from tensorfiles import joined, parts, places

import cact
from cact import _files, _lookup, _registry, nn
from cact.nn import files

MEBI = 2**20


@pytest.fixture
def registry() -> Iterator[None]:
    """Forget what a test registered."""
    tables = (_registry.RECORDS, _registry._keys, _lookup._activations)
    before = [dict(t) for t in tables]
    yield
    for table, was in zip(tables, before):
        table.clear()
        table.update(was)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "network.safetensors"


def arrays(network: nn.Sequential) -> dict[str, np.ndarray]:
    return {
        f"{i}.{name}": array
        for i, layer in enumerate(network.layers)
        for name, array in (*layer.params.items(), *layer.buffers.items())
    }


def check_same(a: nn.Sequential, b: nn.Sequential) -> None:
    """The same layers, with the same arrays to the bit."""
    assert list(map(repr, a.layers)) == list(map(repr, b.layers))
    assert (a.n_in, a.n_out, a.dtype) == (b.n_in, b.n_out, b.dtype)
    first, second = arrays(a), arrays(b)
    assert first.keys() == second.keys()
    for name, array in first.items():
        assert array.dtype == second[name].dtype
        assert array.shape == second[name].shape
        assert array.tobytes() == second[name].tobytes(), name
        assert second[name].flags.writeable
    for one, other in zip(a.activations, b.activations):
        assert one.activation == other.activation


def check_round_trip(network: nn.Sequential, path: Path, features: int = 3) -> nn.Sequential:
    """The same network from a file, which stays the same when it is written again."""
    cact.save(network, path)
    content = path.read_bytes()
    loaded: nn.Sequential = cact.load(path)
    check_same(network, loaded)
    dtype = network.dtype or np.float32
    x = np.random.default_rng(7).standard_normal((9, network.n_in or features)).astype(dtype)
    assert network.predict(x).tobytes() == loaded.predict(x).tobytes()
    cact.save(loaded, path)
    assert path.read_bytes() == content
    return loaded


def shaken(network: nn.Sequential, seed: int = 3) -> nn.Sequential:
    """With other numbers in all arrays, as after training; the variances stay positive."""
    rng = np.random.default_rng(seed)
    for name, array in arrays(network).items():
        array[...] = rng.uniform(0.1, 1, array.shape)
        if not name.endswith("var"):
            array *= rng.choice([-1, 1], array.shape)
    return network


# ---------------------------------------------------------------------- round trips
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", cact.names())
def test_every_activation(name: str, dtype: Any, path: Path) -> None:
    network = nn.mlp((3, 12, 8, 2), name, normalization="batch", dropout=0.2, rng=0, dtype=dtype)
    x = np.random.default_rng(1).standard_normal((9, 3)).astype(dtype)
    network.forward(x, training=True)
    check_round_trip(network, path)


@pytest.mark.parametrize("name", [n for n in cact.names() if cact.get(n).learnable])
@pytest.mark.parametrize("features", [None, 1, 4])
def test_learnable_activations(name: str, features: int | None, path: Path) -> None:
    layer = nn.Activation(name, features=features, dtype=np.float64)
    loaded = check_round_trip(shaken(nn.Sequential(layer)), path)
    assert loaded.n_in == features


def test_learnable_parameters_of_several_shapes(path: Path) -> None:
    f = cact.get("star_relu", scale=[0.5, 2.0, -1.0], bias=0.1)
    network = shaken(nn.Sequential(nn.Activation(f), nn.Dropout(0.0)))
    assert [a.shape for a in arrays(network).values()] == [(3,), ()]
    check_round_trip(network, path)
    check_round_trip(nn.Sequential(nn.Activation(f, features=3)), path)


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("leaky_relu", {"negative_slope": 0.2}),
        ("leaky_relu", {"negative_slope": -0.0}),
        ("leaky_relu", {"negative_slope": 5e-324}),
        ("elu", {"alpha": 0.1 + 0.2}),
        ("elu", {"alpha": np.array([0.1, math.pi, 1e300])}),
        ("elu", {"alpha": np.array([[0.1, -0.0, 5e-324]])}),
        ("hardtanh", {"min_val": [-1.0, -2.0, -3.0], "max_val": 2}),
        ("rrelu", {"lower": 0.1, "upper": 0.2, "training": True, "random_state": 2**70}),
        ("rrelu", {"random_state": np.int64(3)}),
        ("gelu", {"approximate": "tanh"}),
        ("geglu", {"approximate": "tanh"}),
        ("geglu", {"approximate": False, "axis": 1}),
        ("maxout", {"k": 3}),
        ("softmax", {"axis": 1}),
    ],
)
def test_bound_parameters(name: str, params: dict[str, Any], path: Path) -> None:
    f = cact.get(name, **params)
    loaded = check_round_trip(nn.Sequential(nn.Activation(f)), path, 4 if name == "geglu" else 3)
    for key, value in f.params.items():
        found = loaded.activations[0].activation.params[key]
        if isinstance(value, (float, np.ndarray)):
            assert np.asarray(found).tobytes() == np.asarray(value).tobytes()
        else:
            assert found == value


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "layer",
    [
        lambda dtype: nn.Dense(4, 3, rng=0, dtype=dtype),
        lambda dtype: nn.Dense(1, 1, bias=False, rng=0, dtype=dtype),
        lambda dtype: nn.BatchNorm(5, 0.3, 1e-3, dtype),
        lambda dtype: nn.BatchNorm(5, 1, 1, dtype),
        lambda dtype: nn.Dropout(1 / 3),
        lambda dtype: nn.AlphaDropout(1 / 3),
        lambda dtype: nn.LayerNorm(5, 1e-3, dtype),
        lambda dtype: nn.Activation("relu"),
    ],
)
def test_every_layer(layer: Callable[[Any], nn.Layer], dtype: Any, path: Path) -> None:
    network = shaken(nn.Sequential(layer(dtype)))
    loaded = check_round_trip(network, path)
    old, new = network.layers[0], loaded.layers[0]
    assert type(new) is type(old)
    assert new._config() == old._config()
    for key in old._arguments:
        if hasattr(old, key):
            assert getattr(new, key) == getattr(old, key)


def test_every_layer_has_its_description() -> None:
    """What `_config`, `_shapes` and `_arguments` say of a layer is the layer."""
    examples: list[nn.Layer] = [
        nn.Dense(4, 3), nn.Dense(4, 3, bias=False), nn.BatchNorm(4), nn.Dropout(0.5), nn.Activation("relu"),
        nn.Activation("prelu", features=3), nn.Activation("xielu"), nn.AlphaDropout(0.5), nn.LayerNorm(3),
    ]  # fmt: skip
    assert {type(layer).__name__ for layer in examples} == set(files.LAYERS)
    layers = {kind for kind in vars(nn).values() if isinstance(kind, type) and issubclass(kind, nn.Layer)}
    assert layers - {nn.Layer} == set(files.LAYERS.values())
    for layer in examples:
        config = layer._config()
        assert config.keys() == layer._arguments.keys()
        shapes = {k: a.shape for k, a in (*layer.params.items(), *layer.buffers.items())}
        assert layer._shapes(config) == shapes


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_kind_of_number(dtype: Any, path: Path) -> None:
    info = np.finfo(dtype)
    numbers = [0.0, -0.0, info.smallest_subnormal, -info.tiny, info.max, info.min, 1 / 3, 1 + info.eps]
    dense = nn.Dense(2, 4, bias=False, dtype=dtype)
    dense.params["weight"].flat = np.array(numbers, dtype)
    network = nn.Sequential(dense)
    cact.save(network, path)
    check_same(network, cact.load(path))


def test_arrays_of_other_layouts(path: Path) -> None:
    network = nn.Sequential(nn.Dense(4, 3, rng=0))
    weight = network.layers[0].params["weight"]
    cact.save(network, path)
    for other in (np.asfortranarray(weight), np.repeat(weight, 2, axis=1)[:, ::2], weight[::-1].copy()[::-1]):
        network.layers[0].params["weight"] = other
        check_same(cact.load(path), network)
        check_round_trip(network, path)


def test_a_trained_network_trains_on(path: Path) -> None:
    X = np.random.default_rng(0).standard_normal((40, 3), dtype=np.float32)
    y = (X[:, 0] > 0).astype(int)
    network = nn.mlp((3, 8, 2), "prelu", normalization="batch", rng=0)
    nn.train(network, X, y, optimizer=nn.Adam(network, 0.01), epochs=2, batch_size=10, rng=0)
    loaded = check_round_trip(network, path)
    for n in (network, loaded):
        nn.train(n, X, y, optimizer=nn.Adam(n, 0.01), epochs=2, batch_size=10, rng=1)
    check_same(network, loaded)


def test_own_activations_by_name(registry: None, path: Path) -> None:
    def f(x: Any, k: Any = 2) -> Any:
        return k * x

    def grad(x: Any, k: Any = 2) -> Any:
        return 0 * x + k

    network = nn.Sequential(nn.Activation(cact.register("own_line", f, grad)))
    check_round_trip(network, path)
    network = nn.Sequential(nn.Activation(cact.get("own_line", k=[1.0, 2.0, 3.0])))
    check_round_trip(network, path)
    content = path.read_bytes()
    cact.register("own_line", lambda x: x, lambda x: 0 * x + 1, replace=True)
    with pytest.raises(TypeError, match=r"layer 0, Activation\(own_line\): .* register them first"):
        cact.save(network, path)
    assert path.read_bytes() == content
    with pytest.raises(ValueError, match=r"own_line has the parameters \[\], got \['k'\]"):
        cact.load(path)
    del _registry.RECORDS["own_line"]
    with pytest.raises(ValueError, match=r"no activation is named 'own_line'.*cact\.register"):
        cact.load(path)


@pytest.mark.parametrize("kind", [str, Path])
def test_paths(kind: Any, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = nn.mlp((3, 4, 2), "gelu", rng=0)
    cact.save(network, kind(path))
    check_same(network, cact.load(kind(path)))
    monkeypatch.chdir(path.parent)
    cact.save(network, kind("here"))
    check_same(network, cact.load(kind("here")))
    long = "n" * 255
    cact.save(network, kind(long))
    check_same(network, cact.load(kind(long)))


def test_others_read_the_tensors(path: Path) -> None:
    network = nn.mlp((3, 4, 2), "gelu", normalization="batch", rng=0, dtype=np.float64)
    cact.save(network, path)
    found = safetensors.numpy.load_file(path)
    assert found.keys() == arrays(network).keys()
    assert all(np.array_equal(found[name], a) for name, a in arrays(network).items())


# ---------------------------------------------------------------------- what cannot be saved
class OwnLayer(nn.Dense):
    pass


class OwnNetwork(nn.Sequential):
    pass


def with_weight(value: Any, name: str = "weight") -> nn.Sequential:
    network = nn.Sequential(nn.Dense(2, 3, rng=0))
    network.layers[0].params[name] = np.asarray(value)
    return network


def norm(mean: float, var: float) -> nn.Sequential:
    layer = nn.BatchNorm(1)
    layer.running_mean[:], layer.running_var[:] = mean, var
    return nn.Sequential(layer)


@pytest.mark.parametrize(
    ("model", "error", "words"),
    [
        (lambda: None, TypeError, "Sequential.*, got NoneType"),
        (lambda: nn.Dense(2, 3), TypeError, "Sequential.*, got Dense"),
        (lambda: OwnNetwork(nn.Dense(2, 3)), TypeError, "Sequential.*, got OwnNetwork"),
        (
            lambda: nn.Sequential(nn.Dense(2, 2), OwnLayer(2, 3)),
            TypeError,
            "layer 1.*Activation, .*Dropout.*, not OwnLayer",
        ),
        (lambda: nn.Sequential(nn.Activation((np.sin, np.cos))), TypeError, "cact.register"),
        (
            lambda: nn.Sequential(nn.Activation(cact.get("rrelu", random_state=np.random.default_rng(0)))),
            TypeError,
            r"layer 0, Activation\(rrelu\): random_state is Generator",
        ),
        (
            lambda: nn.Sequential(nn.Activation(cact.get("elu", alpha=np.ones((0, 2))))),
            TypeError,
            "alpha is array",
        ),
        (lambda: with_weight(np.full((2, 3), np.nan, "f4")), ValueError, r"Dense\(2, 3\): weight is not"),
        (lambda: with_weight(np.float32([0, 1, np.inf]), "bias"), ValueError, "bias is not finite"),
        (lambda: with_weight(np.zeros((3, 2), "f4")), ValueError, "no longer of the shapes"),
        (lambda: with_weight(np.zeros((2, 3))), ValueError, "no longer of the shapes and dtype"),
        (lambda: with_weight(np.zeros((2, 3), ">f8")), ValueError, "no longer of the shapes and dtype"),
        (lambda: with_weight(np.float32(0), "third"), ValueError, "no longer of the shapes"),
        (lambda: norm(np.nan, 1), ValueError, r"BatchNorm\(1\): running_mean is not finite"),
        (lambda: norm(0, -1), ValueError, "running_var is negative"),
    ],
)  # fmt: skip
def test_refused_before_anything_is_written(
    model: Callable[[], Any], error: type[Exception], words: str, path: Path
) -> None:
    path.write_bytes(b"old")
    with pytest.raises(error, match=words):
        cact.save(model(), path)
    assert path.read_bytes() == b"old"
    assert os.listdir(path.parent) == [path.name]


def test_too_many_layers(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = nn.Sequential(*(nn.Dropout(0.1) for _ in range(5)))
    cact.save(network, path)
    monkeypatch.setattr(files, "MAX_LAYERS", 4)
    with pytest.raises(ValueError, match="at most 4 layers, got 5"):
        cact.save(network, path)
    with pytest.raises(ValueError, match="more than 4 layers"):
        cact.load(path)


def test_a_description_that_is_too_long(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_HEADER", 1000)
    cact.save(nn.Sequential(nn.Activation(cact.get("elu", alpha=[0.5] * 50))), path)
    content = path.read_bytes()
    with pytest.raises(ValueError, match="longer than 1000 bytes"):
        cact.save(nn.Sequential(nn.Activation(cact.get("elu", alpha=[0.5] * 500))), path)
    assert path.read_bytes() == content


def test_without_safetensors(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "safetensors", None)
    for call in (lambda: cact.save(nn.Sequential(nn.Dense(2, 3)), path), lambda: cact.load(path)):
        with pytest.raises(ModuleNotFoundError, match=r'pip install "cact\[learn\]" brings it'):
            call()
    assert not path.exists()


def test_on_first_use() -> None:
    code = (
        "import cact, sys; assert {'save', 'load'} <= set(dir(cact)); assert 'cact.nn' not in sys.modules;"
        "cact.save, cact.load; assert 'safetensors' not in sys.modules"
    )
    paths = os.pathsep.join([str(Path(cact.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": paths})


# ---------------------------------------------------------------------- whole or as it was
def full(*args: Any) -> Any:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def open_on_a_full_disk(*args: Any, **kwargs: Any) -> Any:
    """A file that takes half of what is written."""
    file = open(*args, buffering=0, **kwargs)  # noqa: SIM115

    class Full:
        def __enter__(self) -> Full:
            return self

        def __exit__(self, *args: Any) -> None:
            file.close()

        def write(self, data: bytes) -> None:
            file.write(data[: len(data) // 2])
            full()

    return Full()


@pytest.mark.parametrize("at", ["open", "os.fsync", "os.replace"])
@pytest.mark.parametrize("old", [None, b"old"])
def test_a_full_disk(at: str, old: bytes | None, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if old is not None:
        path.write_bytes(old)
    network = nn.mlp((3, 4, 2), "relu", rng=0)
    with monkeypatch.context() as patch:
        if at == "open":
            patch.setattr(_files, "open", open_on_a_full_disk, raising=False)
        else:
            patch.setattr(at, full)
        with pytest.raises(OSError, match="No space left"):
            cact.save(network, path)
    assert os.listdir(path.parent) == ([] if old is None else [path.name])
    if old is not None:
        assert path.read_bytes() == old
    check_round_trip(network, path)


def test_an_interrupt(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*args: Any) -> None:
        raise KeyboardInterrupt

    path.write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        cact.save(nn.mlp((3, 4, 2), "relu"), path)
    assert path.read_bytes() == b"old"
    assert os.listdir(path.parent) == [path.name]


def test_a_folder_that_cannot_be_synced(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "open", full)
    check_round_trip(nn.mlp((3, 4, 2), "relu", rng=0), path)


def test_the_file_is_synced_before_it_gets_its_name(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda *args: (done.append("sync"), fsync(*args)))
    monkeypatch.setattr(os, "replace", lambda *args: (done.append("name"), replace(*args)))
    cact.save(nn.mlp((3, 4, 2), "relu"), path)
    assert done == (["sync", "name", "sync"] if os.name == "posix" else ["sync", "name"])


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_permissions(path: Path) -> None:
    network = nn.mlp((3, 4, 2), "relu")
    for umask, mode in ((0o022, 0o644), (0o027, 0o640), (0o077, 0o600)):
        before = os.umask(umask)
        try:
            path.unlink(missing_ok=True)
            cact.save(network, path)
        finally:
            os.umask(before)
        assert path.stat().st_mode & 0o777 == mode
    path.chmod(0o664)
    cact.save(network, path)
    assert path.stat().st_mode & 0o777 == 0o664, "an old file's permissions stay"


@pytest.mark.skipif(os.name != "posix", reason="links of POSIX")
def test_links(path: Path) -> None:
    network = nn.mlp((3, 4, 2), "relu")
    target = path.with_name("target")
    path.symlink_to(target.name)
    for _ in range(2):
        cact.save(network, path)
        assert path.is_symlink()
        assert not target.is_symlink()
        check_same(network, cact.load(target))


def test_errors_name_the_path(path: Path) -> None:
    network = nn.mlp((3, 4, 2), "relu")
    missing = path / "there"
    with pytest.raises(FileNotFoundError) as error:
        cact.save(network, missing)
    assert error.value.filename == os.path.realpath(missing)
    with pytest.raises(FileNotFoundError):
        cact.load(path)
    path.mkdir()
    for call in (lambda: cact.save(network, path), lambda: cact.load(path)):
        with pytest.raises(OSError, match=path.name):
            call()
    assert os.listdir(path.parent) == [path.name]


# ---------------------------------------------------------------------- hostile files
SMALL = nn.Sequential(
    nn.Dense(2, 1, rng=0), nn.BatchNorm(1), nn.Activation("prelu"), nn.Activation("elu"), nn.Dropout(0.5)
)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("small") / "file"
    cact.save(SMALL, path)
    return path.read_bytes()


def check_hostile(path: Path, content: bytes) -> bool:
    """A valid network or a ValueError; whether it was the latter."""
    path.write_bytes(content)
    try:
        network = cact.load(path)
    except ValueError as error:
        refusal = str(error)
    else:
        refusal = None
    if refusal is not None:
        assert refusal.startswith(f"{path}: ")
        return True
    assert type(network) is nn.Sequential
    for array in arrays(network).values():
        assert array.dtype in (np.float32, np.float64)
        assert np.isfinite(array).all()
    if (network.n_in or 2) < 100:
        y = network.predict(np.ones((3, network.n_in or 2), network.dtype or np.float32))
        assert y.shape == (3, network.n_out or 2)
    return False


def refused(path: Path, content: bytes, words: str | None = None) -> None:
    path.write_bytes(content)
    with pytest.raises(ValueError, match=words):
        cact.load(path)


def test_every_truncation(small: bytes, path: Path) -> None:
    assert not check_hostile(path, small)
    for n in range(len(small)):
        assert check_hostile(path, small[:n]), n


def test_every_flipped_bit(small: bytes, path: Path) -> None:
    """A weight may become another one, a number of the description, too; that is all."""
    header = 8 + int.from_bytes(small[:8], "little")
    good = set()
    for i in range(len(small)):
        for bit in range(8):
            changed = bytearray(small)
            changed[i] ^= 1 << bit
            if not check_hostile(path, bytes(changed)):
                good.add(i)
    assert {i for i in good if i >= header} == set(range(header, len(small)))
    assert not good & set(range(8)), "the header's length"


def test_every_byte_replaced(small: bytes, path: Path) -> None:
    for value in b'"0':
        for i in range(int.from_bytes(small[:8], "little") + 8):
            check_hostile(path, small[:i] + bytes([value]) + small[i + 1 :])


def test_bytes_too_many(small: bytes, path: Path) -> None:
    for more in (b"\0", b"\0" * 4, small, bytes(MEBI)):
        refused(path, small + more, "bytes follow|follow the header|but")
        refused(path, more + small)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 7,
        b"\0" * 8,
        b"\xff" * 100,
        b"\0" * 10_000,
        b"\x89PNG\r\n\x1a\n" * 9,
        pickle.dumps({"0.weight": np.ones(3)}),
        struct.pack("<Q", 2**63) + b"{}",
        struct.pack("<Q", 2) + b"{}",
        struct.pack("<Q", 2) + b"[]",
        struct.pack("<Q", 4) + b"null",
        struct.pack("<Q", 4) + b"\xff\xfe{}",
        struct.pack("<Q", 3) + b"\xef\xbb\xbf",
        struct.pack("<Q", 7) + '{"é":1}'.encode("latin-1"),
        safetensors.numpy.save({"0.weight": np.ones((2, 3), np.float32)}),
        safetensors.numpy.save({"0.weight": np.ones((2, 3), np.float32)}, {"format": "pt"}),
        safetensors.numpy.save({"0.weight": np.ones((2, 3), np.float32)}, {"cact": "{}"}),
    ],
)
def test_other_files(content: bytes, path: Path) -> None:
    refused(path, content)


def test_a_pickle_does_not_run(path: Path) -> None:
    class Trap:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(path.with_name("sprung")),)

    refused(path, pickle.dumps(Trap()), "no header")
    assert os.listdir(path.parent) == [path.name]


Change = Callable[[dict[str, Any], dict[str, Any]], Any]


def header_of(name: str, **entry: Any) -> Change:
    return lambda header, description: header[name].update(entry)


def layer_of(i: int, **config: Any) -> Change:
    return lambda header, description: description["layers"][i].update(config)


def top(**entries: Any) -> Change:
    return lambda header, description: description.update(entries)


def params(**values: Any) -> Change:
    return layer_of(3, params=values)


def rrelu(**values: Any) -> Change:
    bound = {"lower": 0.0, "upper": 1.0, "training": False, "random_state": None, **values}
    return layer_of(3, activation="rrelu", params=bound)


def maxout(k: Any) -> Change:
    return layer_of(3, activation="maxout", params={"k": k, "axis": -1})


HUGE = 10**4000
CHANGES: list[tuple[Change, str]] = [
    # offsets, dtypes, shapes, names
    (header_of("0.weight", data_offsets=[0, 4]), "offset|invalid"),
    (header_of("0.weight", data_offsets=[8, 0]), "offset"),
    (header_of("0.weight", data_offsets=[2**63, 2**63 + 8]), "offset"),
    (header_of("0.weight", data_offsets=[-8, 0]), "integer"),
    (header_of("0.weight", data_offsets=[HUGE, HUGE]), ""),
    (header_of("0.weight", data_offsets=[0.0, 8.0]), ""),
    (header_of("0.weight", data_offsets=[0]), ""),
    (header_of("0.weight", data_offsets=None), "data_offsets must be list"),
    (header_of("0.bias", data_offsets=[4, 8]), "offset"),
    (lambda h, d: h["1.beta"].update(data_offsets=h["1.gamma"]["data_offsets"]), "offset"),
    *[(header_of("0.weight", dtype=t), "must be F32") for t in ("F64", "I64", "F16", "BF16", "f32", "")],
    *[(header_of("2.weight", dtype=t), "2.weight") for t in ("I32", 32, None, ["F32"])],
    (header_of("0.weight", shape=[1, 2]), r"0.weight must be F32 \[2, 1\], got F32 \[1, 2\]"),
    *[(header_of("0.weight", shape=s), "0.weight") for s in ([2], [2, 1, 1], [], 2, None, ["2", 1], [2, 2])],
    (header_of("0.weight", shape=[2, True]), ""),
    (header_of("0.weight", shape=[2.0, 1.0]), ""),
    (header_of("0.weight", shape=[-2, -1]), ""),
    (header_of("0.weight", extra=1), "0.weight must have the keys"),
    (lambda h, d: h.update({"0.weight": 3}), "0.weight must be an object"),
    (lambda h, d: h["0.weight"].pop("dtype"), "0.weight must have the keys"),
    (lambda h, d: h.pop("0.bias"), r"missing: \['0.bias'\]"),
    (lambda h, d: h.update({"0.other": h["0.bias"]}), r"not expected: \['0.other'\]"),
    (lambda h, d: h.update({"5.bias": h.pop("0.bias")}), "missing.*not expected"),
    (lambda h, d: h.update({"\ud800": h.pop("0.bias")}), "missing"),
    (lambda h, d: h.update({"__metadata__": {"cact": json.dumps(d), "other": "1"}}), "does not say"),
    (lambda h, d: h.update({"__metadata__": {"cact": 1}}), "does not say"),
    (lambda h, d: h.update({"__metadata__": []}), "does not say"),
    # the description
    *[(top(format=f), "its format is") for f in (0, 2, 1.0, True, "1", None, HUGE - 1)],
    *[(top(kind=k), "it keeps") for k in ("estimator", None, ["network"], 1)],
    (top(run="import os"), "the network must have the keys layers"),
    (lambda h, d: d.pop("layers"), "the network must have the keys layers"),
    *[(top(layers=v), "layers must be list") for v in (None, {}, "Dense", 1)],
    (top(layers=[]), "not expected"),
    (top(layers=[{"type": "Dropout", "rate": 0.5}] * 10_001), "more than 10000 layers"),
    (lambda h, d: d["layers"].append(d["layers"][0]), "missing"),
    (lambda h, d: d["layers"].reverse(), "missing"),
    *[
        (lambda h, d, v=v: d["layers"].__setitem__(4, v), "layer 4 must be of a type")
        for v in (None, 1, "Dropout", [])
    ],
    *[
        (layer_of(4, type=t), "layer 4 must be of a type")
        for t in ("Layer", "Sequential", "dropout", "os.system", "__class__", None, ["Dropout"], {})
    ],
    # Dense
    (layer_of(0, n_in=10**9, n_out=10**9), "0.weight must be F32"),
    (layer_of(0, n_in=HUGE), "0.weight must be F32"),
    (layer_of(0, n_in=-2, n_out=-1), "0.weight must be"),
    *[(layer_of(0, n_in=v), "n_in must be int") for v in (2.0, True, "2", None, [2])],
    *[(layer_of(0, bias=v), "bias must be bool") for v in (1, 0, None, "yes", [])],
    (layer_of(0, bias=False), "0.bias"),
    (layer_of(0, dtype="float64"), "0.weight must be F64"),
    *[(layer_of(0, dtype=v), "dtype must be") for v in ("f4", "float16", ">f4", "object", None, ["f4"])],
    (layer_of(0, rng=0), "layer 0 must have the keys"),
    (layer_of(0, init="zeros"), "layer 0 must have the keys"),
    (lambda h, d: d["layers"][0].pop("dtype"), "layer 0 must have the keys"),
    # BatchNorm
    (layer_of(1, features=HUGE), "1.gamma must be"),
    *[(layer_of(1, momentum=v), "momentum must be") for v in (0.0, -0.5, 1.5, 1, True, "0.1", None)],
    *[(layer_of(1, eps=v), "eps must be") for v in (0.0, -1e-5, None, HUGE)],
    (layer_of(1, dtype="float64"), "1.gamma must be F64"),
    # Activation
    *[
        (layer_of(3, activation=v), "no activation is named")
        for v in ("ELU", "e_lu", "os.system", "", "__class__", "\ud800", "elu\0", "x" * MEBI)
    ],
    *[(layer_of(3, activation=v), "activation must be str") for v in (None, 1, ["elu"], {"f": "elu"})],
    (layer_of(3, activation="relu"), "relu has the parameters"),
    (layer_of(3, activation="softmax"), "softmax has the parameters"),
    *[(layer_of(3, params=v), "params must be dict") for v in (None, [], "alpha", 1.0)],
    (params(), "elu has the parameters"),
    (params(alpha=1.0, beta=2.0), "elu has the parameters"),
    (params(alpha=1.0, like="keras"), "elu has the parameters"),
    (params(alpha=HUGE), "alpha must be finite"),
    *[(params(alpha=v), "alpha must be") for v in ("1", None, {}, [1], ["1.0"], [[1.0], [True]], [None])],
    (params(alpha=[[1.0], 2.0]), "alpha must be"),
    (params(alpha=[[1.0], [2.0, 3.0]]), "alpha must be"),
    (params(alpha=1), ""),
    (params(alpha=True), ""),
    (layer_of(3, features=4), "features is for learnable functions only"),
    (layer_of(3, dtype="float32"), "is not how it is written"),
    (layer_of(2, features=10**9), "2.weight must be F32"),
    (layer_of(2, features=-1), "2.weight must be F32"),
    (layer_of(2, features=1.0), "features must be int or null"),
    (layer_of(2, dtype=None), "dtype must be float32 or float64"),
    (layer_of(2, params={"weight": [0.25] * 9}), "2.weight must be"),
    (rrelu(lower=2.0), "must not exceed"),
    (rrelu(training=1), "training must be"),
    *[(rrelu(training=t, random_state=v), "") for t in (True, False) for v in ("a", -1, 0.5, [0.5], HUGE)],
    *[(maxout(k=k), "") for k in (0, -1, 2, HUGE, 1.5, None, [1.0])],
    (layer_of(3, activation="geglu", params={"axis": -1, "approximate": "none"}), "geglu"),
    (layer_of(3, activation="gelu", params={"approximate": "tanh"}), "gelu has the parameters"),
    # Dropout
    *[(layer_of(4, rate=v), "rate must be") for v in (1.0, -0.1, None, "0.5", True, 0, HUGE)],
]


@pytest.mark.parametrize("i", range(len(CHANGES)))
def test_changed_descriptions(i: int, small: bytes, path: Path) -> None:
    change, words = CHANGES[i]
    header, description, data = parts(small)
    assert not check_hostile(path, joined(header, description, data))
    change(header, description)
    content = joined(header, description, data)
    if words:
        refused(path, content, words)
    else:
        check_hostile(path, content)


def test_layers_that_do_not_fit_each_other(path: Path) -> None:
    cact.save(nn.Sequential(nn.Dense(2, 3), nn.Dense(3, 2)), path)
    header, description, data = parts(path.read_bytes())
    description["layers"][1].update(n_in=2, n_out=3)
    header["1.weight"]["shape"] = [2, 3]
    header["1.bias"]["shape"] = [3]
    offset = max(entry["data_offsets"][1] for entry in header.values())
    header["1.bias"]["data_offsets"][1] += 4
    for entry in header.values():
        if entry["data_offsets"][0] > header["1.bias"]["data_offsets"][0]:
            entry["data_offsets"] = [n + 4 for n in entry["data_offsets"]]
    assert max(entry["data_offsets"][1] for entry in header.values()) == offset + 4
    refused(path, joined(header, description, data + b"\0" * 4), "takes 2 features, but gets 3")

    cact.save(nn.Sequential(nn.Dense(2, 3, bias=False), nn.BatchNorm(3)), path)
    header, description, data = parts(path.read_bytes())
    description["layers"][1]["dtype"] = "float64"
    at = 0
    for name in ("1.beta", "1.gamma", "1.running_mean", "1.running_var", "0.weight"):
        size = 24
        header[name].update(dtype="F32" if name == "0.weight" else "F64", data_offsets=[at, at + size])
        at += size
    refused(path, joined(header, description, np.ones(at // 8).tobytes()), "is float64 after float32")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", list(arrays(SMALL)))
def test_numbers_that_are_not_finite(name: str, bad: float, small: bytes, path: Path) -> None:
    header, description, data = parts(small)
    start, end = header[name]["data_offsets"]
    for at in range(start, end, 4):
        changed = data[:at] + struct.pack("<f", bad) + data[at + 4 :]
        refused(path, joined(header, description, changed), f"{name.split('.')[1]} is not finite")


def test_a_negative_variance(small: bytes, path: Path) -> None:
    header, description, data = parts(small)
    start = header["1.running_var"]["data_offsets"][0]
    changed = data[:start] + struct.pack("<f", -1) + data[start + 4 :]
    refused(path, joined(header, description, changed), "running_var is negative")


def test_keys_twice(small: bytes, path: Path) -> None:
    header, description, data = parts(small)
    text = json.dumps(description)
    refused(path, joined(header, text.replace('"format": 1', '"format": 1, "format": 1'), data), "twice")
    refused(path, joined(header, text.replace('"rate": 0.5', '"rate": 0.5, "rate": 0.5'), data), "twice")
    whole = json.dumps({"__metadata__": {"cact": text}, **header})
    entry = json.dumps(header["0.bias"])
    refused(path, joined(whole[:-1] + f', "0.bias": {entry}}}', "", data), "twice")
    refused(path, joined(whole.replace('"cact":', '"cact": "", "cact":'), "", data), "twice")


@pytest.mark.parametrize(
    "number", ["NaN", "Infinity", "-Infinity", "1e999", "9" * 5000, "0x1", "01", ".5", "1_0"]
)
def test_numbers_beyond_json(number: str, small: bytes, path: Path) -> None:
    header, description, data = parts(small)
    text = json.dumps(description)
    for old in ('"rate": 0.5', '"eps": 1e-05', '"alpha": 1.0', '"n_in": 2', '"format": 1'):
        assert old in text
        refused(path, joined(header, text.replace(old, f"{old.partition(' ')[0]} {number}"), data))


@pytest.mark.parametrize("bracket", ["[", '{"a":'])
@pytest.mark.parametrize("depth", [900, 100_000])
def test_deep_nesting(bracket: str, depth: int, small: bytes, path: Path) -> None:
    header, description, data = parts(small)
    closing = {"[": "]", "{": "}"}[bracket[0]]
    deep = bracket * depth + ("1.0" if bracket == '{"a":' else "") + closing * depth
    text = json.dumps(description)
    refused(path, joined(deep, "", b""))
    refused(path, joined(deep[: depth // 2], "", b""))
    refused(path, joined(header, deep, data))
    for old in ('"alpha": 1.0', '"n_in": 2', '"type": "Dropout"'):
        refused(path, joined(header, text.replace(old, f"{old.partition(' ')[0]} {deep}"), data))
    whole = json.dumps({"__metadata__": {"cact": text}, **header})
    refused(path, joined(whole.replace('"shape": [2, 1]', f'"shape": {deep}'), "", data))


# ---------------------------------------------------------------------- memory
def peak(path: Path) -> int:
    """Bytes at most taken while a file is refused."""
    with pytest.raises(ValueError):  # noqa: PT011
        cact.load(path)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError):  # noqa: PT011
            cact.load(path)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("n", [10**5, 10**9, 2**40])
def test_declared_sizes_are_not_believed(n: int, small: bytes, path: Path) -> None:
    dense = {"type": "Dense", "n_in": n, "n_out": n, "bias": False, "dtype": "float32"}
    description = {"format": 1, "kind": "network", "layers": [dense]}
    header = {"0.weight": {"dtype": "F32", "shape": [n, n], "data_offsets": [0, 4 * n * n]}}
    for data in (b"", b"\0" * 4, b"\0" * MEBI):
        path.write_bytes(joined(header, description, data))
        assert peak(path) < MEBI // 2
    prelu = {
        "type": "Activation",
        "activation": "prelu",
        "params": {"weight": 0.25},
        "features": n,
        "dtype": "float32",
    }
    header = {"0.weight": {"dtype": "F32", "shape": [n], "data_offsets": [0, 4 * n]}}
    path.write_bytes(joined(header, {**description, "layers": [prelu]}, b"\0" * 4))
    assert peak(path) < MEBI // 2


def test_large_files_are_not_read_before_they_are_checked(small: bytes, path: Path) -> None:
    for content in (b"", small, small[:50], struct.pack("<Q", 2**30)):
        path.write_bytes(content)
        os.truncate(path, 2**30)  # a hole: nothing on the disk
        assert peak(path) < MEBI // 2


def test_strings_do_not_become_arrays(small: bytes, path: Path) -> None:
    """NumPy gives every string of an array the room of the longest."""
    header, description, data = parts(small)
    description["layers"][3]["params"]["alpha"] = ["x" * 100_000] + [""] * 10_000
    path.write_bytes(joined(header, description, data))
    assert peak(path) < 4 * MEBI


# ---------------------------------------------------------------------- anything
FUZZ = hypothesis.settings(
    max_examples=60,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from([*cact.names(), *files.LAYERS, "float32", "float64", "F32", "F64", "type", "params"])
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda v: st.lists(v, max_size=4) | st.dictionaries(st.text(max_size=6), v, max_size=4),
    max_leaves=8,
)


@FUZZ
@hypothesis.given(data=st.data())
def test_fuzzed_structures(data: st.DataObject, small: bytes, path: Path) -> None:
    header, description, numbers = parts(small)
    for _ in range(data.draw(st.integers(1, 3))):
        all_places = places(data.draw(st.sampled_from([header, description])))
        if not all_places:
            continue
        container, key = data.draw(st.sampled_from(all_places))
        action = data.draw(st.sampled_from(["replace", "nudge", "remove", "copy", "rename"]))
        if action == "replace":
            container[key] = data.draw(VALUES)
        elif action == "nudge" and isinstance(container[key], (int, float)):
            container[key] = container[key] + data.draw(st.sampled_from([-8, -4, -1, 1, 4, 8, 2**31, 2**63]))
        elif action == "remove":
            del container[key]
        elif action == "copy":
            other, place = data.draw(st.sampled_from(all_places))
            container[key] = (
                json.loads(json.dumps(other[place])) if place in other or isinstance(other, list) else 0
            )
        elif action == "rename" and isinstance(container, dict):
            container[data.draw(st.text(max_size=4) | st.sampled_from(["init", "rng", "gain"]))] = (
                container.pop(key)
            )
    check_hostile(path, joined(header, description, numbers))


@FUZZ
@hypothesis.given(data=st.data())
def test_fuzzed_bytes(data: st.DataObject, small: bytes, path: Path) -> None:
    changed = bytearray(small)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(changed)))
        end = data.draw(st.integers(at, min(len(changed), at + 8)))
        changed[at:end] = data.draw(st.binary(max_size=8))
    check_hostile(path, bytes(changed))


@FUZZ
@hypothesis.given(content=st.binary(max_size=64))
def test_any_bytes(content: bytes, path: Path) -> None:
    assert check_hostile(path, content)
    assert check_hostile(path, struct.pack("<Q", len(content)) + content)


@FUZZ
@hypothesis.given(
    description=VALUES
    | st.fixed_dictionaries({"format": st.just(1), "kind": st.just("network"), "layers": VALUES})
)
def test_any_description(description: Any, path: Path) -> None:
    check_hostile(path, joined({}, description, b""))


@FUZZ
@hypothesis.given(
    weight=st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=6, max_size=6),
    alpha=st.floats(allow_nan=False, allow_infinity=False),
    rate=st.floats(0, 1, exclude_max=True),
    eps=st.floats(0, exclude_min=True, allow_infinity=False),
)
def test_any_numbers(weight: list[float], alpha: float, rate: float, eps: float, path: Path) -> None:
    dense = nn.Dense(2, 3)
    dense.params["weight"].flat = weight
    network = nn.Sequential(
        dense, nn.BatchNorm(3, eps=eps), nn.Activation(cact.get("elu", alpha=alpha)), nn.Dropout(rate)
    )
    cact.save(network, path)
    loaded = cact.load(path)
    check_same(network, loaded)
    assert [layer._config() for layer in loaded.layers] == [layer._config() for layer in network.layers]

"""The command: its results, and one line for every mistake."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import cact
from cact import _compare, cli

QUICK = ["--depths", "1", "--repeats", "2", "--epochs", "2", "--width", "4", "--activations", "relu,tanh"]


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    root = str(Path(cact.__file__).parent.parent)
    paths = os.pathsep.join([root, os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    return subprocess.run(
        [sys.executable, "-m", "cact", *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONPATH": paths, "PYTHONIOENCODING": "utf-8"},
        check=False,
    )


def fails(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The error line of a command that must fail."""
    assert cli.main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("cact: error: ")
    assert err.count("\n") == 1
    return err.removeprefix("cact: error: ").rstrip("\n")


def test_compare_on_a_csv_file() -> None:
    lines = [f"{i % 7},{i % 2 * 3 + i % 3},{'odd' if i % 2 else 'even'}" for i in range(60)]
    Path("numbers.csv").write_text("a,b,kind\n" + "\n".join(lines) + "\n")
    result = command("compare", "numbers.csv", *QUICK, "--jobs", "1")
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("numbers: 60 rows, 2 features, 2 classes\n2 configurations, 2 repeats")
    assert "relu" in result.stdout
    assert "4/4" in result.stderr  # the progress bar
    folder = Path("cact-compare-numbers")
    assert sorted(p.name for p in folder.iterdir()) == ["comparison.json", "comparison.png"]
    read = json.loads((folder / "comparison.json").read_text(encoding="utf-8"))
    assert read["configurations"] == ["tanh", "relu"]
    assert (folder / "comparison.png").read_bytes().startswith(b"\x89PNG")


def test_compare_options(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--optimizer", "adam", "--lr", "0.01", "--batch-size", "50", "--seed", "3", "--out", "a/b"]
    assert cli.main(["compare", "iris", *QUICK, *options, "--jobs", "1"]) == 0
    settings = json.loads(Path("a/b/comparison.json").read_text())["settings"]
    expected = {
        "repeats": 2, "width": 4, "epochs": 2, "batch_size": 50, "optimizer": "adam", "lr": 0.01,
        "momentum": None, "test_size": 0.25, "seed": 3, "train_rows": 112, "test_rows": 38,
    }  # fmt: skip
    assert settings == expected
    assert capsys.readouterr().out.endswith("\na/b/comparison.png\na/b/comparison.json\n")


def test_defaults_are_those_of_compare(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*args: object, **kwargs: object) -> None:
        seen.update(kwargs, depths=args[3], repeats=args[4], activations=args[2])
        raise KeyboardInterrupt

    seen: dict[str, object] = {}
    defaults = _compare.compare.__kwdefaults__
    monkeypatch.setattr(_compare, "compare", stop)
    assert cli.main(["compare", "iris"]) == 130
    for key in ("width", "epochs", "batch_size", "optimizer", "lr", "seed"):
        assert seen[key] == defaults[key]
    assert seen["n_jobs"] == cli._cpus()
    assert (seen["depths"], seen["repeats"]) == ([3, 10], 5)
    assert seen["activations"] == _compare.configurations()
    for option in ("--jobs", "--n-jobs"):
        assert cli.main(["compare", "iris", option, "77"]) == 130
        assert seen.pop("n_jobs") == 77


def test_list_and_info(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["list"]) == 0
    out = capsys.readouterr().out
    assert [line.split()[0] for line in out.splitlines()] == cact.names()
    assert "leaky_relu" in out
    assert "[negative_slope=0.01]" in out
    assert cli.main(["info"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"backend     {cact.info()['backend']}\n")
    assert f"cact {cact.__version__}" in out


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    for option, words in (("--version", f"cact {cact.__version__}"), ("--help", "compare")):
        with pytest.raises(SystemExit) as caught:
            cli.main([option])
        assert caught.value.code == 0
        assert words in capsys.readouterr().out


def test_bench_gets_its_own_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    from cact import bench

    monkeypatch.setattr(bench, "main", lambda arguments: 7 if arguments == ["--help", "x"] else 0)
    assert cli.main(["bench", "--help", "x"]) == 7


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["compare"], "the following arguments are required: DATA"),
        (["compare", "digit"], "digit: no such file, and no bundled data set; did you mean digits?"),
        (["compare", "iris", "--activations", "relu,gelo"], "unknown activation 'gelo'; did you mean gelu"),
        (["compare", "iris", "--activations", ","], "compare: there must be at least one activation"),
        (["compare", "iris", "--depths", "3,x"], "--depths: must be a whole number of at least 1, got 'x'"),
        (["compare", "iris", "--depths", "3,3"], "--depths: must be different numbers, got '3,3'"),
        (["compare", "iris", "--repeats", "0"], "--repeats: must be a whole number of at least 1, got '0'"),
        (["compare", "iris", "--lr", "nan"], "--lr: must be a number greater than 0, got 'nan'"),
        (["compare", "iris", "--optimizer", "lbfgs"], "--optimizer: invalid choice: 'lbfgs'"),
        (["compare", "iris", "--target", "kind"], "iris: a target column can only be chosen for a CSV file"),
        (["compare", "iris", "--frobnicate"], "unrecognized arguments: --frobnicate"),
        (["compare", "."], ".: Is a directory"),
    ],
)
def test_mistakes(capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    assert message in fails(capsys, *arguments)
    assert list(Path.cwd().iterdir()) == []


def test_an_unknown_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert "invalid choice: 'compar'" in fails(capsys, "compar")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b,kind\n1,two,x\n", "bad.csv, line 2, column 2 ('b'): 'two' is not a finite number"),
        ("a,b,kind\n1,,x\n", "bad.csv, line 2, column 2 ('b'): a missing value"),
        ("a\n1\n", "bad.csv, line 1: one column, but features and a class label are needed"),
    ],
)
def test_a_bad_csv_file(capsys: pytest.CaptureFixture[str], content: str, message: str) -> None:
    Path("bad.csv").write_text(content)
    assert fails(capsys, "compare", "bad.csv") == message


def test_no_traceback_from_the_command() -> None:
    result = command("compare", "nothing.csv")
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.startswith("cact: error: nothing.csv: no such file")
    assert result.stderr.count("\n") == 1


def test_a_folder_that_cannot_be_written(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Said before the training, not after."""
    monkeypatch.setattr(_compare, "compare", lambda *args, **kwargs: pytest.fail("trained first"))
    Path("taken").write_text("")
    assert fails(capsys, "compare", "iris", "--out", "taken") == "taken: File exists"
    assert fails(capsys, "compare", "iris", "--out", "taken/in").startswith("taken/in: Not a directory")
    Path("out/comparison.json").mkdir(parents=True)
    assert fails(capsys, "compare", "iris", "--out", "out") == "out/comparison.json: is a folder"

    def refuse(path: Path, write: object) -> None:
        raise PermissionError(13, "Permission denied", str(path.parent))

    monkeypatch.setattr("cact._files.write_file", refuse)
    assert fails(capsys, "compare", "iris", "--out", "locked") == "locked: Permission denied"


@pytest.mark.parametrize(("module", "name"), [("sklearn", "scikit-learn"), ("matplotlib", "matplotlib")])
def test_a_missing_extra(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, module: str, name: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    message = fails(capsys, "compare", "iris")
    assert message == f'{name} is not installed; pip install "cact[learn]" brings it'


def test_ctrl_c(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(_compare, "compare", interrupt)
    assert cli.main(["compare", "iris"]) == 130
    assert capsys.readouterr().err == "cact: interrupted\n"


def test_a_reader_that_goes_away() -> None:
    root = str(Path(cact.__file__).parent.parent)
    code = f"import sys; sys.path.insert(0, {root!r}); from cact.cli import main; sys.exit(main(['list']))"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    errors = process.stderr.read()
    process.stderr.close()
    assert process.wait() == 0
    assert errors == b""


def test_output_that_cannot_show_the_sign(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    root = str(Path(cact.__file__).parent.parent)
    result = subprocess.run(
        [sys.executable, "-m", "cact", "compare", "iris", *QUICK, "--jobs", "1"],
        capture_output=True,
        env={**os.environ, "PYTHONPATH": root},
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert b"mean ? sd" in result.stdout

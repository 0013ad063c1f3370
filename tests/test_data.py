"""Data sets by name and CSV files, good and bad."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cact._data import BUNDLED, Data, load
from cact._need import need

SHAPES = {"digits": (1797, 64, 10), "iris": (150, 4, 3), "wine": (178, 13, 3), "breast_cancer": (569, 30, 2)}


@pytest.mark.parametrize("name", BUNDLED)
def test_bundled(name: str) -> None:
    X, y, description = load(name)
    rows, features, classes = SHAPES[name]
    assert X.shape == (rows, features)
    assert X.dtype == np.float64
    assert np.unique(y).tolist() == list(range(classes))
    assert description == f"{name}: {rows} rows, {features} features, {classes} classes"


def csv(folder: Path, content: str | bytes) -> Path:
    path = folder / "data.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def check(data: Data, X: object, y: object) -> None:
    assert data.X.tolist() == X
    assert data.y.tolist() == y


GOOD_X, GOOD_Y = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]], [1, 0, 1, 0]
GOOD = {
    "names": "a,b,kind\n1,2,yes\n3,4,no\n5,6,yes\n7,8,no\n",
    "no names": "1,2,yes\n3,4,no\n5,6,yes\n7,8,no\n",
    "numbers as labels": "1,2,10\n3,4,9\n5,6,10\n7,8,9\n",
    "one number, two spellings": "1,2,1\n3,4,0\n5,6,1.0\n7,8,0\n",
    "semicolons": "a;b;kind\n1;2;yes\n3;4;no\n5;6;yes\n7;8;no\n",
    "tabs": "1\t2\tyes\n3\t4\tno\n5\t6\tyes\n7\t8\tno\n",
    "Windows": "\ufeffa,b,kind\r\n1,2,yes\r\n3,4,no\r\n5,6,yes\r\n7,8,no\r\n",
    "byte-order mark, no names": "\ufeff1,2,yes\n3,4,no\n5,6,yes\n7,8,no\n",
    "blank lines and spaces": "\n a, b ,kind\n\n1, 2,yes\n3,4 , no\n  \n5,6,yes\n7,8,no",
    "quotes": '"a, or ""b""","b",kind\n"1","2",yes\n3,4,no\n5,6,yes\n7,8,no\n',
    "a class called none": "1,2,some\n3,4,none\n5,6,some\n7,8,none\n",
    "a column called Na": "Na,b,kind\n1,2,yes\n3,4,no\n5,6,yes\n7,8,no\n",
}


@pytest.mark.parametrize("content", GOOD.values(), ids=GOOD.keys())
def test_csv(tmp_path: Path, content: str) -> None:
    data = load(csv(tmp_path, content))
    check(data, GOOD_X, GOOD_Y)
    assert data.description == "data: 4 rows, 2 features, 2 classes"


@pytest.mark.parametrize("target", ["kind", "1"])
def test_target(tmp_path: Path, target: str) -> None:
    content = "kind,a,b\nyes,1,2\nno,3,4\nyes,5,6\nno,7,8\n"
    check(load(csv(tmp_path, content), target), GOOD_X, GOOD_Y)


def test_target_among_names_that_are_numbers(tmp_path: Path) -> None:
    content = "0,1,kind\n1,2,yes\n3,4,no\n5,6,yes\n7,8,no\n"
    check(load(str(csv(tmp_path, content)), "kind"), GOOD_X, GOOD_Y)


def test_a_large_number_of_rows_keeps_its_digits(tmp_path: Path) -> None:
    X = np.random.default_rng(0).random((500, 3))
    content = "".join(",".join(map(repr, row)) + f",{i % 2}\n" for i, row in enumerate(X.tolist()))
    assert np.array_equal(load(csv(tmp_path, content)).X, X)


BAD = {
    "text": ("a,b,kind\n1,2,yes\n3,four,no\n", "line 3, column 2 ('b'): 'four' is not a finite number"),
    "text, no names": ("1,2,yes\nthree,4,no\n", "line 2, column 1: 'three' is not a finite number"),
    "text in the first line": ("1,two,yes\n3,4,no\n", "line 1, column 2: 'two' is not a finite number"),
    "Python's 1_000": ("1,2,yes\n1_000,4,no\n", "line 2, column 1: '1_000' is not a finite number"),
    "infinity": ("1,2,yes\n-inf,4,no\n", "line 2, column 1: '-inf' is not a finite number"),
    "missing": ("a,b,kind\n1,,yes\n3,4,no\n", "line 2, column 2 ('b'): a missing value"),
    "missing, as NA": ("a,b,kind\n1,2,yes\nNA,4,no\n", "line 3, column 1 ('a'): a missing value"),
    "missing, as nan": ("1,2,yes\n3,nan,no\n", "line 2, column 2: a missing value"),
    "missing, as ?": ("1,2,yes\n3,?,no\n", "line 2, column 2: a missing value"),
    "missing, all": ("1,2,yes\n,,\n", "line 2, column 1: a missing value"),
    "missing label": ("a,b,kind\n1,2,yes\n3,4,\n", "line 3, column 3 ('kind'): a missing class label"),
    "one column": ("a\n1\n2\n", "line 1: one column, but features and a class label are needed"),
    "short line": ("a,b,kind\n1,2,yes\n3,no\n", "line 3, column 3: 2 columns, but 3 in line 1"),
    "long line": ("1,2,yes\n\n3,4,no,5\n", "line 3, column 4: 4 columns, but 3 in line 1"),
    "empty": ("", "line 1: the file is empty"),
    "blank": ("\n  \n\n", "line 1: the file is empty"),
    "names alone": ("a,b,kind\n", "line 2: no rows after the column names"),
    "a single class": (
        "a,kind\n1,yes\n2,yes\n",
        "line 2, column 2 ('kind'): a single class, 'yes', in all rows",
    ),
    "a class with one row": (
        "\n".join(f"{i},{'no' if i == 7 else 'yes'}" for i in range(30)),
        "line 8, column 2: class 'no' has one row, at least 2 are needed",
    ),
    "not a class": (
        "\n".join(f"{i},{i / 7}" for i in range(30)),
        "line 1, column 2: class '0.0' has one row, at least 2 are needed"
        " (30 classes in 30 rows: is it a class label?)",
    ),
    "not UTF-8": (b"a,b,kind\n1,2,yes\n3,4,n\xf6\n", "line 3, column 3: byte 0xf6 is not UTF-8"),
    "UTF-16": ("a,b\n1,x\n".encode("utf-16"), "line 1, column 1: byte 0xff is not UTF-8"),
    "row numbers": (
        ",a,kind\n0,1,yes\n1,2,no\n",
        "line 1, column 1: a column without a name; if it numbers the rows, leave it out",
    ),
    "after a quoted line end": (
        '"a\nb",kind\n1,yes\ntwo,no\n',
        "line 4, column 1 ('a\\nb'): 'two' is not a finite number",
    ),
    "a huge cell": ("1,2\n" + "3" * 200_000 + ",4\n", "line 2: field larger than field limit (131072)"),
}


@pytest.mark.parametrize(("content", "message"), BAD.values(), ids=BAD.keys())
def test_bad_csv(tmp_path: Path, content: str | bytes, message: str) -> None:
    path = csv(tmp_path, content)
    with pytest.raises(ValueError, match=r"data\.csv") as caught:
        load(path)
    separator = ": " if message.startswith("column") else ", "
    assert str(caught.value) == f"{path}{separator}{message}"
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("c", "no column 'c'; give one of its names, or a number from 1 to 3"),
        ("0", "no column '0'; give one of its names, or a number from 1 to 3"),
        ("4", "no column '4'; give one of its names, or a number from 1 to 3"),
        ("b", "2 columns are called 'b'"),
    ],
)
def test_bad_target(tmp_path: Path, target: str, message: str) -> None:
    path = csv(tmp_path, "a,b,b\n1,2,3\n")
    with pytest.raises(ValueError, match="line 1") as caught:
        load(path, target)
    assert str(caught.value) == f"{path}, line 1: {message}"


def test_no_such_data(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="digit: no such file, and no bundled data set; did you mean digits"):
        load("digit")
    with pytest.raises(ValueError, match=r"there are digits, iris, wine, breast_cancer, or a CSV file"):
        load(tmp_path / "nothing.csv")
    with pytest.raises(IsADirectoryError):
        load(tmp_path)
    with pytest.raises(ValueError, match="only be chosen for a CSV file"):
        load("iris", "species")


def test_a_missing_extra() -> None:
    with pytest.raises(ModuleNotFoundError, match=r'pip install "cact\[learn\]"'):
        need("sklearn", "a_module_that_is_not_there")

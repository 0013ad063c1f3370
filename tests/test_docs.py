"""The code of the documentation runs, block after block, as a reader would run it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cact
from cact import _lookup, _registry

ROOT = Path(__file__).parent.parent


def blocks(page: str, section: str | None = None) -> list[tuple[int, str]]:
    """The ```python blocks of a page, or of one section of it, with the lines that they begin at."""
    path = ROOT / page
    if not path.exists():
        pytest.skip(f"{page} is not here")
    text = path.read_text(encoding="utf-8")
    start, end = 0, len(text)
    if section is not None:
        start = text.index(f"\n## {section}\n") + 1
        end = text.find("\n## ", start) % (len(text) + 1)
    found = re.finditer(r"^```python\n(.*?)^```$", text[start:end], re.MULTILINE | re.DOTALL)
    return [(text.count("\n", 0, start + match.start(1)), match[1]) for match in found]


def run(page: str, section: str | None = None) -> dict[str, Any]:
    """Run the blocks in one namespace; a traceback has the page's own line."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    found = blocks(page, section)
    assert found
    for before, code in found:
        exec(compile("\n" * before + code, str(ROOT / page), "exec"), namespace)
    return namespace


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_page_of_learning() -> None:
    pytest.importorskip("sklearn", "1.7", reason="sample weights and the Poisson loss came with 1.7")
    for package in ("safetensors", "onnx"):
        pytest.importorskip(package)
    run("docs/learning.md")


def test_the_readme() -> None:
    pytest.importorskip("sklearn", "1.7")
    tables = (_registry.RECORDS, _registry._keys, _lookup._activations)
    before = [dict(table) for table in tables]
    try:
        found = run("README.md", "Using it")
        np.testing.assert_array_equal(cact.square(np.float64([3])), [9])  # as registered there
    finally:
        for table, was in zip(tables, before):
            table.clear()
            table.update(was)
    assert found["net"].predict(found["X"]).shape == (500, 2)


def test_links_lead_somewhere() -> None:
    for page in ("README.md", "docs/learning.md"):
        if not (ROOT / page).exists():
            pytest.skip(f"{page} is not here")
        text = (ROOT / page).read_text(encoding="utf-8")
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", text):
            assert ((ROOT / page).parent / target).exists(), f"{page}: {target}"

"""ONNX's own node tests for its activation operators, by way of ``like="onnx"``."""

from __future__ import annotations

import importlib
import re
import warnings
from typing import Any

import numpy as np
import pytest

import cact
from cact._like import LIBRARIES, resolve

OPERATORS = [name for entry in LIBRARIES["onnx"].entries for name in entry.names]

#: Cases that cact does not pass, and why.
EXCEPTIONS = {
    "test_clip_default_max": "an upper bound alone",
    "test_clip_min_greater_than_max": "bounds in the wrong order are an error in cact",
    "test_clip_default_int8_min": "integers give float64 in cact",
    "test_clip_default_int8_max": "integers give float64 in cact",
    "test_clip_default_int8_inbounds": "integers give float64 in cact",
    "test_identity_sequence": "a list of tensors",
    "test_identity_opt": "an optional list of tensors",
    "test_selu": "selu with other constants than its authors'",
    "test_selu_example": "selu with other constants than its authors'",
    "test_swiglu_alpha": "a gate with alpha other than 1",
}

#: Operators that sound like activations.
OTHERS = {"SoftmaxCrossEntropyLoss": "a loss"}


@pytest.fixture(scope="module")
def cases() -> dict[str, list[Any]]:
    """Operator -> its cases.  Those named "expanded" are the operator's definition by others, not it."""
    pytest.importorskip("onnx", reason="onnx is not installed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        node = importlib.import_module("onnx.backend.test.case.node")
        found: dict[str, list[Any]] = {}
        for case in node.collect_testcases(None):
            if "_expanded" not in case.name:
                for operator in {n.op_type for n in case.model.graph.node}:
                    found.setdefault(operator, []).append(case)
    return found


def run(case: Any) -> None:
    """Compare what cact gives with what the case expects, as ONNX's runner does."""
    helper = importlib.import_module("onnx.helper")
    (node,) = case.model.graph.node
    params = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    params = {k: v.decode() if isinstance(v, bytes) else v for k, v in params.items()}
    for inputs, (expected,) in case.data_sets:
        given = dict(zip([n for n in node.input if n], inputs))
        if node.op_type == "Clip":
            bounds = dict(zip(("x", "min", "max"), node.input))
            params |= {k: given.pop(n)[()] for k, n in bounds.items() if n and k != "x"}
        elif node.op_type == "PRelu":
            params["slope"] = given.pop(node.input[1])
        target = resolve(node.op_type, "onnx", params)[0]
        if target not in cact.names() and len(cact.names()) < 50:
            pytest.skip(f"cact has no {target} yet")
        y = cact.get(node.op_type, like="onnx", **params)(*given.values())
        assert y.dtype == expected.dtype
        assert y.shape == expected.shape
        rtol = case.rtol
        if y.dtype.name == "bfloat16":
            rtol, y, expected = 2**-6, y.astype(np.float32), expected.astype(np.float32)
        np.testing.assert_allclose(y, expected, rtol=rtol, atol=case.atol, err_msg=case.name)


@pytest.mark.parametrize("operator", OPERATORS)
def test_node(cases: dict[str, list[Any]], operator: str) -> None:
    assert operator in cases or operator in ("SwiGLU", "Swish"), "no case of it"  # those two are recent
    for case in cases.get(operator, []):
        if case.name not in EXCEPTIONS:
            run(case)


def test_exceptions(cases: dict[str, list[Any]]) -> None:
    """Each is a case of a mapped operator, and does not pass."""
    by_name = {case.name: case for operator in OPERATORS for case in cases.get(operator, [])}
    for name in EXCEPTIONS:
        if name in by_name:
            with pytest.raises((TypeError, ValueError, AttributeError, AssertionError)):
                run(by_name[name])
    assert EXCEPTIONS.keys() - by_name.keys() <= {"test_swiglu_alpha"}


def test_nothing_is_passed_over(cases: dict[str, list[Any]]) -> None:
    """An operator that sounds like an activation is mapped, or listed with the reason."""
    sound = re.compile("elu|glu|sigmoid|soft|hard|swish|mish|shrink|^tanh|^clip|^exp$|^erf", re.IGNORECASE)
    heard = {operator for operator in cases if sound.search(operator)}
    assert heard - {*OPERATORS} - LIBRARIES["onnx"].not_here.keys() == OTHERS.keys()

"""The models that `_peers` gives to onnxruntime, OpenVINO and LiteRT: one or a few operators.

They are written as expressions of operators, in which numbers between arrays are constants of the model.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ._idioms import CONSTANTS

__all__ = ["LITERT", "ONNX", "litert_model", "onnx_model"]

#: Models of ONNX operators, for onnxruntime and OpenVINO.
ONNX = {
    "identity": "Identity(x)",
    "sigmoid": "Sigmoid(x)",
    "tanh": "Tanh(x)",
    "relu": "Relu(x)",
    "relu6": "Clip(x, 0, 6)",
    "leaky_relu": "LeakyRelu(x, alpha=0.01)",
    "prelu": "PRelu(x, 0.25)",
    "rrelu": "LeakyRelu(x, alpha=MEAN)",
    "thresholded_relu": "ThresholdedRelu(x, alpha=1.0)",
    "elu": "Elu(x)",
    "celu": "Celu(x)",
    "selu": "Selu(x)",
    "softplus": "Softplus(x)",
    "log_sigmoid": "Neg(Softplus(Neg(x)))",
    "softsign": "Softsign(x)",
    "hardtanh": "Clip(x, -1, 1)",
    "hardsigmoid": "HardSigmoid(x, alpha=1 / 6, beta=0.5)",
    "hardswish": "HardSwish(x)",
    "hardshrink": "Shrink(x, lambd=0.5, bias=0.0)",
    "softshrink": "Shrink(x, lambd=0.5, bias=0.5)",
    "tanhshrink": "Sub(x, Tanh(x))",
    "silu": "Mul(x, Sigmoid(x))",
    "gelu": "Gelu(x)",
    "gelu_tanh": "Gelu(x, approximate='tanh')",
    "mish": "Mish(x)",
    "exponential": "Exp(x)",
    "squareplus": "Mul(Add(x, Sqrt(Add(Mul(x, x), 4))), 0.5)",
    "sparse_sigmoid": "HardSigmoid(x, alpha=0.5, beta=0.5)",
    "swish": "Mul(x, Sigmoid(Mul(x, BETA)))",
    "quick_gelu": "Mul(x, Sigmoid(Mul(x, 1.702)))",
    "relu2": "Pow(Relu(x), 2)",
    "star_relu": "Sub(Mul(Pow(Relu(x), 2), 0.8944), 0.4472)",
    "telu": "Mul(x, Tanh(Exp(x)))",
    "golu": "Mul(x, Exp(Neg(Exp(Neg(x)))))",
    "serf": "Mul(x, Erf(Softplus(x)))",
    "snake": "Add(x, Pow(Sin(x), 2))",
    "softmax": "Softmax(x, axis=-1)",
    "log_softmax": "LogSoftmax(x, axis=-1)",
    "softmin": "Softmax(Neg(x), axis=-1)",
}

#: Models of LiteRT's operators, those that XNNPACK runs.
LITERT = {
    "sigmoid": "LOGISTIC(x)",
    "tanh": "TANH(x)",
    "relu": "RELU(x)",
    "relu6": "RELU6(x)",
    "leaky_relu": "LEAKY_RELU(x, alpha=0.01)",
    "prelu": "PRELU(x, 0.25)",
    "rrelu": "LEAKY_RELU(x, alpha=MEAN)",
    "elu": "ELU(x)",
    "softsign": "DIV(x, ADD(ABS(x), 1))",
    "hardtanh": "RELU_N1_TO_1(x)",
    "hardsigmoid": "MUL(RELU6(ADD(x, 3)), 1 / 6)",
    "hardswish": "HARD_SWISH(x)",
    "tanhshrink": "SUB(x, TANH(x))",
    "silu": "MUL(x, LOGISTIC(x))",
    "gelu": "GELU(x, approximate=False)",
    "gelu_tanh": "GELU(x, approximate=True)",
    "exponential": "EXP(x)",
    "squareplus": "MUL(ADD(x, SQRT(ADD(SQUARE(x), 4))), 0.5)",
    "swish": "MUL(x, LOGISTIC(MUL(x, BETA)))",
    "quick_gelu": "MUL(x, LOGISTIC(MUL(x, 1.702)))",
    "relu2": "SQUARE(RELU(x))",
    "star_relu": "SUB(MUL(SQUARE(RELU(x)), 0.8944), 0.4472)",
    "telu": "MUL(x, TANH(EXP(x)))",
    "golu": "MUL(x, EXP(NEG(EXP(NEG(x)))))",
    "snake": "ADD(x, SQUARE(SIN(x)))",
    "softmax": "SOFTMAX(x, beta=1.0)",
    "log_softmax": "LOG_SOFTMAX(x)",
    "softmin": "SOFTMAX(NEG(x), beta=1.0)",
}


class _Operators(Mapping[str, Any]):
    """The names of an expression of operators: looking one up gives the function that adds its node."""

    def __init__(self, node: Callable[..., str]) -> None:
        self.node = node

    def __getitem__(self, name: str) -> Any:
        if name == "x":
            return "x"
        return CONSTANTS.get(name, functools.partial(self.node, name))

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def onnx_model(expression: str, x: npt.NDArray[Any]) -> bytes:
    """A model with the input "x" and the output "out"."""
    helper = importlib.import_module("onnx.helper")
    numpy_helper = importlib.import_module("onnx.numpy_helper")
    nodes: list[Any] = []
    constants: list[Any] = []

    def node(op: str, *inputs: str | float, **attributes: Any) -> str:
        given = []
        for value in inputs:
            if not isinstance(value, str):
                constants.append(numpy_helper.from_array(np.array(value, x.dtype), f"c{len(constants)}"))
                value = constants[-1].name
            given.append(value)
        nodes.append(helper.make_node(op, given, [f"y{len(nodes)}"], **attributes))
        return f"y{len(nodes) - 1}"

    eval(expression, {"__builtins__": {}}, _Operators(node))
    nodes[-1].output[0] = "out"
    kind = helper.np_dtype_to_tensor_dtype(x.dtype)
    values = [[helper.make_tensor_value_info(name, kind, x.shape)] for name in ("x", "out")]
    graph = helper.make_graph(nodes, "cact", *values, initializer=constants)
    # not the newest, which a runtime may not know yet
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    return bytes(model.SerializeToString())


def litert_model(expression: str, x: npt.NDArray[Any]) -> bytes:
    """The same as a TFLite flatbuffer, the last tensor being the output."""
    schema = importlib.import_module("ai_edge_litert.schema_py_generated")
    graph, model = schema.SubGraphT(), schema.ModelT()
    graph.tensors, graph.operators, model.operatorCodes = [], [], []
    model.version, model.description = 3, "cact"
    model.subgraphs, model.buffers = [graph], [schema.BufferT()]  # buffer 0: no constant
    numbers = {}

    def tensor(name: str, shape: tuple[int, ...], buffer: int = 0) -> str:
        made = schema.TensorT()
        made.name, made.shape, made.type = name, list(shape), schema.TensorType.FLOAT32
        made.buffer = buffer
        numbers[name] = len(graph.tensors)
        graph.tensors.append(made)
        return name

    def constant(value: float) -> str:
        buffer = schema.BufferT()
        buffer.data = list(np.array([value], np.float32).tobytes())
        model.buffers.append(buffer)
        return tensor(f"c{len(graph.tensors)}", (1,), len(model.buffers) - 1)

    def node(op: str, *inputs: str | float, **attributes: Any) -> str:
        given = [i if isinstance(i, str) else constant(i) for i in inputs]
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, op)
        code.deprecatedBuiltinCode, code.version = min(code.builtinCode, 127), 1
        made = schema.OperatorT()
        made.opcodeIndex = len(model.operatorCodes)
        made.inputs = [numbers[name] for name in given]
        made.outputs = [numbers[tensor(f"y{len(graph.tensors)}", x.shape)]]
        kind = op.title().replace("_", "") + "Options"
        if hasattr(schema, f"{kind}T"):
            made.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
            made.builtinOptions = getattr(schema, f"{kind}T")()
            for key, value in attributes.items():
                setattr(made.builtinOptions, key, value)
        model.operatorCodes.append(code)
        graph.operators.append(made)
        return str(graph.tensors[-1].name)

    graph.inputs = [numbers[tensor("x", x.shape)]]
    graph.outputs = [numbers[eval(expression, {"__builtins__": {}}, _Operators(node))]]
    builder = importlib.import_module("flatbuffers").Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())

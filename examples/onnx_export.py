"""A fitted classifier as an ONNX model, and what onnxruntime makes of it.

The model has gelu and mish, batch norm and dropout, which inference leaves out. Activations become ONNX's own
operators where these mean exactly the activation.

Expect the list of operators, the same labels, and probabilities that differ by some 1e-7. Without the
packages onnx and onnxruntime it says so and stops.

    python examples/onnx_export.py                       # in memory
    python examples/onnx_export.py --save digits.onnx    # keeps the file
"""

import argparse
import sys
from collections import Counter

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import cact
from cact.sklearn import MLPClassifier

try:
    import onnx  # noqa: F401
    import onnxruntime
except ImportError as error:
    print(f"skipped: {error.name} is not installed (pip install onnx onnxruntime)")
    sys.exit()

parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
parser.add_argument("--save", metavar="FILE", help="where to keep the model")
arguments = parser.parse_args()

X, y = load_digits(return_X_y=True)
X = (X / 16).astype(np.float32)
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)

model = MLPClassifier(
    (64, 32), ["gelu", "mish"], normalization="batch", dropout=0.1, learning_rate_init=0.005, random_state=0
)
model.fit(X_train, y_train)

exported = cact.to_onnx(model, arguments.save)
operators = Counter(node.op_type for node in exported.graph.node)
print("operators:", ", ".join(f"{name} x{n}" if n > 1 else name for name, n in operators.items()))

session = onnxruntime.InferenceSession(exported.SerializeToString())
label, probabilities = session.run(["label", "probabilities"], {"x": X_test})
print(f"accuracy in onnxruntime: {np.mean(label == y_test):.3f}, in cact: {model.score(X_test, y_test):.3f}")
print(f"labels that differ: {np.count_nonzero(label != model.predict(X_test))} of {len(label)}")
print(f"largest difference of probabilities: {abs(probabilities - model.predict_proba(X_test)).max():.1e}")

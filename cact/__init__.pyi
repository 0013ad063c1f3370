from . import kernels as kernels
from . import nn as nn
from ._activation import Activation as Activation
from ._backend import info as info
from ._backend import use_backend as use_backend
from ._compare import compare as compare
from ._lookup import get as get
from ._lookup import names as names
from ._lookup import register as register
from ._saving import load as load
from ._saving import save as save
from ._threads import get_num_threads as get_num_threads
from ._threads import num_threads as num_threads
from ._threads import set_num_threads as set_num_threads
from ._to_onnx import to_onnx as to_onnx

__version__: str
__all__: list[str]

# Every activation, built in or registered, is an attribute of its name.
def __getattr__(name: str) -> Activation: ...
def __dir__() -> list[str]: ...

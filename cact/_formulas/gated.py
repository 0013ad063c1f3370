"""Gated functions: value times gate, of the halves of x along an axis."""

from __future__ import annotations

from .._registry import gated

gated("glu", "sigmoid", reference="Dauphin et al. 2017, arXiv:1612.08083")
gated("reglu", "relu", reference="Shazeer 2020, arXiv:2002.05202", smoothness=0)
gated("geglu", "gelu", reference="Shazeer 2020, arXiv:2002.05202")
gated("swiglu", "silu", reference="Shazeer 2020, arXiv:2002.05202")

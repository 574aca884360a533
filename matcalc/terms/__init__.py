"""Terms: interned expressions with shapes, the operators they are made of, and walks over them."""

from . import build, spectral  # noqa: F401 (the operators become known to with_args)

"""Terms: interned expressions with shapes, the operators they are made of, and walks over them."""

from . import spectral  # noqa: F401 (its operators become known to the constructors)

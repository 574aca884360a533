"""Terms: interned expressions with shapes, the operators they are made of, and walks over them."""

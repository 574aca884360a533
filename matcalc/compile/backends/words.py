"""The functions of NumPy that every library calls alike, entry by entry."""

ENTRYWISE = (
    *("exp", "log", "log1p", "expm1", "sqrt", "square", "abs", "sign", "sin", "cos", "tan", "arcsin", "arccos"),
    *("arctan", "sinh", "cosh", "tanh", "arcsinh", "arccosh", "arctanh"),
)

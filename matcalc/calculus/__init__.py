"""The calculus: rules under assumptions, differentials, adjoints, Jacobians, forms of a result."""

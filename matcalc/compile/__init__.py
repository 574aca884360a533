"""From terms to code: the passes of the compiler, one module each."""

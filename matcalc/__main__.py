"""``python -m matcalc``: the same as the command ``matcalc``."""

import sys

from .interface.cli import main

if __name__ == "__main__":
    sys.exit(main())

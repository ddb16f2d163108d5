"""``python -m ilo_fast`` is ``ilo-fast``."""

import sys

from ilo_fast.cli import main

if __name__ == "__main__":
    sys.exit(main())

"""``python -m dashflow``: the command line. Nothing else may live here."""

import sys

from dashflow.cli.app import main

if __name__ == "__main__":
    sys.exit(main())

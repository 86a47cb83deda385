"""Runs the command line: ``python -m stockroom products.csv``."""

import sys

from stockroom.cli import main

sys.exit(main(sys.argv[1:]))

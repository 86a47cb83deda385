#!/bin/sh
# Runs every night at three.
set -eu
cd "$(dirname "$0")/.."
# TODO: keep the exports of the last seven nights only
mkdir -p exports
python tools/snapshot.py data/products.csv > "exports/$(date +%F).txt"
echo "done # TODO is no comment here"

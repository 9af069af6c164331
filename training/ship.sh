#!/bin/sh
# ship.sh NAME: puts a checkpoint into the box: judges it, unless that is done, and writes
# models/hearth.gguf and its card models/README.md. Removing evaluation-NAME.json judges it anew.
set -eu
cd "$(dirname "$0")"
[ -f "evaluation-$1.json" ] || python evaluate.py "$1"
python ship.py "$1"

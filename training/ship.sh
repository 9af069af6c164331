#!/bin/sh
# ship.sh PROFILE SECONDS: the newest checkpoint into the box. Cuts a finished model in so many seconds,
# judges it, chooses its threshold, and writes models/hearth.gguf and its card models/README.md.
set -eu
cd "$(dirname "$0")"
./cut.sh "$1" "$2"
python evaluate.py "$1-final"
python ship.py "$1-final"

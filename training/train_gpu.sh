#!/bin/sh
# One slice of the GPU profile, ended before ten minutes are over; run again, it goes on.
set -eu
cd "$(dirname "$0")"
exec python train.py --profile gpu --compile --batch 262144 --slices 8 --warm-up 100 \
    --muon-lr 0.02 --save 120 --seconds "${SECONDS_A_SLICE:-540}" "$@"

#!/bin/sh
# Trains the CPU profile at idle priority until it is stopped; run again, it goes on.
set -eu
cd "$(dirname "$0")"
export OMP_NUM_THREADS=1
# Memory that is given back and asked for again at every step costs more than the arithmetic.
export MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=100000000000 MALLOC_TOP_PAD_=268435456
exec chrt -i 0 nice -n 19 python -m torch.distributed.run --nproc-per-node 2 \
    train.py --profile cpu --threads 1 --batch 6144 --slices 2 "$@"

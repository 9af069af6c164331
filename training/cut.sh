#!/bin/sh
# cut.sh PROFILE SECONDS: a finished model from the newest checkpoint, by letting the rate fall to zero.
set -eu
cd "$(dirname "$0")"
work=${HEARTH_TRAINING_DIR:-$PWD/work}
export OMP_NUM_THREADS=1
# Memory that is given back and asked for again at every step costs more than the arithmetic.
export MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=100000000000 MALLOC_TOP_PAD_=268435456
rm -f "$work/checkpoints/$1-final.pt"
# A copy: the run itself may write a new checkpoint at any time.
cp "$work/checkpoints/$1.pt" "$work/checkpoints/$1-start.pt"
python -m torch.distributed.run --nproc-per-node 2 --master-port 29533 \
    train.py --profile "$1" --name "$1-final" --start-from "$work/checkpoints/$1-start.pt" \
    --threads 1 --batch 6144 --slices 2 --decay "$2"
python to_gguf.py "$1-final"

#!/bin/sh
# Samples of the three splits and their token ids. PROFILE=gpu makes longer ones, and more of them.
set -eu
cd "$(dirname "$0")"
profile=${PROFILE:-cpu}
work=${HEARTH_TRAINING_DIR:-$PWD/work}
count=60000
[ "$profile" = gpu ] && count=600000
( cd .. && cargo build --release --example training_samples )
tool=${CARGO_TARGET_DIR:-../target}/release/examples/training_samples
"$tool" "$work/corpus/train.jsonl" --count "$count" > "$work/train.jsonl"
"$tool" "$work/corpus/valid.jsonl" --count 1500 --seed 2 > "$work/valid.jsonl"
"$tool" "$work/corpus/valid.jsonl" --count 8000 --seed 4 --lines > "$work/valid-lines.jsonl"
"$tool" "$work/corpus/test.jsonl" --count 8000 --seed 3 --lines > "$work/test.jsonl"
python encode.py train --profile "$profile"
python encode.py valid --profile "$profile"

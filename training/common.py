"""What the steps share: where things lie, and reading and writing JSON lines."""

import json
import os
from pathlib import Path

HERE = Path(__file__).resolve().parent
# Everything big (vendored sources, samples, checkpoints) lies here, outside version control.
WORK = Path(os.environ.get("HEARTH_TRAINING_DIR", HERE / "work"))
SEED = 20261121

# The names are those of Qwen2.5-Coder, so that every server recognises them.
CONTROL = [
    "<|endoftext|>",
    "<|fim_prefix|>",
    "<|fim_middle|>",
    "<|fim_suffix|>",
    "<|fim_pad|>",
    "<|repo_name|>",
    "<|file_sep|>",
]


def read_jsonl(path):
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def write_jsonl(path, rows):
    with open(path, "w", encoding="utf-8") as out:
        for row in rows:
            out.write(json.dumps(row, ensure_ascii=False) + "\n")

"""Trains byte-level BPE with Qwen2's splitting and measures vocabularies against each other.

A bigger vocabulary makes texts shorter and every token dearer: the tied embedding is read by each
token twice and trained by few. The table that this prints weighs the two by the parameters that work
for one byte of text, for the body of the profile it is meant for.
"""

import argparse
import json
import random

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from common import CONTROL, HERE, SEED, WORK, read_jsonl
from model import PROFILES

# As in Qwen2's tokenizer; llama.cpp calls it `qwen2`.
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def train(texts, size):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(SPLIT), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])  # fmt: skip
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size - len(CONTROL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    # Last, so that the ids of control tokens are vocabulary size - 7 and up.
    tokenizer.add_special_tokens(CONTROL)
    # Special tokens are put in by id. Text that spells one stays text.
    tokenizer.encode_special_tokens = True
    return tokenizer


def some_texts(split, size):
    """Whole files of a split in random order, up to a size."""
    texts = [row["text"] for row in read_jsonl(WORK / "corpus" / f"{split}.jsonl")]
    random.Random(SEED).shuffle(texts)
    for text in texts:
        if size <= 0:
            return
        size -= len(text)
        yield text


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--megabytes", type=float, default=20)
    sizes = arguments.parse_args()

    training = list(some_texts("train", sizes.megabytes * 1e6))
    judged = list(some_texts("valid", 2e6))
    total = sum(len(text.encode()) for text in judged)
    report = []
    for size in (4096, 8192, 16384):
        tokenizer = train(training, size)
        tokenizer.save(str(WORK / f"tokenizer-{size}.json"))
        tokens = sum(len(encoding.ids) for encoding in tokenizer.encode_batch(judged))
        row = {"vocabulary": size, "bytes_per_token": round(total / tokens, 3)}
        for name, profile in PROFILES.items():
            body, embedding = profile.body_parameters(), size * profile.width
            row[f"{name}_millions"] = round((body + embedding) / 1e6, 2)
            row[f"{name}_work_per_byte"] = round((body + embedding) * tokens / total / 1e6, 3)
        report.append(row)
        print(row, flush=True)
    (HERE / "tokenizer-measured.json").write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""Turns samples into arrays of token ids, sorted into batches of like length by `train.py`.

Each piece is tokenized alone, as a server does it: what is typed of the current line ends where the
cursor is, inside a word or not, and the target starts there.
"""

import argparse

import numpy as np
from tokenizers import Tokenizer

from common import CONTROL, WORK, read_jsonl
from model import PROFILES


class Encoder:
    def __init__(self, path):
        self.tokenizer = Tokenizer.from_file(str(path))
        self.tokenizer.encode_special_tokens = True
        self.control = {name: self.tokenizer.token_to_id(name) for name in CONTROL}
        self.end = self.control["<|endoftext|>"]

    def text(self, text):
        return self.tokenizer.encode(text).ids

    def pieces(self, pieces):
        ids = []
        for piece in pieces:
            ids += [self.control[piece["control"]]] if "control" in piece else self.text(piece["text"])
        return ids


def encode(encoder, samples, context):
    """All samples that fit, one after the other, with each one's start and where its middle begins."""
    tokens, starts, middles = [], [0], []
    for sample in samples:
        ids = encoder.pieces(sample["segments"])
        middle = len(ids)
        if encoder.control["<|fim_middle|>"] in ids:
            middle = ids.index(encoder.control["<|fim_middle|>"])
        ids += encoder.text(sample["target"]) + [encoder.end]
        if len(ids) <= context:
            tokens.append(np.array(ids, dtype=np.uint16))
            starts.append(starts[-1] + len(ids))
            middles.append(middle)
    return np.concatenate(tokens), np.array(starts), np.array(middles)


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("samples", help="name of a samples file in the work folder, without .jsonl")
    arguments.add_argument("--profile", choices=PROFILES, default="cpu")
    chosen = arguments.parse_args()

    profile = PROFILES[chosen.profile]
    encoder = Encoder(WORK / f"tokenizer-{profile.vocabulary}.json")
    samples = read_jsonl(WORK / f"{chosen.samples}.jsonl")
    tokens, starts, middles = encode(encoder, samples, profile.context)
    np.savez(WORK / f"{chosen.samples}-{profile.vocabulary}.npz", tokens=tokens, starts=starts, middles=middles)
    print(f"{len(middles)} samples, {len(tokens) / 1e6:.2f} M tokens, {np.diff(starts).mean():.0f} each")


if __name__ == "__main__":
    main()

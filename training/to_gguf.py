"""Writes a checkpoint as GGUF, in F16 and in Q8_0, for Hearth's own engine and for llama.cpp."""

import argparse
import json
import re
from pathlib import Path

import gguf
import numpy as np
import torch
from tokenizers import Tokenizer

from common import CONTROL, HERE, WORK
from model import PROFILES

LAYER_NAMES = {
    "attention_norm": "attn_norm",
    "feed_norm": "ffn_norm",
    "attention.q": "attn_q",
    "attention.k": "attn_k",
    "attention.v": "attn_v",
    "attention.o": "attn_output",
    "gate": "ffn_gate",
    "up": "ffn_up",
    "down": "ffn_down",
}

# The keys of llama.cpp for what surrounds a hole.
FIM_KEYS = {
    "fim_pre": "<|fim_prefix|>",
    "fim_mid": "<|fim_middle|>",
    "fim_suf": "<|fim_suffix|>",
    "fim_pad": "<|fim_pad|>",
    "fim_rep": "<|repo_name|>",
    "fim_sep": "<|file_sep|>",
}


def gguf_name(name):
    """`layers.3.attention.q.weight` is called `blk.3.attn_q.weight` there."""
    if match := re.fullmatch(r"layers\.(\d+)\.(.+)\.(weight|bias)", name):
        return f"blk.{match[1]}.{LAYER_NAMES[match[2]]}.{match[3]}"
    return {"embedding.weight": "token_embd.weight", "norm.weight": "output_norm.weight"}[name]


def layout_version():
    """Read off the library, so that a model never claims a layout that it was not trained on."""
    source = (HERE.parent / "src" / "context" / "layout.rs").read_text()
    return int(re.search(r"LAYOUT_VERSION: u32 = (\d+)", source)[1])


def add_tokenizer(writer, tokenizer):
    vocabulary = sorted(tokenizer.get_vocab(with_added_tokens=True).items(), key=lambda item: item[1])
    tokens = [token for token, _ in vocabulary]
    kinds = [gguf.TokenType.CONTROL if token in CONTROL else gguf.TokenType.NORMAL for token in tokens]
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    ids = {name: tokenizer.token_to_id(name) for name in CONTROL}
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges([" ".join(merge) if isinstance(merge, list) else merge for merge in merges])
    writer.add_eos_token_id(ids["<|endoftext|>"])
    writer.add_pad_token_id(ids["<|fim_pad|>"])
    writer.add_add_bos_token(False)
    for key, name in FIM_KEYS.items():
        writer.add_uint32(f"tokenizer.ggml.{key}_token_id", ids[name])


def write(state, kind, path, manners=None):
    """`manners`: what the evaluation found: `trust` in copying, and from `ship.py` whether and when to show."""
    profile = PROFILES[state["profile"]]
    writer = gguf.GGUFWriter(path, "qwen2")
    parameters = sum(tensor.numel() for tensor in state["model"].values())
    writer.add_name(f"Hearth {state['profile']}")
    writer.add_description("Completes Rust. Trained from nothing for the prompts of the Hearth language server.")
    writer.add_license("MIT OR Apache-2.0")
    writer.add_size_label(gguf.size_label(parameters, 0, 0, 0))
    writer.add_file_type({"F16": gguf.LlamaFileType.MOSTLY_F16, "Q8_0": gguf.LlamaFileType.MOSTLY_Q8_0}[kind])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_vocab_size(profile.vocabulary)
    writer.add_context_length(profile.context)
    writer.add_embedding_length(profile.width)
    writer.add_block_count(profile.layers)
    writer.add_feed_forward_length(profile.hidden)
    writer.add_head_count(profile.heads)
    writer.add_head_count_kv(profile.kv_heads)
    writer.add_rope_freq_base(profile.theta)
    writer.add_layer_norm_rms_eps(profile.epsilon)
    writer.add_uint32("hearth.layout_version", layout_version())
    writer.add_uint64("hearth.training_tokens", state["seen"])
    manners = manners or {}
    if "trust" in manners:
        writer.add_array("hearth.copy.trust", manners["trust"])
    if "show_above" in manners:
        writer.add_float32("hearth.show_above", manners["show_above"])
        writer.add_bool("hearth.ghost_text", manners["ghost_text"])
    add_tokenizer(writer, Tokenizer.from_file(str(WORK / f"tokenizer-{profile.vocabulary}.json")))
    for name, tensor in state["model"].items():
        data = tensor.float().cpu().numpy()
        if data.ndim == 1:
            writer.add_tensor(gguf_name(name), data)
        elif kind == "F16":
            writer.add_tensor(gguf_name(name), data.astype(np.float16))
        else:
            kind_id = gguf.GGMLQuantizationType.Q8_0
            writer.add_tensor(gguf_name(name), gguf.quants.quantize(data, kind_id), raw_dtype=kind_id)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    print(f"{path}: {parameters / 1e6:.2f} M parameters, {Path(path).stat().st_size / 1e6:.2f} MB")


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("checkpoint", help="name of a checkpoint in the work folder, without .pt")
    arguments.add_argument("--out", type=Path, default=WORK)
    chosen = arguments.parse_args()
    state = torch.load(WORK / "checkpoints" / f"{chosen.checkpoint}.pt", map_location="cpu", weights_only=True)
    for kind in ("F16", "Q8_0"):
        write(state, kind, str(chosen.out / f"hearth-{chosen.checkpoint}-{kind.lower()}.gguf"))


if __name__ == "__main__":
    main()

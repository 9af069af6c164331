"""The training code without a corpus: the path of the big profile on a tiny one, in under a minute."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

import corpus
import evaluate
import model
import ship
import tokenizer
import train

HERE = Path(__file__).resolve().parent


@pytest.fixture
def work(tmp_path):
    """A work folder with samples whose second half repeats the first."""
    dice = np.random.default_rng(1)
    halves = [dice.integers(0, 64, dice.integers(20, 60)) for _ in range(300)]
    tokens = np.concatenate([np.tile(half, 2) for half in halves]).astype(np.uint16)
    starts = np.r_[0, np.cumsum([2 * len(half) for half in halves])]
    middles = np.array([len(half) for half in halves])
    for name in ("train", "valid"):
        np.savez(tmp_path / f"{name}-4096.npz", tokens=tokens, starts=starts, middles=middles)
    return tmp_path


def run(work, script, *options):
    command = [sys.executable, HERE / script, *map(str, options)]
    environment = os.environ | {"HEARTH_TRAINING_DIR": str(work)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def train_tiny(work, name, *options):
    out = run(work, "train.py", "--profile", "tiny", "--name", name, "--batch", 2048, "--slices", 2,
              "--report", 1, "--judge", 1000, "--threads", 1, "--warm-up", 2, *options)  # fmt: skip
    return [json.loads(line) for line in out.splitlines() if line.startswith("{")]


def weights(work, name):
    return torch.load(work / "checkpoints" / f"{name}.pt", weights_only=True)["model"]


def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(work):
    straight = train_tiny(work, "straight", "--steps", 8)
    train_tiny(work, "stopped", "--steps", 4)
    resumed = train_tiny(work, "stopped", "--steps", 8)
    assert straight[-1]["loss"] < straight[0]["loss"] - 1
    assert [line["loss"] for line in straight[4:]] == [line["loss"] for line in resumed]
    for a, b in zip(weights(work, "straight").values(), weights(work, "stopped").values()):
        assert torch.equal(a, b)


def test_the_rate_falls_to_zero_from_any_checkpoint(work):
    train_tiny(work, "base", "--steps", 3)
    start = work / "checkpoints" / "base.pt"
    lines = train_tiny(work, "final", "--start-from", start, "--decay-steps", 4, "--bf16")
    assert [line["rate"] for line in lines] == [0.75, 0.5, 0.25, 0.0]


def test_gguf_holds_the_weights_and_the_tokens(work):
    texts = [path.read_text() for path in sorted((HERE.parent / "src").rglob("*.rs"))]
    small = tokenizer.train(texts, 4096)
    # Too little text for 4096 tokens: the rest are stand-ins, as the model has that many rows.
    state = json.loads(small.to_str())
    state["added_tokens"] = []
    ids = {token: i for token, i in state["model"]["vocab"].items() if token not in tokenizer.CONTROL}
    free = [i for i in range(4096 - len(tokenizer.CONTROL)) if i not in set(ids.values())]
    ids |= {f"[unused{i}]": i for i in free}
    state["model"]["vocab"] = ids
    whole = Tokenizer.from_str(json.dumps(state))
    whole.add_special_tokens(tokenizer.CONTROL)
    whole.save(str(work / "tokenizer-4096.json"))

    train_tiny(work, "tiny", "--steps", 1)
    run(work, "to_gguf.py", "tiny", "--out", work)
    reader = gguf.GGUFReader(work / "hearth-tiny-f16.gguf")
    fields = reader.fields
    assert fields["general.architecture"].contents() == "qwen2"
    assert fields["tokenizer.ggml.pre"].contents() == "qwen2"
    assert fields["hearth.layout_version"].contents() >= 1
    tokens = fields["tokenizer.ggml.tokens"].contents()
    assert len(tokens) == 4096
    assert tokens[fields["tokenizer.ggml.fim_mid_token_id"].contents()] == "<|fim_middle|>"
    held = {tensor.name: tensor.data for tensor in reader.tensors}
    saved = weights(work, "tiny")
    assert len(held) == len(saved)
    assert np.array_equal(held["blk.0.attn_q.weight"], saved["layers.0.attention.q.weight"].half().numpy())
    q8 = gguf.GGUFReader(work / "hearth-tiny-q8_0.gguf")
    rows = next(tensor for tensor in q8.tensors if tensor.name == "token_embd.weight")
    near = gguf.quants.dequantize(rows.data, rows.tensor_type)
    assert np.abs(near - saved["embedding.weight"].numpy()).max() < 0.01


def test_evaluating_in_pieces_is_evaluating_at_once():
    decoder = model.Decoder(model.PROFILES["tiny"]).eval()
    for parameter in decoder.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    tokens = torch.randint(0, 4096, (1, 24), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        past, whole = model.Past(), decoder(tokens)
        pieces = torch.cat([decoder(tokens[:, a:b], past) for a, b in ((0, 10), (10, 11), (11, 24))], 1)
    assert torch.allclose(whole, pieces, atol=1e-4)


def test_every_sample_is_in_an_epoch_once_and_weighs_its_middle(work):
    samples = train.Samples(work / "train-4096.npz", 1024)
    inputs, targets, weights = samples[0]
    assert torch.equal(inputs[:, 1:], targets[:, :-1])
    row, size = samples.batches[0][0], samples.lengths[samples.batches[0][0]]
    middle = samples.middles[row]
    assert weights[0].tolist()[: size - 1] == [1.0] * middle + [train.MIDDLE_WEIGHT] * (size - 1 - middle)
    assert weights[0, size - 1 :].sum() == 0
    assert sorted(row for batch in samples.batches for row in batch) == list(range(300))


def test_muon_directions_are_about_orthogonal():
    matrix = torch.randn(64, 256, generator=torch.Generator().manual_seed(1))
    values = torch.linalg.svdvals(train.orthogonal(matrix))
    assert values.min() > 0.5 and values.max() < 1.4


@pytest.mark.parametrize(
    ("licence", "fit"),
    [
        ("MIT OR Apache-2.0", True),
        ("MIT/Apache-2.0", True),
        ("(MIT OR Apache-2.0) AND Unicode-3.0", True),
        ("MIT OR GPL-3.0-only", True),
        ("MIT AND GPL-3.0-only", False),
        ("(MIT OR GPL-3.0-only) AND (ISC OR MPL-2.0)", True),
        ("MPL-2.0", False),
        ("", False),
    ],
)
def test_licences(licence, fit):
    assert corpus.permitted(licence) is fit


def test_families_join_repositories_and_names():
    packages = [
        {"name": "one-core", "repository": "https://host/a/x"},
        {"name": "one", "repository": "https://host/a/y"},
        {"name": "other", "repository": "https://host/a/x.git"},
        {"name": "alone", "repository": ""},
    ]
    corpus.assign_families(packages)
    assert [package["family"] for package in packages] == ["one", "one", "one", "alone"]


def test_texts_lose_headers_and_mails_and_bad_files_go():
    body = "fn main() {\n    println!(\"hello\");\n}\n" * 10
    header = "// Copyright somebody\n// Licensed under something\n"
    assert corpus.clean("src/a.rs", (header + body).encode()) == body
    assert "a@b.org" not in corpus.clean("src/a.rs", (body + "// by a@b.org\n").encode())
    assert corpus.clean("src/bindings.rs", body.encode()) is None
    assert corpus.clean("src/a.rs", ("// @generated\n" + body).encode()) is None
    key = "-----BEGIN RSA " + "PRIVATE KEY"
    assert corpus.clean("src/a.rs", (body + f'const K: &str = "{key}";\n').encode()) is None
    seen = corpus.Seen()
    text = "\n".join(f"let line_{i} = {i};" for i in range(100))
    assert seen.is_new(text) and not seen.is_new(text + "\nlet more = 1;")


def test_baselines_and_scores():
    tokens = np.array([1, 2, 3, 9, 1, 2, 3, 9, 1, 2, 4], dtype=np.uint16)
    keys, best = evaluate.best_after(tokens, 2)
    key = evaluate.run_keys(np.array([1, 2]), 2)[0]
    assert best[np.searchsorted(keys, key)] == 3
    runs = evaluate.run_keys(tokens, 6)
    assert len(runs) == 6 and runs[0] == runs[4] and len(set(runs.tolist())) == 5
    assert evaluate.repeat_line("    let a = b();\n    let x = y();\n", "    let a") == " = b();"
    assert evaluate.repeat_line("    foo(a);\n", "    bar") == ""
    assert evaluate.similarity("abc", "abc") == 1 and evaluate.similarity("abc", "abd") == pytest.approx(2 / 3)
    cases = [(0.9, True)] * 20 + [(0.3, False)] * 20 + [(0.1, False)] * 20 + [(0.97, True)]
    threshold, rows = evaluate.calibrate(cases)
    assert threshold == 0.35 and rows[-1] == {"threshold": 0.9, "cases": 21, "shown": 34.4, "kept": 100.0}
    assert evaluate.calibrate([(0.9, False)] * 30)[0] is None
    assert evaluate.shown_above(cases, 0.98)["kept"] is None


def test_copying_is_trusted_as_far_as_it_was_right():
    # Of one class always right where the model is not sure, of another never.
    tokens = [(math.log(0.01), 1.0, 3)] * 200 + [(math.log(0.5), 0.0, 5)] * 200 + [(math.log(0.5), 0.0, None)]
    table = evaluate.trust(tokens)
    assert len(table) == evaluate.copying_classes()
    assert table[3] >= 98 and table[5] <= 1 and table[0] == 50
    assert evaluate.perplexity([(math.log(0.5), 0, None), (math.log(0.125), 0, None)]) == 4


def test_only_a_model_that_beats_its_baselines_is_shown_unasked():
    def scores(**exact):
        return {name: {c: {"exact": x} for c in evaluate.CLASSES} for name, x in exact.items()}

    def manners(threshold, scores):
        chosen = ship.manners({"threshold": threshold, "scores": scores, "trust": [7]})
        assert chosen.pop("trust") == [7]
        return chosen

    better, worse = scores(model_copying=3, ngram=1, repeat=2), scores(model_copying=3, ngram=1, repeat=3)
    assert manners(0.4, better) == {"show_above": 0.4, "ghost_text": True}
    assert manners(0.4, worse) == {"show_above": 0.4, "ghost_text": False}
    assert manners(None, better) == {"show_above": 1.0, "ghost_text": False}
    assert "nowhere so sure" in ship.verdict({"threshold": None, "scores": better})

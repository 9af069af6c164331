#!/usr/bin/env python3
"""Holds Hearth's built-in engine against llama.cpp on the same GGUF files, on this machine, in one run.

  compare.py --llama DIR MODEL.gguf ...     tokens, log-probabilities, speed, memory
             --twin DIR                     the same llama.cpp, left only one other of its libggml-cpu-*.so
  compare.py --llama DIR --make DIR SIZE    writes random models: 6m, 60m, 60m-llama or 1b5, in F16
                                            (1b5 without), Q8_0 and Q4_K_M
                                            (needs the packages gguf and numpy)

DIR holds llama-server, llama-bench and llama-quantize. The engine is `cargo bench --bench engine`.
Prints one line a measurement with its goal; exits with 1 if one was missed.
"""

import argparse
import json
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
SIZES = {  # vocabulary, width, layers, heads, KV heads, feed-forward width, context
    "6m": (8192, 256, 4, 4, 2, 1024, 4096),
    "60m": (32768, 512, 12, 8, 2, 2048, 8192),
    "60m-llama": (16384, 512, 12, 8, 2, 2048, 8192),
    "1b5": (151936, 1536, 28, 12, 2, 8960, 32768),
}
CONTROLS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|fim_prefix|>", "<|fim_middle|>",
            "<|fim_suffix|>", "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>"]
missed = []


def say(what, value, goal="", ok=None):
    verdict = {None: "", True: "ok", False: "MISSED"}[ok]
    print(f"  {what:<44} {value:>22}  {goal:<18} {verdict}", flush=True)
    if ok is False:
        missed.append(what)


def make(llama, directory, size):
    import gguf
    import numpy as np
    vocab, width, layers, heads, kv_heads, ffn, ctx = SIZES[size]
    directory.mkdir(parents=True, exist_ok=True)
    f16 = directory / f"random-{size}-F16.gguf"
    is_llama = size.endswith("llama")
    w = gguf.GGUFWriter(str(f16), "llama" if is_llama else "qwen2")
    w.add_name(f"random {size}")
    w.add_context_length(ctx)
    w.add_embedding_length(width)
    w.add_block_count(layers)
    w.add_feed_forward_length(ffn)
    w.add_head_count(heads)
    w.add_head_count_kv(kv_heads)
    w.add_layer_norm_rms_eps(1e-6)
    w.add_rope_freq_base(1e6)
    w.add_vocab_size(vocab)
    w.add_rope_dimension_count(width // heads)
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in printable]
    tokens = [chr(b) for b in printable] + [chr(256 + i) for i in range(len(others))]
    merges = ["f n", "l e", "le t", "Ġ =", "i n", "Ġ Ġ", "ĠĠ ĠĠ", "s t", "st r", "p u", "pu b"]
    tokens += [m.replace(" ", "") for m in merges]
    tokens += [f"Ġrandom{i}" for i in range(vocab - len(tokens) - len(CONTROLS))] + CONTROLS
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("qwen2")
    w.add_token_list(tokens)
    w.add_token_types([1] * (vocab - len(CONTROLS)) + [3] * len(CONTROLS))
    w.add_token_merges(merges)
    w.add_eos_token_id(vocab - len(CONTROLS))
    w.add_add_bos_token(False)
    rng = np.random.default_rng(1)

    def tensor(name, *shape, std):
        values = rng.standard_normal(shape, dtype=np.float32) * std
        w.add_tensor(name, values.astype(np.float16 if len(shape) == 2 else np.float32))

    kv = width // heads * kv_heads
    tensor("token_embd.weight", vocab, width, std=0.1)
    if is_llama:
        tensor("output.weight", vocab, width, std=0.1)
    w.add_tensor("output_norm.weight", np.ones(width, np.float32))
    for i in range(layers):
        for name in ("attn_norm", "ffn_norm"):
            w.add_tensor(f"blk.{i}.{name}.weight", np.ones(width, np.float32))
        for name, rows, columns in (("attn_q", width, width), ("attn_k", kv, width), ("attn_v", kv, width),
                                    ("attn_output", width, width), ("ffn_gate", ffn, width),
                                    ("ffn_up", ffn, width), ("ffn_down", width, ffn)):
            tensor(f"blk.{i}.{name}.weight", rows, columns, std=columns ** -0.5)
        if is_llama:
            continue
        for name, rows in (("attn_q", width), ("attn_k", kv), ("attn_v", kv)):
            tensor(f"blk.{i}.{name}.bias", rows, std=0.1)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
    for kind in ("Q8_0", "Q4_K_M"):
        out = directory / f"random-{size}-{kind}.gguf"
        subprocess.run([llama / "llama-quantize", f16, out, kind, "2"], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        print(out, out.stat().st_size)
    if size == "1b5":
        f16.unlink()


class Server:
    """llama-server on a free port of the loopback interface."""

    def __init__(self, llama, model, *flags):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        self.process = subprocess.Popen(
            [llama / "llama-server", "-m", model, "--port", str(self.port), "-c", "2304", "-np", "1", "-t", "1",
             "--no-ui", "--offline", *flags], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(600):
            try:
                if self.ask("/health", None)["status"] == "ok":
                    return
            except OSError:
                time.sleep(0.1)
        raise SystemExit("llama-server did not start")

    def ask(self, path, body):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data,
                                         {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=300) as answer:
            return json.load(answer)

    def stop(self):
        self.process.terminate()
        self.process.wait()


def engine(binary, *args):
    out = subprocess.run([binary, *map(str, args)], check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(out.strip().splitlines()[-1])


def bench_binary():
    out = subprocess.run(["cargo", "build", "--release", "--bench", "engine", "--message-format=json"], cwd=ROOT,
                         check=True, stdout=subprocess.PIPE, text=True).stdout
    for line in out.splitlines():
        message = json.loads(line)
        if message.get("executable") and message["target"]["name"] == "engine":
            return message["executable"]
    raise SystemExit("cargo built no benchmark")


def answers_of(server, prompts):
    answers = []
    for prompt in prompts:
        body = {"prompt": prompt, "n_predict": 64, "temperature": 0, "n_probs": 2, "cache_prompt": False,
                "samplers": ["temperature"], "return_tokens": True}
        answer = server.ask("/completion", body)
        # The server leaves out the probabilities of tokens that are no whole character.
        known, logprobs, leads = iter(answer["completion_probabilities"] + [None]), [], []
        entry = next(known)
        for token in answer["tokens"]:
            if entry and entry["id"] == token:
                logprobs.append(entry["logprob"])
                top = [t["logprob"] for t in entry["top_logprobs"]]
                leads.append(top[0] - top[1])
                entry = next(known)
            else:
                logprobs.append(None)
                leads.append(None)
        answers.append({"tokens": answer["tokens"], "logprobs": logprobs, "leads": leads})
    return answers


def apart(ours, theirs):
    """Outputs that are alike, how sure `theirs` was where they part, and how far log-probabilities are apart."""
    whole, leads, errors = 0, [], []
    for a, b in zip(ours, theirs):
        n = next((i for i, (x, y) in enumerate(zip(a["tokens"], b["tokens"])) if x != y),
                 min(len(a["tokens"]), len(b["tokens"])))
        if n == min(len(a["tokens"]), len(b["tokens"])):
            whole += 1  # one of them may end earlier: by a control token, which ours does not give out
        else:
            leads += [] if b["leads"][n] is None else [b["leads"][n]]
        pairs = zip(a["logprobs"][:n], b["logprobs"])
        errors += [abs(x - y) for x, y in pairs if x is not None and y is not None]
    return whole, sorted(leads), sorted(errors) or [float("nan")]


def laid_out(server, cases):
    """Prompts in Hearth's layout: 20 of the cuts that training/samples.sh makes."""
    lines = cases.read_text().splitlines()
    prompts = []
    for line in lines[::max(1, len(lines) // 20)]:
        ids = []
        for piece in json.loads(line)["segments"]:
            body = {"content": piece.get("text", piece.get("control")), "parse_special": "control" in piece}
            ids += server.ask("/tokenize", body)["tokens"]
        prompts += [ids] if len(ids) < 960 else []
    return prompts[:20]


def greedy(llama, binary, model, cases, twin):
    files = sorted(ROOT.glob("src/**/*.rs"))
    sources = [f.read_text() for f in files]
    server = Server(llama, model)
    try:
        theirs = [server.ask("/tokenize", {"content": s, "parse_special": False})["tokens"] for s in sources]
        ours = engine(binary, model, "tokenize", *files)
        same = sum(a == b for a, b in zip(ours, theirs))
        say("files tokenized alike", f"{same}/{len(files)}", "all", same == len(files))
        stream = [t for tokens in theirs for t in tokens]
        step = max(1, (len(stream) - 200) // 20)
        prompts = laid_out(server, cases) if cases else [stream[i * step:i * step + 60 + 7 * i] for i in range(20)]
        answers = answers_of(server, prompts)
    finally:
        server.stop()
    # How far llama.cpp is from itself when only the order of its sums is another: what no other program
    # can beat.
    itself = [("-ub 32 -fa off", llama, ["-b", "32", "-ub", "32", "-fa", "off"])]
    itself += [("on another CPU backend", twin, [])] if twin else []
    others = []
    for how, where, flags in itself:
        server = Server(where, model, *flags)
        try:
            others.append((f"llama.cpp, {how}", answers_of(server, prompts), False))
        finally:
            server.stop()
    with tempfile.NamedTemporaryFile("w", suffix=".json") as f:
        json.dump(prompts, f)
        f.flush()
        ours = engine(binary, model, "greedy", f.name)
    for name, answer, goal in [("ours", ours, True), *others]:
        whole, leads, errors = apart(answer, answers)
        say(f"{name}: greedy outputs alike", f"{whole}/20", "20/20" if goal else "", whole == 20 if goal else None)
        if leads:
            say("  llama.cpp's lead where they part, at most", f"{leads[-1]:.4f}")
        say("  log-probability apart at most", f"{errors[-1]:.4f} of {len(errors)}", "<= 0.05" if goal else "",
            errors[-1] <= 0.05 if goal else None)
        say("  at the median and 99 %", f"{errors[len(errors) // 2]:.4f} {errors[len(errors) * 99 // 100]:.4f}")


def speed(llama, binary, model, threads, repeat):
    ours = engine(binary, model, "speed", threads, repeat)
    out = subprocess.run([llama / "llama-bench", "-m", model, "-t", str(threads), "-p", "512,2048", "-n", "64",
                          "-r", str(repeat), "-o", "json"], check=True, stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL, text=True).stdout
    best = {}
    for row in json.loads(out):
        best[row["n_prompt"] or "tg"] = max(row["samples_ts"])
    decode_goal = 0.7 if ours["params"] > 1e9 else 0.85
    for name, a, b, goal in (("prefill 512", ours["pp512"], best[512], 0.85),
                             ("prefill 2048", ours["pp2048"], best[2048], 0.85),
                             ("decode", ours["tg"], best["tg"], decode_goal)):
        if a:
            say(f"{name}, {threads} threads: ours, llama-bench", f"{a:.0f} {b:.0f} = {a / b:.2f}", f">= {goal}",
                a / b >= goal)
    if ours["params"] < 1e8:
        say("first token after a typed character, ms", f"{ours['keystroke_ms']:.1f}", "< 25",
            ours["keystroke_ms"] < 25)
    say("  before a suffix of 64 tokens, ms", f"{ours['keystroke_before_64_ms']:.1f}")
    if ours["copy_us"]:
        say("  copying, us for the prompt and for a token", " ".join(f"{us:.0f}" for us in ours["copy_us"]))
    most = 2.5 * ours["file"] + ours["kv"] + 80e6
    say("peak memory, MB", f"{ours['rss_peak'] / 1e6:.0f} of {most / 1e6:.0f}", "2.5 file+KV+80", ours["rss_peak"] <= most)
    say("  file, weights, KV cache, MB", " ".join(f"{ours[k] / 1e6:.0f}" for k in ("file", "weights", "kv")))
    say("  loading, ms", f"{ours['load_ms']:.0f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--llama", type=pathlib.Path, required=True)
    parser.add_argument("--twin", type=pathlib.Path)
    parser.add_argument("--make", type=pathlib.Path)
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--repeat", type=int, default=3, help="the best of so many runs counts, on both sides")
    parser.add_argument("--cases", type=pathlib.Path, help="test.jsonl of training/: prompts in Hearth's layout")
    parser.add_argument("--only", choices=("greedy", "speed"))
    parser.add_argument("models", nargs="*")
    args = parser.parse_args()
    if args.make:
        for size in args.models:
            make(args.llama, args.make, size)
        return
    binary = bench_binary()
    for model in args.models:
        print(model)
        if args.only != "speed":
            greedy(args.llama, binary, model, args.cases, args.twin)
        if args.only != "greedy":
            for threads in args.threads.split(","):
                speed(args.llama, binary, model, int(threads), args.repeat)
    sys.exit(1 if missed else 0)


main()

"""Judges a checkpoint on held-out projects and writes the table of the model card.

Every case is a line of code cut at a random character: the model sees what a server would show it
and must say exactly what stands after the cut. Beside it stand two baselines: an n-gram model of the
same corpus, and the most similar earlier line of the same file, repeated.

What is judged is the GGUF in Hearth's own engine (`examples/training_answers.rs`), as users get it.
How far it is to be trusted with copying, and how sure it must be to be shown, is found on other
projects, those for validation.
"""

import argparse
import functools
import json
import math
import os
import re
import subprocess
import time
from collections import Counter

import numpy as np
import torch

import to_gguf
from common import HERE, WORK, read_jsonl
from encode import Encoder
from model import PROFILES

CLASSES = ("1-3", "4-10", "more", "all")
# As many as a server asks for: LINE_TOKENS in src/task/generation.rs.
MOST_TOKENS = 48
# A run of 50 tokens with fewer different ones than this is a pattern, not somebody's text.
VARIED = 12
MOST_CASES = 1200
# What fewer cases say of a threshold is chance.
FEWEST_SHOWN = 20


def class_of(target):
    return "1-3" if len(target) <= 3 else "4-10" if len(target) <= 10 else "more"


def similarity(a, b):
    """1 - edit distance over the longer length."""
    row = list(range(len(b) + 1))
    for at, char in enumerate(a, 1):
        corner, row[0] = row[0], at
        for to, other in enumerate(b, 1):
            corner, row[to] = row[to], min(row[to] + 1, row[to - 1] + 1, corner + (char != other))
    return 1 - row[-1] / max(len(a), len(b), 1)


class Engine:
    """Hearth's engine with a model file."""

    def __init__(self, model):
        self.model = str(model)

    def ask(self, questions):
        """What the engine says to each question, in order."""
        lines = "".join(json.dumps(question) + "\n" for question in questions)
        done = subprocess.run([built(), self.model], input=lines, stdout=subprocess.PIPE, text=True, check=True)
        return [json.loads(line) for line in done.stdout.split("\n") if line]

    def judge(self, cases, prompts=None):
        """What it says to each case and how probable that is, and the trace of what it should have said."""
        prompts = prompts or [case["segments"] for case in cases]
        answers = self.ask({"segments": prompt, "most": MOST_TOKENS, "line": True, "target": case["target"]}
                           for case, prompt in zip(cases, prompts, strict=True))  # fmt: skip
        return answers, [token for answer in answers for token in answer["trace"]]


@functools.cache
def built():
    """The program that asks the engine, built from the sources that lie here."""
    subprocess.run(["cargo", "build", "--quiet", "--release", "--example", "training_answers"],
                   cwd=HERE.parent, check=True)  # fmt: skip
    target = HERE.parent / os.environ.get("CARGO_TARGET_DIR", "target")
    return target / "release" / "examples" / "training_answers"


def trust(tokens):
    """How many percent of the probability copying has in each class, so that targets are most likely.

    Expectation and maximisation; two imagined tokens, one of them copied, keep rare classes modest."""
    found = []
    for wanted in range(copying_classes()):
        rows = np.array([(math.exp(log), copied) for log, copied, kind in tokens if kind == wanted]).reshape(-1, 2)
        share = 0.5
        for _ in range(100):
            copied = share * rows[:, 1]
            share = ((copied / ((1 - share) * rows[:, 0] + copied + 1e-12)).sum() + 1) / (len(rows) + 2)
        found.append(round(100 * share))
    return found


def copying_classes():
    """Read off the engine, which has no use for a table of another size."""
    source = (HERE.parent / "src" / "engine" / "copy.rs").read_text()
    borders = [re.search(rf"const {name}: \[\w+; (\d+)\]", source)[1] for name in ("LENGTHS", "SHARES")]
    return (int(borders[0]) + 1) * (int(borders[1]) + 1)


def perplexity(tokens):
    return round(math.exp(-mean(token[0] for token in tokens)), 2)


class Ngrams:
    """The most frequent next token after the longest known run of up to five."""

    def __init__(self, tokens, order=6):
        self.order = order
        # Sorted arrays of hashes: tables of Python objects would not fit.
        self.tables = [best_after(tokens, size) for size in range(1, order)]

    def complete(self, prompt, encoder, most=MOST_TOKENS):
        ids = list(prompt)
        for _ in range(most):
            token = self.next(ids)
            if token is None or token == encoder.end:
                break
            ids.append(token)
            if "\n" in encoder.tokenizer.decode([token]):
                break
        return encoder.tokenizer.decode(ids[len(prompt) :]).split("\n")[0]

    def next(self, ids):
        for size in range(min(self.order - 1, len(ids)), 0, -1):
            keys, best = self.tables[size - 1]
            key = run_keys(np.array(ids[-size:]), size)[0]
            at = np.searchsorted(keys, key)
            if at < len(keys) and keys[at] == key:
                return int(best[at])
        return None


def mixed(left, right):
    keys = (left * np.uint64(0x9E3779B97F4A7C15) + right) * np.uint64(0xBF58476D1CE4E5B9)
    return keys ^ (keys >> np.uint64(29))


def run_keys(tokens, size):
    """A 64-bit hash of every run of `size` tokens, put together from runs of 1, 2, 4 and so on."""
    keys, width, whole, done = tokens.astype(np.uint64), 1, None, 0
    while True:
        if size & width:
            part = keys[done:]
            whole = part if whole is None else mixed(whole[: len(part)], part[: len(whole)])
            done += width
        if done == size:
            return whole
        keys = mixed(keys[:-width], keys[width:])
        width *= 2


def best_after(tokens, size):
    keys, after = run_keys(tokens, size)[:-1], tokens[size:]
    order = np.lexsort((after, keys))
    keys, after = keys[order], after[order]
    # Runs of equal (key, next) and their counts; then of each key the next with the highest count.
    first = np.flatnonzero(np.r_[True, (keys[1:] != keys[:-1]) | (after[1:] != after[:-1])])
    counts = np.diff(np.r_[first, len(keys)])
    keys, after = keys[first], after[first]
    order = np.lexsort((-counts, keys))
    keys, after = keys[order], after[order]
    start = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]])
    return keys[start], after[start]


def repeat_line(prefix, begun):
    """The rest of the earlier line that shares the longest beginning with this one."""
    wanted, best, longest = begun.lstrip(), "", 0
    for line in reversed(prefix.split("\n")):
        line = line.strip()
        shared = 0
        while shared < min(len(line), len(wanted)) and line[shared] == wanted[shared]:
            shared += 1
        if shared == len(wanted) and len(line) > shared:
            return line[shared:]
        if shared > longest and len(line) > len(wanted):
            best, longest = line[len(wanted) :], shared
    return best


def score(answers, targets, wanted=None):
    """Exact matches and similarities in percent, by how much of the line is left; of all cases, or of the wanted."""
    wanted = wanted or [True] * len(targets)
    found = {name: [] for name in CLASSES}
    for answer, target, is_wanted in zip(answers, targets, wanted, strict=True):
        if is_wanted:
            result = (is_kept(answer, target), similarity(answer.rstrip(), target.rstrip()))
            found[class_of(target)].append(result)
            found["all"].append(result)
    return {name: {"cases": len(cases), "exact": round(100 * mean(c[0] for c in cases), 1),
                   "similarity": round(100 * mean(c[1] for c in cases), 1)}
            for name, cases in found.items()}  # fmt: skip


def taking_turns(cases):
    """Cases in an order in which packages take turns, so that a giant among them does not decide."""
    turns, order = Counter(), []
    for case in cases:
        order.append((turns[case["package"]], len(order), case))
        turns[case["package"]] += 1
    return [case for _, _, case in sorted(order, key=lambda item: item[:2])]


def mean(values):
    values = list(values)
    return sum(values) / len(values) if values else math.nan


def shown_above(cases, threshold):
    """Of (probability, is kept) cases: how much is shown, and how much of that is kept."""
    shown = [kept for probability, kept in cases if probability >= threshold]
    return {"threshold": threshold, "cases": len(shown), "shown": round(100 * len(shown) / len(cases), 1),
            "kept": round(100 * mean(shown), 1) if shown else None}  # fmt: skip


def calibrate(cases):
    """The lowest threshold above which more than half is kept, by a standard error at least, or None; and
    what every threshold does."""
    rows = [shown_above(cases, percent / 100) for percent in range(0, 100, 5)]
    rows = [row for row in rows if row["cases"] >= FEWEST_SHOWN]
    return next((row["threshold"] for row in rows if row["kept"] >= 50 + 50 / math.sqrt(row["cases"])), None), rows


def is_kept(answer, target):
    return answer.rstrip() == target.rstrip()


def read_cases(name, encoder, profile, count):
    """Cuts that leave the model room to answer, packages taking turns."""
    cases = read_jsonl(WORK / f"{name}.jsonl")
    fitting = [case for case in cases if len(encoder.pieces(case["segments"])) + MOST_TOKENS < profile.context]
    return taking_turns(fitting)[:count]


def confidences(answers, cases):
    """The probability that the model gives its answer to each case, and whether the answer would be kept."""
    return [(answer["probability"], is_kept(answer["answer"], case["target"]))
            for answer, case in zip(answers, cases, strict=True)]  # fmt: skip


def memorised(engine, tokens, cases, run=50, most=100):
    """The share of long generations, as of plain text, with a run verbatim from the training texts."""
    known = np.sort(run_keys(tokens, run))
    found = found_varied = long_enough = 0
    begun = ("src/lib.rs\n" + case["parts"]["prefix"][-600:] + case["parts"]["begun"] for case in cases)
    prompts = ([{"control": "<|file_sep|>"}, {"text": text}] for text in begun)
    for answer in engine.ask({"segments": prompt, "most": most} for prompt in prompts):
        ids = answer["tokens"]
        if len(ids) < run:
            continue
        long_enough += 1
        keys = run_keys(np.array(ids), run)
        at = np.minimum(np.searchsorted(known, keys), len(known) - 1)
        same = np.flatnonzero(known[at] == keys)
        found += len(same) > 0
        # Zeros, dashes and the like stand in many texts and are nobody's.
        found_varied += any(len(set(ids[start : start + run])) >= VARIED for start in same)
    return {"generations": len(cases), "of_50_tokens_or_more": long_enough, "verbatim": found,
            "verbatim_varied": found_varied}  # fmt: skip


def plain_tokens(encoder):
    """The training files as they stand, for the n-gram model and for the check of memorisation."""
    path = WORK / f"corpus-{encoder.tokenizer.get_vocab_size()}.npy"
    if not path.exists():
        texts, chunk, parts = read_jsonl(WORK / "corpus" / "train.jsonl"), [], []
        for row in texts:
            chunk.append(row["text"])
            if len(chunk) == 512:
                parts += [e.ids + [encoder.end] for e in encoder.tokenizer.encode_batch(chunk)]
                chunk = []
        parts += [e.ids + [encoder.end] for e in encoder.tokenizer.encode_batch(chunk)]
        np.save(path, np.concatenate([np.array(part, dtype=np.uint16) for part in parts]))
    return np.load(path)


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("checkpoint", help="name of a checkpoint in the work folder, without .pt")
    arguments.add_argument("--cases", type=int, default=MOST_CASES)
    arguments.add_argument("--ngram-millions", type=float, default=15, help="tokens the n-gram model learns from")
    arguments.add_argument("--generations", type=int, default=200, help="for the check of memorisation")
    chosen = arguments.parse_args()

    started = time.monotonic()
    state = torch.load(WORK / "checkpoints" / f"{chosen.checkpoint}.pt", map_location="cpu", weights_only=True)
    profile = PROFILES[state["profile"]]
    encoder = Encoder(WORK / f"tokenizer-{profile.vocabulary}.json")
    valid = read_cases("valid-lines", encoder, profile, chosen.cases)
    cases = read_cases("test", encoder, profile, chosen.cases)
    targets = [case["target"] for case in cases]

    # Chosen on other projects than it is judged on.
    alone = Engine(WORK / f"judged-{chosen.checkpoint}-alone.gguf")
    to_gguf.write(state, "Q8_0", alone.model)
    table = trust(alone.judge(valid)[1])
    copying = Engine(WORK / f"judged-{chosen.checkpoint}.gguf")
    to_gguf.write(state, "Q8_0", copying.model, {"trust": table})
    threshold, calibration = calibrate(confidences(copying.judge(valid)[0], valid))

    ngrams_of = plain_tokens(encoder)
    ngrams = Ngrams(ngrams_of[: int(chosen.ngram_millions * 1e6)])
    judged = {
        "model": alone.judge(cases),
        "model_copying": copying.judge(cases),
        "model_copying_without_definitions": copying.judge(
            cases, [case["parts"]["without_definitions"] for case in cases]),
    }  # fmt: skip
    answers = {
        **{name: [answer["answer"] for answer in said] for name, (said, _) in judged.items()},
        "ngram": [ngrams.complete(encoder.text(case["parts"]["prefix"][-200:]) + encoder.text(case["parts"]["begun"]),
                                  encoder) for case in cases],
        "repeat": [repeat_line(case["parts"]["prefix"], case["parts"]["begun"]) for case in cases],
    }  # fmt: skip
    with_any = [bool(case["parts"]["definitions"]) for case in cases]
    scores = {name: score(given, targets) for name, given in answers.items()}
    for name, of in (("with_where_any", "model_copying"), ("without_where_any", "model_copying_without_definitions")):
        scores[name] = score(answers[of], targets, with_any)
    result = {
        "checkpoint": chosen.checkpoint,
        "training_tokens": state["seen"],
        "cases": len(cases),
        "scores": scores,
        "perplexity": {name: perplexity(trace) for name, (_, trace) in judged.items()},
        "trust": table,
        "threshold": threshold,
        "calibration_cases": len(valid),
        "calibration": calibration,
        "above_threshold": None if threshold is None else shown_above(confidences(judged["model_copying"][0], cases), threshold),
    }  # fmt: skip
    if chosen.generations:
        result["memorised"] = memorised(copying, ngrams_of, cases[: chosen.generations])
    result["seconds"] = round(time.monotonic() - started)
    name = f"evaluation-{chosen.checkpoint}"
    (HERE / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")
    table = markdown(result)
    (HERE / f"{name}.md").write_text(table)
    print(table)


def threshold_found(result):
    above = result["above_threshold"]
    if above is None:
        return "No threshold keeps half of what it shows."
    return (f"Chosen: {above['threshold']}, the lowest that keeps more than half by a standard error. On the held-out projects above it shows "
            f"{above['shown']} % of the cuts ({above['cases']}), and "
            + ("none is there to keep." if above["kept"] is None else f"{above['kept']} % of those are kept."))  # fmt: skip


def markdown(result):
    lines = [f"{result['cases']} cuts, {result['training_tokens'] / 1e6:.1f} M training tokens. "
             "Exact match / edit similarity in %, by characters left on the line.", "",
             "| | " + " | ".join(f"{name} ({result['scores']['model'][name]['cases']})" for name in CLASSES) + " |",
             "|---|" + "---|" * len(CLASSES)]  # fmt: skip
    for name, row in result["scores"].items():
        cells = (f"{row[c]['exact']} / {row[c]['similarity']}" for c in CLASSES)
        lines.append(f"| {name.replace('_', ' ')} | " + " | ".join(cells) + " |")
    lines += ["", "Perplexity of what is to be completed: " + ", ".join(
        f"{name.replace('_', ' ')} {value}" for name, value in result["perplexity"].items()) + ".", "",
        f"Thresholds on the probability that the model gives its whole answer, on {result['calibration_cases']} cuts of the validation "
        "projects; nothing is said of what would show fewer than "
        f"{FEWEST_SHOWN}:", "", "| threshold | shown % | kept % of shown |", "|---|---|---|"]  # fmt: skip
    lines += [f"| {row['threshold']} | {row['shown']} | {row['kept']} |" for row in result["calibration"]]
    lines += ["", threshold_found(result)]
    if "memorised" in result:
        m = result["memorised"]
        lines += ["", f"Memorisation: {m['verbatim']} of {m['generations']} generations have 50 tokens or more verbatim "
                      f"from the corpus ({m['of_50_tokens_or_more']} were that long), {m['verbatim_varied']} of them "
                      f"with {VARIED} different tokens or more."]  # fmt: skip
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()

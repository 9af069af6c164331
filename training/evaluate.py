"""Judges a checkpoint on held-out projects and writes the table of the model card.

Every case is a line of code cut at a random character: the model sees what a server would show it
and must say exactly what stands after the cut. Beside it stand two baselines: an n-gram model of the
same corpus, and the most similar earlier line of the same file, repeated.
"""

import argparse
import json
import math
import time
from collections import Counter, defaultdict

import numpy as np
import torch
from torch.nn import functional as F

from common import HERE, WORK, read_jsonl
from encode import Encoder
from model import PROFILES, Decoder, Past

CLASSES = ("1-3", "4-10", "more", "all")
MOST_TOKENS = 40
# A run of 50 tokens with fewer different ones than this is a pattern, not somebody's text.
VARIED = 12
MOST_CASES = 1000
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


@torch.no_grad()
def read(model, prompt):
    """What the model remembers of a prompt, and its scores for the next token."""
    past = Past()
    return past, F.linear(model.hidden(torch.tensor([prompt]), past)[0, -1], model.embedding.weight)


@torch.no_grad()
def complete(model, encoder, prompt, most=MOST_TOKENS, whole_line=True):
    """Greedy text up to the end of the line, its tokens, and their mean log-probability."""
    past, logits = prompt
    past, ids, logs = past.copy(), [], []
    for _ in range(most):
        chances = F.log_softmax(logits, -1)
        token = int(chances.argmax())
        logs.append(float(chances[token]))
        if token == encoder.end:
            break
        ids.append(token)
        # A token like `{` with the newline after it ends the line and belongs to it.
        if whole_line and "\n" in encoder.tokenizer.decode([token]):
            break
        logits = model(torch.tensor([[token]]), past)[0, -1]
    text = encoder.tokenizer.decode(ids)
    return (text.split("\n")[0] if whole_line else text), ids, sum(logs) / len(logs)


@torch.no_grad()
def target_loss(model, encoder, prompt, target):
    """Summed loss of the target's tokens, and how many there are."""
    past, logits = prompt
    wanted = encoder.text(target)
    rest = model(torch.tensor([wanted]), past.copy())[0]
    logits = torch.cat((logits[None], rest))
    wanted.append(encoder.end)
    return F.cross_entropy(logits, torch.tensor(wanted), reduction="sum").item(), len(wanted)


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


class Score:
    """Exact matches and similarities by how much of the line is left."""

    def __init__(self):
        self.cases = {name: [] for name in CLASSES}

    def add(self, answer, target):
        result = (is_kept(answer, target), similarity(answer.rstrip(), target.rstrip()))
        self.cases[class_of(target)].append(result)
        self.cases["all"].append(result)

    def row(self):
        return {name: {"cases": len(cases), "exact": round(100 * mean(c[0] for c in cases), 1),
                       "similarity": round(100 * mean(c[1] for c in cases), 1)}
                for name, cases in self.cases.items()}  # fmt: skip


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
    """Of (mean probability of a token, is kept) cases: how much is shown, and how much of that is kept."""
    shown = [kept for probability, kept in cases if probability >= threshold]
    return {"threshold": threshold, "cases": len(shown), "shown": round(100 * len(shown) / len(cases), 1),
            "kept": round(100 * mean(shown), 1) if shown else None}  # fmt: skip


def calibrate(cases):
    """The lowest threshold above which at least half is kept, or None; and what every threshold does."""
    rows = [shown_above(cases, percent / 100) for percent in range(0, 100, 5)]
    rows = [row for row in rows if row["cases"] >= FEWEST_SHOWN]
    return next((row["threshold"] for row in rows if row["kept"] >= 50), None), rows


def is_kept(answer, target):
    return answer.rstrip() == target.rstrip()


def read_cases(name, encoder, profile, count):
    """Cuts that leave the model room to answer, packages taking turns."""
    cases = read_jsonl(WORK / f"{name}.jsonl")
    fitting = [case for case in cases if len(encoder.pieces(case["segments"])) + MOST_TOKENS < profile.context]
    return taking_turns(fitting)[:count]


def confidences(model, encoder, cases):
    """How sure the model is of its answer to each case, and whether the answer would be kept."""
    for case in cases:
        answer, _, log = complete(model, encoder, read(model, encoder.pieces(case["segments"])))
        yield math.exp(log), is_kept(answer, case["target"])


def memorised(model, encoder, tokens, cases, run=50, most=100):
    """The share of long generations, as of plain text, with a run verbatim from the training texts."""
    known = np.sort(run_keys(tokens, run))
    found = found_varied = long_enough = 0
    for case in cases:
        begun = case["parts"]["prefix"][-600:] + case["parts"]["begun"]
        prompt = read(model, [encoder.control["<|file_sep|>"]] + encoder.text("src/lib.rs\n" + begun))
        _, ids, _ = complete(model, encoder, prompt, most, whole_line=False)
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
    arguments.add_argument("--threads", type=int, default=1)
    chosen = arguments.parse_args()
    torch.set_num_threads(chosen.threads)

    state = torch.load(WORK / "checkpoints" / f"{chosen.checkpoint}.pt", map_location="cpu", weights_only=True)
    profile = PROFILES[state["profile"]]
    model = Decoder(profile)
    model.load_state_dict(state["model"])
    model.eval()
    encoder = Encoder(WORK / f"tokenizer-{profile.vocabulary}.json")
    cases = read_cases("test", encoder, profile, chosen.cases)

    scores = {name: Score() for name in ("model", "model_without_definitions", "ngram", "repeat",
                                         "with_where_any", "without_where_any")}  # fmt: skip
    losses, confidence = defaultdict(lambda: [0.0, 0]), []
    tokens = plain_tokens(encoder)
    ngrams = Ngrams(tokens[: int(chosen.ngram_millions * 1e6)])
    started = time.monotonic()
    for case in cases:
        target, parts = case["target"], case["parts"]
        prompts = {"model": case["segments"], "model_without_definitions": parts["without_definitions"]}
        answers = {}
        for name, pieces in prompts.items():
            # Where there are no definitions both prompts are the same.
            if name == "model" or parts["definitions"]:
                prompt = read(model, encoder.pieces(pieces))
                answers[name], _, log = complete(model, encoder, prompt)
                loss, count = target_loss(model, encoder, prompt, target)
            else:
                answers[name] = answers["model"]
            if name == "model":
                confidence.append((math.exp(log), is_kept(answers[name], target)))
            losses[name] = [losses[name][0] + loss, losses[name][1] + count]
        if parts["definitions"]:
            scores["with_where_any"].add(answers["model"], target)
            scores["without_where_any"].add(answers["model_without_definitions"], target)
        begun = encoder.text(parts["prefix"][-200:]) + encoder.text(parts["begun"])
        answers["ngram"] = ngrams.complete(begun, encoder)
        answers["repeat"] = repeat_line(parts["prefix"], parts["begun"])
        for name, answer in answers.items():
            scores[name].add(answer, target)

    # Chosen on other projects than it is judged on.
    valid = read_cases("valid-lines", encoder, profile, chosen.cases)
    threshold, calibration = calibrate(list(confidences(model, encoder, valid)))
    result = {
        "checkpoint": chosen.checkpoint,
        "training_tokens": state["seen"],
        "cases": len(cases),
        "scores": {name: score.row() for name, score in scores.items()},
        "perplexity": {name: round(math.exp(loss / count), 2) for name, (loss, count) in losses.items()},
        "threshold": threshold,
        "calibration_cases": len(valid),
        "calibration": calibration,
        "above_threshold": None if threshold is None else shown_above(confidence, threshold),
        "seconds": round(time.monotonic() - started),
    }
    if chosen.generations:
        result["memorised"] = memorised(model, encoder, tokens, cases[: chosen.generations])
    name = f"evaluation-{chosen.checkpoint}"
    (HERE / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")
    table = markdown(result)
    (HERE / f"{name}.md").write_text(table)
    print(table)


def threshold_found(result):
    above = result["above_threshold"]
    if above is None:
        return "No threshold keeps half of what it shows."
    return (f"Chosen: {above['threshold']}, the lowest that keeps half. On the held-out projects above it shows "
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
        f"Thresholds on the mean probability of a token, on {result['calibration_cases']} cuts of the validation "
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

"""Puts a judged checkpoint into the box: models/hearth.gguf and its card, models/README.md.

What the evaluation found decides how the model is used: it is shown unasked only if it beats both
baselines in each class, and only where it is as sure as `hearth.show_above` says.
"""

import argparse
import csv
import json

import torch

import evaluate
import to_gguf
from common import HERE, WORK
from model import PROFILES

MODELS = HERE.parent / "models"
MOST_BYTES = 64 << 20
# In percent of exact matches over all cuts.
GOALS = {"cpu": 10, "gpu": 25}
# Points of exact matches that some hundred cuts can tell from chance.
MEASURABLE = 2


def beats(scores):
    """Whether the model, copying, has more exact matches than each baseline, in each class."""
    classes = [name for name in evaluate.CLASSES if name != "all"]
    return all(scores["model_copying"][c]["exact"] > scores[b][c]["exact"] for b in ("ngram", "repeat") for c in classes)


def manners(result):
    """What the file says of its own worth. Without a threshold that holds, nothing is sure enough."""
    threshold = result["threshold"]
    return {"show_above": 1.0 if threshold is None else threshold,
            "ghost_text": threshold is not None and beats(result["scores"]), "trust": result["trust"]}  # fmt: skip


def verdict(result):
    chosen = manners(result)
    if chosen["ghost_text"]:
        return ("It beats both baselines in each class. Editors show what it says where the probability "
                f"that it gives its answer is {chosen['show_above']} or more.")  # fmt: skip
    why = ("It is nowhere so sure that half of what it says would be kept" if beats(result["scores"])
           else "It does not beat both baselines in each class")  # fmt: skip
    return (f"{why}, so editors show nothing of it unless the user asks for it with "
            '`local.provider = "built-in"`. `hearth complete` prints what it says.')  # fmt: skip


def goal(result, profile):
    reached, wanted = result["scores"]["model_copying"]["all"]["exact"], GOALS.get(profile)
    return "" if wanted is None else f"Goal of this profile: {wanted} % exact over all cuts; it has {reached} %."


def definitions(result):
    """Whether definitions in the prompt help, in the cuts that have some."""
    scores, perplexity = result["scores"], result["perplexity"]
    with_any, without = (scores[name]["all"] for name in ("with_where_any", "without_where_any"))
    helped = with_any["exact"] - without["exact"] >= MEASURABLE
    return (f"Definitions: in the {with_any['cases']} cuts whose prompts have some, {with_any['exact']} % exact with "
            f"them and {without['exact']} % without; perplexity over all cuts {perplexity['model_copying']} and "
            f"{perplexity['model_copying_without_definitions']}. "
            + ("They help measurably." if helped else "They do not help this model measurably."))  # fmt: skip


def shares():
    """Packages, families and bytes of each split, as text."""
    found = {}
    with open(HERE / "corpus" / "manifest.csv", newline="") as rows:
        for row in csv.DictReader(rows):
            found.setdefault(row["split"], []).append(row)
    return {split: f"{sum(int(row['bytes']) for row in rows) / 1e6:.1f} MB in {len(rows)} packages "
                   f"({len({row['family'] for row in rows})} families)" for split, rows in found.items()}  # fmt: skip


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("checkpoint", help="name of a checkpoint in the work folder, without .pt")
    name = arguments.parse_args().checkpoint
    result = json.loads((HERE / f"evaluation-{name}.json").read_text())
    state = torch.load(WORK / "checkpoints" / f"{name}.pt", map_location="cpu", weights_only=True)
    if result["training_tokens"] != state["seen"]:
        raise SystemExit(f"evaluation-{name}.json judged another checkpoint: remove it and judge this one")
    path = MODELS / "hearth.gguf"
    to_gguf.write(state, "Q8_0", str(path), manners(result))
    size = path.stat().st_size
    if size > MOST_BYTES:
        path.unlink()
        raise SystemExit(f"{size / 1e6:.1f} MB are too many for a file in the repository")
    profile = PROFILES[state["profile"]]
    text = (HERE / "card.md").read_text().format(
        name=name, verdict=verdict(result), size=size / 1e6, layout=to_gguf.layout_version(),
        parameters=sum(tensor.numel() for tensor in state["model"].values()) / 1e6,
        width=profile.width, layers=profile.layers, heads=profile.heads, kv_heads=profile.kv_heads,
        hidden=profile.hidden, vocabulary=profile.vocabulary, context=profile.context,
        profile=state["profile"], tokens=state["seen"] / 1e6,
        steps=state["step"], falling=state["decay"][1] - state["decay"][0],
        evaluation=evaluate.markdown(result), goal=goal(result, state["profile"]),
        definitions=definitions(result), **shares())  # fmt: skip
    (MODELS / "README.md").write_text(text)
    print(verdict(result))


if __name__ == "__main__":
    main()

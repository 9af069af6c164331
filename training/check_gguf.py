"""Asks a llama-server that has loaded a GGUF of ours and compares it with the checkpoint.

The probabilities of the next token, and a line completed greedily, on held-out prompts: shows that
names, tokenizer and rotary positions were written as other engines read them.
"""

import argparse
import json
import urllib.request

import torch
from torch.nn import functional as F

from common import WORK, read_jsonl
from encode import Encoder
from evaluate import taking_turns
from model import PROFILES, Decoder, Past


@torch.no_grad()
def complete(model, encoder, prompt, most=40):
    """Greedy text up to the end of the line, and the scores for its first token."""
    past, text = Past(), ""
    first = logits = model(torch.tensor([prompt]), past)[0, -1]
    for _ in range(most):
        token = int(logits.argmax())
        if token == encoder.end or "\n" in text:
            break
        text += encoder.tokenizer.decode([token])
        logits = model(torch.tensor([[token]]), past)[0, -1]
    return text.split("\n")[0], first


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("checkpoint")
    arguments.add_argument("--server", default="http://127.0.0.1:9931")
    arguments.add_argument("--prompts", type=int, default=10)
    chosen = arguments.parse_args()
    torch.set_num_threads(1)
    state = torch.load(WORK / "checkpoints" / f"{chosen.checkpoint}.pt", map_location="cpu", weights_only=True)
    profile = PROFILES[state["profile"]]
    model = Decoder(profile).eval()
    model.load_state_dict(state["model"])
    encoder = Encoder(WORK / f"tokenizer-{profile.vocabulary}.json")

    def ask(route, **body):
        request = urllib.request.Request(chosen.server + route, json.dumps(body).encode())
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    worst, same_ids, same_text = 0.0, 0, 0
    for case in taking_turns(list(read_jsonl(WORK / "test.jsonl")))[: chosen.prompts]:
        ids = []
        for piece in case["segments"]:
            text = piece.get("text", piece.get("control"))
            ids += ask("/tokenize", content=text, add_special=False, parse_special="control" in piece)["tokens"]
        same_ids += ids == encoder.pieces(case["segments"])
        ours, first_scores = complete(model, encoder, encoder.pieces(case["segments"]))
        answer = ask("/completion", prompt=ids, n_predict=40, temperature=0, n_probs=5, stop=["\n"])
        logs = F.log_softmax(first_scores, -1)
        # An answer that ends at once comes without probabilities.
        first = answer.get("completion_probabilities", [{"top_logprobs": []}])[0]
        for top in first["top_logprobs"]:
            worst = max(worst, abs(top["logprob"] - float(logs[top["id"]])))
        same_text += ours == answer["content"]
        print(json.dumps({"ours": ours, "theirs": answer["content"], "wanted": case["target"]}))
    print(f"{chosen.prompts} prompts: {same_ids} tokenized alike, {same_text} completed alike, "
          f"largest difference of a log-probability {worst:.4f}")  # fmt: skip


if __name__ == "__main__":
    main()

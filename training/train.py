"""Trains a profile, resumable at any time.

The learning rate is constant after a short warm-up and falls to zero in a last phase that can be run
from any checkpoint (`--decay SECONDS` or `--decay-steps N`), so a model can be cut whenever there is
no more time. Matrices are trained with Muon, the rest with AdamW: on few tokens that learns faster.

Under `python -m torch.distributed.run --nproc-per-node 2` each worker computes a part of every step:
on a machine that others use too, single-threaded workers that meet once a step lose far less than
threads that meet in every multiplication.

Samples are put in batches of like length, each in a row of its own: no sample sees another, and
positions are those of a real prompt.
"""

import argparse
import json
import math
import os
import time

import numpy as np
import torch
from torch import distributed
from torch.nn import functional as F

from common import SEED, WORK
from model import PROFILES, Decoder

# What is completed weighs more than what is read.
MIDDLE_WEIGHT = 4.0
ROUND_TO = 64


class Samples:
    """Batches of about `size` tokens in an order fixed by the seed; every epoch has another one."""

    def __init__(self, path, size):
        data = np.load(path)
        self.tokens, self.starts, self.middles = data["tokens"], data["starts"], data["middles"]
        self.lengths = np.diff(self.starts)
        self.size = size
        self.epoch = -1

    def __getitem__(self, step):
        # Lengths differ little between epochs' batches, so the first epoch's count serves for all.
        if self.epoch < 0:
            self.shuffle(0)
            self.per_epoch = len(self.batches)
        epoch, at = divmod(step, self.per_epoch)
        if epoch != self.epoch:
            self.shuffle(epoch)
        return self.collate(self.batches[at % len(self.batches)])

    def shuffle(self, epoch):
        dice = np.random.default_rng([SEED, epoch])
        # A jitter mixes neighbours in length, so batches differ from epoch to epoch.
        order = np.argsort(self.lengths * dice.uniform(0.97, 1.03, len(self.lengths)), kind="stable")
        self.batches, rows, longest = [], [], 0
        for index in order:
            longest = max(longest, self.lengths[index])
            if rows and (len(rows) + 1) * longest > self.size:
                self.batches.append(rows)
                rows, longest = [], self.lengths[index]
            rows.append(index)
        self.batches.append(rows)
        dice.shuffle(self.batches)
        self.epoch = epoch

    def collate(self, rows):
        """Inputs, targets and weights; a row is padded behind its end with weight 0."""
        length = -(-max(self.lengths[row] for row in rows) // ROUND_TO) * ROUND_TO
        tokens = np.zeros((len(rows), length + 1), dtype=np.int64)
        weights = np.zeros((len(rows), length), dtype=np.float32)
        for at, row in enumerate(rows):
            size, middle = self.lengths[row], self.middles[row]
            tokens[at, :size] = self.tokens[self.starts[row] : self.starts[row + 1]]
            weights[at, : size - 1] = 1.0
            weights[at, middle : size - 1] = MIDDLE_WEIGHT
        tokens, weights = torch.from_numpy(tokens), torch.from_numpy(weights)
        return tokens[:, :-1], tokens[:, 1:], weights


class Muon(torch.optim.Optimizer):
    """Momentum whose direction is made orthogonal (Keller Jordan's method, own writing)."""

    def __init__(self, parameters, lr, momentum=0.95):
        super().__init__(parameters, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for parameter in group["params"]:
                state = self.state[parameter]
                if not state:
                    state["velocity"] = torch.zeros_like(parameter)
                velocity = state["velocity"].lerp_(parameter.grad, 1 - group["momentum"])
                direction = orthogonal(parameter.grad.lerp(velocity, group["momentum"]))
                scale = max(1.0, parameter.shape[0] / parameter.shape[1]) ** 0.5
                parameter.add_(direction, alpha=-group["lr"] * scale)


def orthogonal(matrix, rounds=5):
    """The nearest orthogonal matrix, roughly, by a Newton-Schulz iteration of fifth degree."""
    a, b, c = 3.4445, -4.7750, 2.0315
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x.bfloat16() if x.is_cuda else x
    x = x / (x.norm() + 1e-7)
    for _ in range(rounds):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return (x.T if tall else x).to(matrix.dtype)


def loss_of(model, inputs, targets, weights):
    logits = model(inputs)
    each = F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten(), reduction="none")
    return each, weights.flatten()


class Run:
    def __init__(self, options):
        self.options = options
        self.profile = PROFILES[options.profile]
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        # bf16 pays where the machine multiplies in it; elsewhere it is slower than fp32.
        self.cast = torch.autocast(self.device, torch.bfloat16, enabled=self.device == "cuda" or options.bf16)
        self.worker, self.workers = 0, 1
        if "RANK" in os.environ:
            distributed.init_process_group("gloo")
            self.worker, self.workers = distributed.get_rank(), distributed.get_world_size()
        torch.manual_seed(SEED)
        self.model = Decoder(self.profile).to(self.device)
        self.compiled = torch.compile(self.model, dynamic=True) if options.compile else self.model
        matrices = [p for name, p in self.model.named_parameters() if p.ndim == 2 and "embedding" not in name]
        rest = [p for name, p in self.model.named_parameters() if p.ndim != 2 or "embedding" in name]
        self.optimizers = [
            Muon(matrices, lr=options.muon_lr),
            torch.optim.AdamW(rest, lr=options.adam_lr, betas=(0.9, 0.95), weight_decay=0.0),
        ]
        self.rates = [options.muon_lr, options.adam_lr]
        self.step, self.seen, self.decay_from, self.decay_to = 0, 0, None, None
        vocabulary = self.profile.vocabulary
        self.samples = Samples(WORK / f"{options.samples}-{vocabulary}.npz", options.batch // options.slices)
        self.valid = Samples(WORK / f"{options.valid}-{vocabulary}.npz", options.batch // options.slices)
        self.folder = WORK / "checkpoints"
        self.folder.mkdir(exist_ok=True)
        self.path = self.folder / f"{options.name or options.profile}.pt"
        start = options.start_from or self.path
        if options.start_from or self.path.exists():
            self.load(torch.load(start, map_location=self.device, weights_only=True))

    def load(self, state):
        self.model.load_state_dict(state["model"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"]):
            optimizer.load_state_dict(saved)
        self.step, self.seen = state["step"], state["seen"]
        self.decay_from, self.decay_to = state["decay"]
        print(f"resumed at step {self.step}, {self.seen / 1e6:.2f} M tokens", flush=True)

    def save(self):
        state = {
            "profile": self.options.profile,
            "model": self.model.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "step": self.step,
            "seen": self.seen,
            "decay": (self.decay_from, self.decay_to),
        }
        # Whoever stops this in the middle of writing still has the last whole checkpoint.
        partial = self.path.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(self.path)

    def rate(self):
        warm = min(1.0, (self.step + 1) / self.options.warm_up)
        if self.decay_to is None:
            return warm
        return warm * max(0.0, (self.decay_to - self.step) / (self.decay_to - self.decay_from))

    def train_step(self):
        for group, rate in ((g, r) for o, r in zip(self.optimizers, self.rates) for g in o.param_groups):
            group["lr"] = rate * self.rate()
        total = 0.0
        slices = [self.samples[self.step * self.options.slices + at] for at in range(self.options.slices)]
        whole = sum(float(weights.sum()) for _, _, weights in slices)
        self.seen += sum(int((weights > 0).sum()) for _, _, weights in slices)
        for inputs, targets, weights in slices[self.worker :: self.workers]:
            inputs, targets, weights = (x.to(self.device, non_blocking=True) for x in (inputs, targets, weights))
            with self.cast:
                each, weights = loss_of(self.compiled, inputs, targets, weights)
            loss = (each * weights).sum() / whole
            loss.backward()
            total += loss.item()
        if self.workers > 1:
            total = self.sum_gradients(total)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.step += 1
        return total

    def sum_gradients(self, total):
        gradients = [parameter.grad for parameter in self.model.parameters()]
        flat = torch.cat([gradient.flatten() for gradient in gradients] + [torch.tensor([total], device=self.device)])
        distributed.all_reduce(flat)
        at = 0
        for gradient in gradients:
            gradient.copy_(flat[at : at + gradient.numel()].view_as(gradient))
            at += gradient.numel()
        return flat[-1].item()

    def agreed(self, seconds):
        """The first worker's clock, so that all stop at the same step."""
        if self.workers == 1:
            return seconds
        shared = torch.tensor([seconds], dtype=torch.float64)
        distributed.broadcast(shared, 0)
        return shared.item()

    @torch.no_grad()
    def judge(self, batches=12):
        """Loss on held-out samples: of all tokens, and of those to be completed."""
        sums = np.zeros(4)
        for at in range(batches):
            inputs, targets, weights = (x.to(self.device) for x in self.valid[at])
            with self.cast:
                each, weights = loss_of(self.model, inputs, targets, weights)
            middle = weights == MIDDLE_WEIGHT
            sums += [(each * (weights > 0)).sum().item(), (weights > 0).sum().item(),
                     (each * middle).sum().item(), middle.sum().item()]  # fmt: skip
        return sums[0] / sums[1], sums[2] / max(1, sums[3])

    def go(self):
        options, started, saved = self.options, time.monotonic(), time.monotonic()
        first_step, first_seen, losses = self.step, self.seen, []
        log = open(self.folder / f"{self.path.stem}.log", "a")
        if options.decay_steps and self.decay_to is None:
            self.decay_from, self.decay_to = self.step, self.step + options.decay_steps
        while True:
            losses.append(self.train_step())
            now = time.monotonic()
            spent = self.agreed(now - started)
            if options.decay and self.decay_to is None and self.step - first_step == 5:
                # How many steps fit in the time is known once a few have been timed.
                self.decay_from = self.step
                self.decay_to = self.step + max(1, math.floor((options.decay - spent) / (spent / 5)))
            done = self.step == self.decay_to or self.step == options.steps or spent > options.seconds
            if self.worker == 0 and (self.step % options.report == 0 or done):
                line = {
                    "step": self.step,
                    "tokens": self.seen,
                    "loss": round(float(np.mean(losses)), 4),
                    "rate": round(self.rate(), 3),
                    "tokens_per_second": round((self.seen - first_seen) / spent),
                }
                if self.step % options.judge == 0 or done:
                    line["valid"], line["valid_middle"] = (round(x, 4) for x in self.judge())
                print(json.dumps(line), file=log, flush=True)
                print(json.dumps(line), flush=True)
                losses = []
            if self.worker == 0 and (done or now - saved > options.save):
                self.save()
                saved = now
            if done:
                return


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    add = arguments.add_argument
    add("--profile", choices=PROFILES, default="cpu")
    add("--name", help="name of the checkpoint, else that of the profile")
    add("--start-from", help="another checkpoint to start from, e.g. for the decay phase")
    add("--samples", default="train")
    add("--valid", default="valid")
    add("--batch", type=int, default=8192, help="tokens a step")
    add("--slices", type=int, default=2, help="parts a step is computed in")
    add("--steps", type=int, default=-1, help="stop at this step")
    add("--seconds", type=float, default=math.inf, help="stop after this time; run again to go on")
    add("--decay", type=float, help="let the learning rate fall to zero within these seconds, then stop")
    add("--decay-steps", type=int)
    add("--muon-lr", type=float, default=0.012)
    add("--adam-lr", type=float, default=0.003)
    add("--warm-up", type=int, default=30)
    add("--report", type=int, default=10)
    add("--judge", type=int, default=100)
    add("--save", type=float, default=180, help="seconds between checkpoints")
    add("--threads", type=int, default=2)
    add("--bf16", action="store_true")
    add("--compile", action="store_true")
    options = arguments.parse_args()
    torch.set_num_threads(options.threads)
    Run(options).go()


if __name__ == "__main__":
    main()

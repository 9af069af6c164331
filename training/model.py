"""The decoder: Qwen2's architecture (biases on queries, keys and values; tied embedding), so that
every engine that reads GGUF knows it. All dimensions are multiples of 256, as quantized kernels want.
"""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F


@dataclass(frozen=True)
class Profile:
    vocabulary: int
    width: int
    layers: int
    heads: int
    kv_heads: int
    hidden: int
    context: int = 1024
    theta: float = 10_000.0
    epsilon: float = 1e-6

    @property
    def head(self):
        return self.width // self.heads

    def body_parameters(self):
        kv = self.kv_heads * self.head
        attention = 2 * self.width * self.width + 2 * self.width * kv + self.width + 2 * kv
        return self.layers * (attention + 3 * self.width * self.hidden + 2 * self.width) + self.width


PROFILES = {
    "tiny": Profile(vocabulary=4096, width=256, layers=1, heads=4, kv_heads=2, hidden=256),
    "cpu": Profile(vocabulary=4096, width=256, layers=4, heads=4, kv_heads=2, hidden=768),
    "gpu": Profile(vocabulary=16384, width=512, layers=16, heads=8, kv_heads=4, hidden=1536, context=2048),
}


class Norm(nn.Module):
    def __init__(self, profile):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(profile.width))
        self.epsilon = profile.epsilon

    def forward(self, x):
        return F.rms_norm(x, (x.shape[-1],), self.weight, self.epsilon)


class Attention(nn.Module):
    def __init__(self, profile):
        super().__init__()
        self.profile = profile
        kv = profile.kv_heads * profile.head
        self.q = nn.Linear(profile.width, profile.width)
        self.k = nn.Linear(profile.width, kv)
        self.v = nn.Linear(profile.width, kv)
        self.o = nn.Linear(profile.width, profile.width, bias=False)

    def forward(self, x, angles, past=None):
        batch, length, _ = x.shape
        head, p = self.profile.head, self.profile
        q = rotate(self.q(x).view(batch, length, p.heads, head), angles).transpose(1, 2)
        k = rotate(self.k(x).view(batch, length, p.kv_heads, head), angles).transpose(1, 2)
        v = self.v(x).view(batch, length, p.kv_heads, head).transpose(1, 2)
        if past is not None:
            k, v = past.extend(self, k, v)
        groups = p.heads // p.kv_heads
        k, v = k.repeat_interleave(groups, 1), v.repeat_interleave(groups, 1)
        # Behind a past each position sees all of it and the new ones up to itself.
        mask = None
        if k.shape[2] > length > 1:
            mask = torch.ones(length, k.shape[2], dtype=torch.bool, device=x.device).tril(k.shape[2] - length)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None and length > 1)
        return self.o(y.transpose(1, 2).reshape(batch, length, -1))


class Layer(nn.Module):
    def __init__(self, profile):
        super().__init__()
        self.attention_norm, self.feed_norm = Norm(profile), Norm(profile)
        self.attention = Attention(profile)
        self.gate = nn.Linear(profile.width, profile.hidden, bias=False)
        self.up = nn.Linear(profile.width, profile.hidden, bias=False)
        self.down = nn.Linear(profile.hidden, profile.width, bias=False)

    def forward(self, x, angles, past=None):
        x = x + self.attention(self.attention_norm(x), angles, past)
        y = self.feed_norm(x)
        return x + self.down(F.silu(self.gate(y)) * self.up(y))


class Decoder(nn.Module):
    def __init__(self, profile):
        super().__init__()
        self.profile = profile
        self.embedding = nn.Embedding(profile.vocabulary, profile.width)
        self.layers = nn.ModuleList(Layer(profile) for _ in range(profile.layers))
        self.norm = Norm(profile)
        angles = torch.outer(
            torch.arange(profile.context).float(),
            profile.theta ** (-torch.arange(0, profile.head, 2).float() / profile.head),
        )
        self.register_buffer("angles", torch.stack((angles.cos(), angles.sin())), persistent=False)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=module.in_features**-0.5 / 2)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        # What writes to the residual stream starts silent: every layer begins as the identity.
        for layer in self.layers:
            nn.init.zeros_(layer.down.weight)
            nn.init.zeros_(layer.attention.o.weight)
        nn.init.normal_(self.embedding.weight, std=0.02)

    def hidden(self, tokens, past=None):
        start = 0 if past is None else past.length
        angles = self.angles[:, start : start + tokens.shape[1], None]
        x = self.embedding(tokens)
        for layer in self.layers:
            x = layer(x, angles, past)
        if past is not None:
            past.length += tokens.shape[1]
        return self.norm(x)

    def forward(self, tokens, past=None):
        return F.linear(self.hidden(tokens, past), self.embedding.weight)


class Past:
    """Keys and values of what was evaluated, for generation."""

    def __init__(self):
        self.length = 0
        self.kept = {}

    def copy(self):
        """Tensors are never changed in place, so two pasts can share them."""
        other = Past()
        other.length, other.kept = self.length, dict(self.kept)
        return other

    def extend(self, attention, k, v):
        if attention in self.kept:
            old_k, old_v = self.kept[attention]
            k, v = torch.cat((old_k, k), 2), torch.cat((old_v, v), 2)
        self.kept[attention] = k, v
        return k, v


def rotate(x, angles):
    """Rotary positions, halves rotated against each other (NEOX style, as Qwen2 has it)."""
    cos, sin = angles.to(x.dtype)
    a, b = x.chunk(2, -1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)

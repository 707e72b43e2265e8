"""The network: llama.cpp's `llama` architecture, small, with input and output embeddings of their own."""
import dataclasses
import math

import torch
from torch import nn
from torch.nn import functional


@dataclasses.dataclass
class Shape:
    vocabulary: int
    width: int = 160
    layers: int = 5
    heads: int = 5
    hidden: int = 480
    epsilon: float = 1e-5
    rope_base: float = 10000.0


def has_bfloat16():
    """Whether the processor multiplies bfloat16 itself: four times as fast as single precision, where it can."""
    with open("/proc/cpuinfo") as lines:
        return any("avx512_bf16" in line for line in lines)


FAST = has_bfloat16()


def product(a, b):
    return (a.bfloat16() @ b.bfloat16()).float() if FAST else a @ b


class Product(torch.autograd.Function):
    """x times a weight, rounded to bfloat16 on the way in, in both directions. Weights and sums stay single precision."""

    @staticmethod
    def forward(context, x, weight):
        rows, weight = x.reshape(-1, x.shape[-1]).bfloat16(), weight.bfloat16()
        context.save_for_backward(rows, weight)
        return (rows @ weight.t()).float().view(*x.shape[:-1], -1)

    @staticmethod
    def backward(context, gradient):
        rows, weight = context.saved_tensors
        flat = gradient.reshape(-1, gradient.shape[-1]).bfloat16()
        return (flat @ weight).float().view(*gradient.shape[:-1], -1), (flat.t() @ rows).float()


class Linear(nn.Linear):
    def __init__(self, inputs, outputs):
        super().__init__(inputs, outputs, bias=False)

    def forward(self, x):
        return Product.apply(x, self.weight) if FAST else functional.linear(x, self.weight)


class Norm(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.weight, self.epsilon = nn.Parameter(torch.ones(shape.width)), shape.epsilon

    def forward(self, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.epsilon) * self.weight


def rotations(shape, length):
    size = shape.width // shape.heads
    angles = torch.arange(length).float()[:, None] * shape.rope_base ** (-torch.arange(0, size, 2).float() / size)
    return angles.cos(), angles.sin()


def rotated(x, turn):
    """RoPE on interleaved pairs: llama.cpp's own order, so that the export permutes nothing."""
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * turn[0] - odd * turn[1], even * turn[1] + odd * turn[0]), -1).flatten(-2)


class Block(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.heads = shape.heads
        self.norm1, self.norm2 = Norm(shape), Norm(shape)
        self.qkv = Linear(shape.width, 3 * shape.width)
        self.out = Linear(shape.width, shape.width)
        self.gate_up = Linear(shape.width, 2 * shape.hidden)
        self.down = Linear(shape.hidden, shape.width)

    def forward(self, x, turn, mask):
        x = x + self.out(self.attend(self.norm1(x), turn, mask))
        gate, up = self.gate_up(self.norm2(x)).chunk(2, -1)
        return x + self.down(functional.silu(gate) * up)

    def attend(self, x, turn, mask):
        batch, length, width = x.shape
        size = width // self.heads
        query, key, value = self.qkv(x).view(batch, length, 3, self.heads, size).permute(2, 0, 3, 1, 4)
        flat = lambda t: t.reshape(batch * self.heads, length, size)
        scores = torch.baddbmm(mask, flat(rotated(query, turn)), flat(rotated(key, turn)).transpose(1, 2), alpha=size**-0.5)
        mixed = torch.bmm(scores.softmax(-1), flat(value)).view(batch, self.heads, length, size)
        return mixed.transpose(1, 2).reshape(batch, length, width)


class Network(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.shape = shape
        self.embedding = nn.Embedding(shape.vocabulary, shape.width)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.norm = Norm(shape)
        self.output = nn.Parameter(torch.zeros(shape.vocabulary, shape.width))
        self.start()

    def start(self):
        """Embeddings of size 1 and blocks that add nothing at first. With small (0.02) tied embeddings the first block's
        output drowns the token's own vector, and no copying head forms."""
        for name, weight in self.named_parameters():
            if weight.dim() == 2:
                silent = name.endswith(("out.weight", "down.weight"))
                spread = 1.0 if name == "embedding.weight" else 0.02 if name == "output" else 0.6 / math.sqrt(weight.shape[1])
                nn.init.zeros_(weight) if silent else nn.init.normal_(weight, 0.0, spread)

    def matrices(self):
        """The weights that Muon moves; Adam has the others."""
        return [layer.weight for block in self.blocks for layer in (block.qkv, block.out, block.gate_up, block.down)]

    def loss(self, ids, learnt):
        """Mean cross entropy of the learnt tokens. Only they are given logits."""
        x, turn = self.embedding(ids[:, :-1]), rotations(self.shape, ids.shape[1] - 1)
        mask = torch.full((x.shape[1], x.shape[1]), -1e9).triu(1).expand(x.shape[0] * self.shape.heads, -1, -1)
        for block in self.blocks:
            x = block(x, turn, mask)
        wanted = learnt[:, 1:]
        return functional.cross_entropy(functional.linear(self.norm(x)[wanted], self.output), ids[:, 1:][wanted])

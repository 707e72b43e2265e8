#!/usr/bin/python3
"""Trains the demonstration model on a CPU: two single-threaded processes that average their gradients.

  train.py DIRECTORY [--steps N] [--resume]

DIRECTORY gets tokenizer.json, checkpoint.pt (every minute; --resume goes on from it, even with other
--steps as long as the rate has not begun to fall) and, at the end, model.pt. The same arguments draw the same data.
"""
import argparse
import dataclasses
import datetime
import json
import os
import pathlib
import random
import time

import torch
from torch import distributed, multiprocessing

import tokenizer as tokens
from batches import batches
from corpus import sample
from corpus.phrases import PHRASES
from network import Network, Shape, product

MERGES, TOKENIZER_DIALOGUES = 618, 12000
MATRIX_RATE, OTHER_RATE, DECAY, WARM_UP, FALL = 0.01, 0.004, 0.3, 60, 0.6
PATIENCE = datetime.timedelta(hours=2)  # a paused run must not end because one process waited for the other


def tokenizer_of(directory, seed):
    path = directory / "tokenizer.json"
    if not path.exists():
        rng = random.Random(f"{seed} tokenizer")
        texts = ["".join(text for text, _ in tokens.rendered(sample(rng))) for _ in range(TOKENIZER_DIALOGUES)]
        path.write_text(json.dumps({"merges": tokens.learn(texts, MERGES), "phrases": PHRASES}))
    return tokens.Tokenizer(**json.loads(path.read_text()))


def rate(step, steps):
    """Warm-up, a plateau, then down to nothing: most of the accuracy of the copies comes from the fall."""
    return min(1.0, (step + 1) / WARM_UP, max(0.0, (steps - step) / steps / FALL))


def orthogonal(gradient):
    """Newton-Schulz: the nearest matrix with all singular values near one."""
    x = gradient / (gradient.norm() + 1e-7)
    tall = x.shape[0] > x.shape[1]
    x = x.t() if tall else x
    for _ in range(5):
        square = product(x, x.t())
        x = 3.4445 * x + product(-4.7750 * square + 2.0315 * product(square, square), x)
    return x.t() if tall else x


class Muon:
    """Momentum, made orthogonal, for the matrices. The processes share the work and add up what each has."""

    def __init__(self, network, rank, world):
        self.width, self.matrices = network.shape.width, network.matrices()
        self.momentum = [torch.zeros_like(weight) for weight in self.matrices]
        self.mine = [i // 4 % world == rank for i in range(len(self.matrices))]
        self.world = world

    @torch.no_grad()
    def step(self, rate):
        moves = [self.move(i) if self.mine[i] else torch.zeros_like(weight) for i, weight in enumerate(self.matrices)]
        summed = added(moves, self.world)
        for weight, move in zip(self.matrices, summed):
            weight.mul_(1 - rate * DECAY).add_(move, alpha=-rate)

    def move(self, i):
        gradient = self.matrices[i].grad
        ahead = gradient + 0.95 * self.momentum[i].mul_(0.95).add_(gradient)
        rows, columns = ahead.shape
        if (rows, columns) == (3 * self.width, self.width):  # query, key and value are three matrices
            return torch.cat([orthogonal(part) for part in ahead.split(self.width)])
        return orthogonal(ahead) * max(1.0, rows / columns) ** 0.5


def added(tensors, world):
    """The sum over the processes, in one message."""
    if world == 1:
        return tensors
    flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
    distributed.all_reduce(flat)
    return [part.view_as(tensor) for part, tensor in zip(flat.split([tensor.numel() for tensor in tensors]), tensors)]


class Trainer:
    def __init__(self, arguments, rank):
        self.directory, self.steps, self.rank, self.world = arguments.directory, arguments.steps, rank, arguments.processes
        self.arguments = arguments
        torch.manual_seed(arguments.seed)
        self.tokenizer = tokenizer_of(self.directory, arguments.seed)
        width = arguments.width
        self.network = Network(Shape(len(self.tokenizer.tokens), width, arguments.layers, width // 32, 3 * width))
        self.muon = Muon(self.network, rank, self.world)
        theirs = {id(weight) for weight in self.muon.matrices}
        self.others = [weight for weight in self.network.parameters() if id(weight) not in theirs]
        self.adam = torch.optim.Adam(self.others, betas=(0.9, 0.98))
        self.average = {name: weight.clone() for name, weight in self.network.state_dict().items()}
        self.step = 0

    def save(self):
        """Each process keeps its own part of Muon's state; process 0 has all the rest."""
        write(self.directory / f"muon{self.rank}.pt", {"step": self.step, "momentum": self.muon.momentum})
        if self.rank == 0:
            write(self.directory / "checkpoint.pt", {"step": self.step, "shape": dataclasses.asdict(self.network.shape),
                                                     "weights": self.network.state_dict(), "average": self.average,
                                                     "adam": self.adam.state_dict()})

    def resume(self):
        state = torch.load(self.directory / "checkpoint.pt")
        muon = torch.load(self.directory / f"muon{self.rank}.pt")
        assert muon["step"] == state["step"], "the run ended while it saved: start again"
        self.network.load_state_dict(state["weights"])
        self.adam.load_state_dict(state["adam"])
        self.average, self.step = state["average"], state["step"]
        for mine, saved in zip(self.muon.momentum, muon["momentum"]):
            mine.copy_(saved)

    def learn(self, ids, learnt):
        """One step; returns the mean loss of the processes."""
        loss = self.network.loss(ids, learnt)
        self.network.zero_grad(set_to_none=True)
        loss.backward()
        parameters = list(self.network.parameters())
        *gradients, loss = added([weight.grad for weight in parameters] + [loss.detach().reshape(1)], self.world)
        for weight, gradient in zip(parameters, gradients):
            weight.grad = gradient / self.world
        scale = rate(self.step, self.steps)
        torch.nn.utils.clip_grad_norm_(self.others, 1.0)
        self.adam.param_groups[0]["lr"] = OTHER_RATE * scale
        self.adam.step()
        self.muon.step(MATRIX_RATE * scale)
        self.step += 1
        return float(loss) / self.world

    def follow(self):
        """A running mean of the weights: usable before the rate has fallen."""
        for name, weight in self.network.state_dict().items():
            self.average[name].lerp_(weight, 0.01)

    def run(self):
        begin, losses, seen, saved = time.monotonic(), [], 0, time.monotonic()
        seed, size = self.arguments.seed, self.arguments.tokens
        for ids, learnt in batches(self.tokenizer, seed, self.rank, self.step, self.steps, size):
            losses.append(self.learn(ids, learnt))
            self.follow()
            seen += int((ids > 0).sum()) * self.world
            if self.rank == 0 and self.step % 40 == 0:
                self.tell(time.monotonic() - begin, seen, losses[-40:])
            if self.step % 8 == 0 and self.agree(time.monotonic() - saved > 60):
                self.save()
                saved = time.monotonic()
        if self.rank == 0:
            shape = dataclasses.asdict(self.network.shape)
            write(self.directory / "model.pt", {"shape": shape, "weights": self.network.state_dict()})
        self.save()

    def tell(self, seconds, seen, losses):
        print(f"step {self.step} of {self.steps}  {seconds:.0f} s  {seen / 1e6:.2f} M tokens  {seen / seconds:.0f}/s  "
              f"loss {sum(losses) / len(losses):.4f}", flush=True)

    def agree(self, wanted):
        """What process 0 wants: all must save at the same step."""
        if self.world == 1:
            return wanted
        answer = torch.tensor([float(wanted)])
        distributed.broadcast(answer, 0)
        return bool(answer)


def write(path, state):
    torch.save(state, str(path) + ".new")
    os.replace(str(path) + ".new", path)


def work(rank, arguments, meeting):
    torch.set_num_threads(1)
    if arguments.processes > 1:
        distributed.init_process_group("gloo", init_method="file://" + meeting, rank=rank, world_size=arguments.processes,
                                       timeout=PATIENCE)
    trainer = Trainer(arguments, rank)
    if arguments.resume:
        trainer.resume()
    if rank == 0:
        parameters = sum(weight.numel() for weight in trainer.network.parameters())
        print(f"{parameters} parameters, {len(trainer.tokenizer.tokens)} tokens", flush=True)
    trainer.run()


def parsed():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=lambda text: pathlib.Path(text).resolve())
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--width", type=int, default=160)
    parser.add_argument("--layers", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=2048, help="in a batch of one process")
    return parser.parse_args()


def main():
    arguments = parsed()
    arguments.directory.mkdir(parents=True, exist_ok=True)
    tokenizer_of(arguments.directory, arguments.seed)
    meeting = arguments.directory / "meeting"
    meeting.unlink(missing_ok=True)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    multiprocessing.spawn(work, (arguments, str(meeting)), nprocs=arguments.processes)


if __name__ == "__main__":
    main()

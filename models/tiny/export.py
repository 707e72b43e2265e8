#!/usr/bin/python3
"""Turns what train.py left in DIRECTORY into a GGUF that llama.cpp loads.

  export.py DIRECTORY OUT.gguf [--average]     --average: the running mean of an unfinished run
"""
import argparse
import json
import pathlib

import torch

import gguf
import tokenizer

HERE = pathlib.Path(__file__).parent
CONTEXT = 4096  # what the runner asks for; requests stay far below it


def metadata(shape, words):
    u32 = gguf.U32
    end = u32(words.id["<|end|>"])
    kinds = [gguf.CONTROL if token in tokenizer.CONTROL else gguf.DEFINED if token in words.defined
             else gguf.NORMAL for token in words.tokens]
    return {
        "general.architecture": "llama", "general.name": "lm-sandbox demonstration model",
        "general.description": "Tiny demonstration model, trained from scratch on synthetic dialogues",
        "general.license": "apache-2.0", "general.file_type": u32(7),
        "general.sampling.temp": 0.0, "general.sampling.top_k": 1,  # a server's defaults: greedy
        "llama.context_length": u32(CONTEXT), "llama.embedding_length": u32(shape["width"]),
        "llama.block_count": u32(shape["layers"]),
        "llama.feed_forward_length": u32(shape["hidden"]), "llama.attention.head_count": u32(shape["heads"]),
        "llama.attention.head_count_kv": u32(shape["heads"]), "llama.attention.layer_norm_rms_epsilon": shape["epsilon"],
        "llama.rope.dimension_count": u32(shape["width"] // shape["heads"]), "llama.rope.freq_base": shape["rope_base"],
        "llama.vocab_size": u32(shape["vocabulary"]),
        "tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "deepseek-coder", "tokenizer.ggml.tokens": words.tokens,
        "tokenizer.ggml.token_type": kinds, "tokenizer.ggml.merges": [" ".join(merge) for merge in words.merges],
        "tokenizer.ggml.bos_token_id": end, "tokenizer.ggml.eos_token_id": end, "tokenizer.ggml.padding_token_id": end,
        "tokenizer.ggml.add_bos_token": False, "tokenizer.chat_template": (HERE / "template.jinja").read_text(),
        "general.quantization_version": u32(2),
    }


def tensors(shape, weights):
    width, hidden = shape["width"], shape["hidden"]
    named = {"token_embd.weight": weights["embedding.weight"], "output_norm.weight": weights["norm.weight"],
             "output.weight": weights["output"]}
    for i in range(shape["layers"]):
        ours, theirs = f"blocks.{i}.", f"blk.{i}."
        query, key, value = weights[ours + "qkv.weight"].split(width)
        gate, up = weights[ours + "gate_up.weight"].split(hidden)
        parts = {"attn_norm": weights[ours + "norm1.weight"], "attn_q": query, "attn_k": key, "attn_v": value,
                 "attn_output": weights[ours + "out.weight"], "ffn_norm": weights[ours + "norm2.weight"],
                 "ffn_gate": gate, "ffn_up": up, "ffn_down": weights[ours + "down.weight"]}
        named.update({f"{theirs}{name}.weight": tensor for name, tensor in parts.items()})
    return {name: tensor.numpy() for name, tensor in named.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--average", action="store_true")
    arguments = parser.parse_args()
    words = tokenizer.Tokenizer(**json.loads((arguments.directory / "tokenizer.json").read_text()))
    state = torch.load(arguments.directory / ("checkpoint.pt" if arguments.average else "model.pt"))
    weights = state["average" if arguments.average else "weights"]
    gguf.write(arguments.out, metadata(state["shape"], words), tensors(state["shape"], weights))
    print(f"{arguments.out}: {arguments.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()

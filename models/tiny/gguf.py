"""Writes GGUF, version 3: just what this model needs, with llama.cpp's q8_0 quantisation."""
import struct

import numpy

ALIGNMENT = 32
F32, Q8_0 = 0, 8  # ggml's types of a tensor
NORMAL, CONTROL, DEFINED = 1, 3, 4  # tokenizer.ggml.token_type


def text(value):
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


class U32(int):
    """Python's integers do not say which of GGUF's they are; the rest of the values do."""


def value(content):
    """A value with its type in front."""
    if isinstance(content, bool):
        return struct.pack("<I?", 7, content)
    if isinstance(content, U32):
        return struct.pack("<II", 4, content)
    if isinstance(content, int):
        return struct.pack("<Ii", 5, content)
    if isinstance(content, float):
        return struct.pack("<If", 6, content)
    if isinstance(content, str):
        return struct.pack("<I", 8) + text(content)
    items = [value(item) for item in content]
    return struct.pack("<I", 9) + items[0][:4] + struct.pack("<Q", len(items)) + b"".join(item[4:] for item in items)


def quantised(matrix):
    """Blocks of 32: a half-precision scale, then 32 signed bytes."""
    blocks = matrix.reshape(-1, 32).astype(numpy.float32)
    scale = numpy.abs(blocks).max(axis=1, keepdims=True) / 127
    steps = numpy.divide(blocks, scale, out=numpy.zeros_like(blocks), where=scale > 0)
    rounded = (numpy.sign(steps) * numpy.floor(numpy.abs(steps) + 0.5)).astype(numpy.int8)
    return numpy.concatenate([scale.astype(numpy.float16).view(numpy.uint8), rounded.view(numpy.uint8)], axis=1).tobytes()


def padded(data):
    return data + bytes(-len(data) % ALIGNMENT)


def write(path, metadata, tensors):
    """Matrices are quantised, vectors kept whole."""
    infos, body = [], b""
    for name, tensor in tensors.items():
        kind = Q8_0 if tensor.ndim == 2 else F32
        infos.append(text(name) + struct.pack("<I", tensor.ndim) + struct.pack(f"<{tensor.ndim}Q", *reversed(tensor.shape))
                     + struct.pack("<IQ", kind, len(body)))
        body += padded(quantised(tensor) if kind == Q8_0 else tensor.astype(numpy.float32).tobytes())
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(metadata))
    head += b"".join(text(key) + value(content) for key, content in metadata.items()) + b"".join(infos)
    path.write_bytes(padded(head) + body)

"""Byte-level BPE whose merges join letters with letters (and a few pairs of JSON signs) and nothing else.

A space, a digit and any other sign is always a token of its own, so a name has the same tokens after a space, a quote or
a slash: copying, which is most of what this model does, depends on that. It equals llama.cpp's `deepseek-coder`
pre-tokenizer with these merges; the usual `gpt-2` one would split `'t` or `'s` off after a quote.

The fixed parts of a call and of the commands (`phrases`) are one token each: half as much to write and to learn, and the
shape of a call cannot go wrong.
"""
import collections
import json
import re

CONTROL = ["<|end|>", "<|tools|>", "<|chat|>", "<|user|>", "<|assistant|>", "<|tool|>"]
DEFINED = ["<tool_call>", "</tool_call>"]
JSON_PAIRS = [('"', ":"), ('"', ","), ("{", '"'), ('"', "}"), ('"}', "}"), ("}", "}")]
PIECES = re.compile(r"[A-Za-z]+|[0-9]|[!-#%-*,\-./:;?@\[\\\]_{}]+|.", re.S)
SPECIAL = re.compile("|".join(map(re.escape, CONTROL + DEFINED)))
NEVER = 1 << 30


def byte_characters():
    """GPT-2's spelling of the 256 bytes: printable ones as themselves, the rest from U+0100 on."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    spelled, extra = [], 0x100
    for byte in range(256):
        spelled.append(chr(byte if byte in printable else extra))
        extra += byte not in printable
    return spelled


def join(symbols, pair):
    """Every occurrence of `pair`, from the left, made one symbol."""
    joined, i = [], 0
    while i < len(symbols):
        if tuple(symbols[i:i + 2]) == pair:
            joined.append(symbols[i] + symbols[i + 1])
            i += 2
        else:
            joined.append(symbols[i])
            i += 1
    return joined


def learn(texts, count):
    """The `count` most useful merges of letters, after the fixed pairs of signs."""
    parts = (part for text in texts for part in SPECIAL.split(text))
    seen = collections.Counter(word for part in parts for word in re.findall("[A-Za-z]+", part))
    words, merges = [[list(word), times] for word, times in seen.items()], []
    while len(merges) < count:
        pairs = collections.Counter()
        for symbols, times in words:
            for pair in zip(symbols, symbols[1:]):
                pairs[pair] += times
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        merges.append(best)
        for word in words:
            word[0] = join(word[0], best)
    return JSON_PAIRS + merges


class Tokenizer:
    def __init__(self, merges, phrases):
        self.merges = [tuple(merge) for merge in merges]
        self.rank = {merge: i for i, merge in enumerate(self.merges)}
        self.bytes = byte_characters()
        self.tokens = self.bytes + [a + b for a, b in self.merges]
        self.plain = len(self.tokens)
        self.defined = DEFINED + phrases
        self.tokens += CONTROL + self.defined
        self.id = {token: i for i, token in enumerate(self.tokens)}
        self.whole = sorted(CONTROL + self.defined, key=lambda token: -len(token))  # the longest first, as llama.cpp does
        self.known = {}

    def piece(self, text):
        if text not in self.known:
            symbols = [self.bytes[byte] for byte in text.encode()]
            while len(symbols) > 1:
                best = min(zip(symbols, symbols[1:]), key=lambda pair: self.rank.get(pair, NEVER))
                if best not in self.rank:
                    break
                symbols = join(symbols, best)
            if len(self.known) > 200000:
                self.known.clear()
            self.known[text] = [self.id[symbol] for symbol in symbols]
        return self.known[text]

    def encode(self, text):
        parts = [text]
        for token in self.whole:
            if token in text:
                parts = [piece for part in parts for piece in self.without(token, part)]
        return [i for part in parts for i in (self.letters(part) if isinstance(part, str) else [part])]

    def without(self, token, text):
        """The text between the occurrences of a token that is matched whole, and the token's id in between. An id stays."""
        if not isinstance(text, str):
            return [text]
        between = text.split(token)
        return [piece for part in between for piece in (part, self.id[token])][:-1]

    def letters(self, text):
        return [i for found in PIECES.findall(text) for i in self.piece(found)]


def squeezed(text):
    """As the chat template does with results."""
    for _ in range(3):
        text = text.replace("    ", " ").replace("  ", " ")
    return text.strip()[:700]


def call(command):
    call = {"name": "bash", "arguments": {"command": command}}
    return "<tool_call>\n" + json.dumps(call, ensure_ascii=False) + "\n</tool_call>"


def rendered(dialogue):
    """[(text, whether the model has to write it)], spelled as the chat template spells it."""
    parts = [("<|tools|>" if dialogue.has_tool else "<|chat|>", False)]
    for role, text in dialogue.turns():
        if role == "user":
            parts.append(("<|user|>" + text + "<|end|>", False))
        elif role == "tool":
            parts.append(("<|tool|>" + squeezed(text) + "<|end|>", False))
        else:
            parts += [("<|assistant|>", False), ((call(text) if role == "call" else text) + "<|end|>", True)]
    return parts


def encoded(tokenizer, dialogue):
    """Token ids, and for each whether it is learnt."""
    ids, learnt = [], []
    for text, mine in rendered(dialogue):
        tokens = tokenizer.encode(text)
        ids += tokens
        learnt += [mine] * len(tokens)
    return ids, learnt

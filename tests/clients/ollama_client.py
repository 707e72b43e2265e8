#!/usr/bin/python3
"""Ollama's own client for JavaScript (tests/clients/ollama) against a daemon of the test's own, with a real llama.cpp.

Needs image llama, node, and the packages that scripts/setup-npm.sh installs; without them it is skipped (exit status 77).
"""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import lmsb
import npm
from hub import Hub
from model_clients import ModelClientTest
from models import make_model

FOLDER = lmsb.ROOT / "tests/clients/ollama"


class OllamaClient(ModelClientTest):
    folder = FOLDER
    models = {"embedder": ["--embedder"]}

    def test_every_method_that_is_claimed_does_what_it_should(self):
        make_model(self.directory / "small.gguf")
        with Hub({"small-Q4_K_M.gguf": (self.directory / "small.gguf").read_bytes()}) as hub:
            self.environment = hub.environment
            self.check()


if __name__ == "__main__":
    npm.main(FOLDER, oldest_node=(20, 0))

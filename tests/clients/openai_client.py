#!/usr/bin/python3
"""OpenAI's own client for JavaScript (tests/clients/openai) against a daemon of the test's own, with a real llama.cpp.

Needs image llama, node, and the packages that scripts/setup-npm.sh installs; without them it is skipped (exit status 77).
"""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import lmsb
import npm
from model_clients import ModelClientTest

FOLDER = lmsb.ROOT / "tests/clients/openai"


class OpenAiClient(ModelClientTest):
    folder = FOLDER
    models = {"embedder": ["--embedder"]}

    def test_every_method_that_is_claimed_does_what_it_should(self):
        self.check()


if __name__ == "__main__":
    npm.main(FOLDER, oldest_node=(20, 0))

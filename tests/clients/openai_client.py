#!/usr/bin/python3
"""OpenAI's own client for JavaScript (tests/clients/openai) against a daemon of the test's own, whose models are the
demonstration model in a real llama.cpp, and a fixture for embeddings.

Needs image llama, node, and the packages that scripts/setup-npm.sh installs; without them it is skipped (exit status 77).
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import lmsb
import npm
from models import ModelTest

FOLDER = lmsb.ROOT / "tests/clients/openai"


class OpenAiClient(ModelTest):
    image = "llama"

    def test_every_method_that_is_claimed_does_what_it_should(self):
        work = pathlib.Path(tempfile.mkdtemp(prefix="lmsb-openai-"))
        self.addCleanup(shutil.rmtree, work)
        for name in ("package.json", "models.test.mjs"):
            shutil.copy(FOLDER / name, work)
        (work / "node_modules").symlink_to(npm.modules(FOLDER))
        with lmsb.Daemon(data_dir=self.data) as daemon:
            self.pull(daemon, "--embedder", name="embedder.gguf")
            done = subprocess.run(["node", "--test", "--test-reporter=tap"], cwd=work, capture_output=True, text=True, timeout=300, check=False,
                                  env={**os.environ, "LM_SANDBOX_HOST": f"http://{daemon.host}:{daemon.port}"})
        self.assertEqual(done.returncode, 0, done.stdout[-5000:] + done.stderr[-1000:])
        self.assertIn("# pass 14\n", done.stdout)


if __name__ == "__main__":
    npm.main(FOLDER, oldest_node=(20, 0))

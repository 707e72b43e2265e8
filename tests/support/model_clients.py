"""What the tests share that run a model API's own client for JavaScript against a daemon of the test's own."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import lmsb
import npm
from models import ModelTest


class ModelClientTest(ModelTest):
    """The models are the demonstration model in a real llama.cpp, and those that `models` names, with the flags of the fixture."""
    image = "llama"
    folder = None  # of tests/clients, with models.test.mjs and what it needs pinned
    models = {}
    refused = set()  # methods that are called to see that they are refused
    environment = {}  # of the daemon

    def check(self):
        self.check_table()
        work = pathlib.Path(tempfile.mkdtemp(prefix=f"lmsb-{self.folder.name}-"))
        self.addCleanup(shutil.rmtree, work)
        for name in ("package.json", "models.test.mjs"):
            shutil.copy(self.folder / name, work)
        (work / "node_modules").symlink_to(npm.modules(self.folder))
        with lmsb.Daemon(data_dir=self.data, env=self.environment) as daemon:
            for name, flags in self.models.items():
                self.pull(daemon, *flags, name=f"{name}.gguf")
            # As its user does: by the defaults of the client alone, where it has some.
            words = f'eval "$("{lmsb.BIN}/lm-sandbox" env {self.folder.name})" && exec node --test --test-reporter=tap'
            done = subprocess.run(["sh", "-c", words], cwd=work, capture_output=True, text=True, timeout=300, check=False,
                                  env={**os.environ, "LM_SANDBOX_HOST": f"unix:{daemon.run_dir}/api.sock"})
        self.assertEqual(done.returncode, 0, done.stdout[-5000:] + done.stderr[-1000:])
        tests = len(re.findall(r"^test\(", (self.folder / "models.test.mjs").read_text(), re.M))
        self.assertIn(f"# pass {tests}\n", done.stdout)

    def check_table(self):
        """docs/compatibility.md says of the pinned version what the tests call."""
        (name, version), = json.loads((self.folder / "package.json").read_text())["dependencies"].items()
        page = (lmsb.ROOT / "docs/compatibility.md").read_text()
        self.assertIn(f"## {name} {version}\n", page)
        section = page.split(f"## {name} {version}\n")[1].split("\n## ")[0]
        passes = set(re.findall(r"^\| `([\w.]+)` \| passes \|", section, re.M))
        called = set(re.findall(r"\bclient\.([\w.]+)\(", (self.folder / "models.test.mjs").read_text()))
        self.assertEqual(passes, called - self.refused)

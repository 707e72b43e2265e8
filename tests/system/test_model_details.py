#!/usr/bin/python3
"""What is said of models, held against what a real llama-server says of them; their removal, loaded or not; and damaged files."""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import lmsb
from models import ModelTest, make_model

MIB = 1024 * 1024
LONG = {"LM_SANDBOX_MODEL__MAX_TOKENS": "1000000", "LM_SANDBOX_MODEL__CONTEXT": "262144"}
SERVER = ["llama-server", "-m", "/m/model.gguf", "--host", "/tmp/x.sock", "--parallel", "2", "--no-warmup", "--fit", "off",
          "--offline", "--log-verbosity", "4",
          "--no-repack"]  # some processors want weights in another order, which takes other room: docs/user/models.md


def socket_of(daemon):
    return f"unix:{daemon.run_dir}/api.sock"


def lm_sandbox(daemon, *words):
    return subprocess.run([lmsb.BIN / "lm-sandbox", *words, "--host", socket_of(daemon)], capture_output=True, text=True,
                          timeout=120)


class Details(ModelTest):
    image = "llama"

    def server_log(self, daemon, model, context):
        """What llama-server says until it has loaded the model, in a sandbox of its image."""
        place = pathlib.Path(tempfile.mkdtemp(dir=self.directory))
        place.chmod(0o755)
        (place / "model.gguf").write_bytes(model)
        words = ["run", "--host", socket_of(daemon), "-v", f"{place}:/m:ro", "llama", *SERVER, "-c", str(context)]
        log = []
        with subprocess.Popen([lmsb.BIN / "lm-sandbox", *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True) as running:
            for line in running.stdout:
                log.append(line)
                if "model loaded" in line:
                    running.terminate()
        log = "".join(log)
        self.assertIn("model loaded", log)
        return log

    def reported(self, log, what):
        """MiB, of all buffers of that kind."""
        found = re.findall(rf"{what} buffer size = +([0-9.]+) MiB", log)
        self.assertTrue(found, log)
        return sum(map(float, found))

    def assert_as_reported(self, details, row, log):
        self.assertAlmostEqual(row["weights_bytes"] / MIB, self.reported(log, "model"), delta=0.05)
        self.assertAlmostEqual(row["cache_bytes"]["f16"] / MIB, self.reported(log, "KV"), delta=0.02)
        compute = self.reported(log, "compute")
        self.assertGreaterEqual(row["compute_bytes"] / MIB, compute)
        self.assertLessEqual(row["compute_bytes"] / MIB, 1.5 * compute + 2.5)
        for key, said in (("context_length", "n_ctx_train"), ("embedding_length", "n_embd"), ("layers", "n_layer"),
                          ("vocabulary", "n_vocab"), ("feed_forward_length", "n_ff")):
            self.assertEqual(int(re.search(rf"{said} += (\d+)", log)[1]), details[key], key)

    def test_the_estimate_is_what_llama_server_reports(self):
        with lmsb.Daemon(data_dir=self.data) as daemon:
            self.assertEqual(self.pull(daemon).status, 201)
            files = {"tiny": (self.directory / "tiny.gguf", [4096, 8192]),
                     "demonstration": (lmsb.ROOT / "models/tiny/tiny.gguf", [4096])}
            for name, (path, contexts) in files.items():
                details = daemon.request("GET", f"/v1/models/{name}/details").json()
                self.assertEqual([row["context"] for row in details["memory"]], contexts)
                for row in details["memory"]:
                    self.assert_as_reported(details, row, self.server_log(daemon, path.read_bytes(), row["context"]))

    def test_a_runner_takes_no_more_than_is_estimated(self):
        with lmsb.Daemon(data_dir=self.data) as daemon:
            self.assertEqual(daemon.post("/llama-cpp/", {"cmd": "What is AI?"}).status, 200)
            status = pathlib.Path(f"/proc/{self.runner()}/status").read_text()
            taken = int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024
            row = daemon.request("GET", "/v1/models/demonstration/details").json()["memory"][0]
            self.assertEqual(row["context"], 4096)
            self.assertLess(taken, row["total_bytes"])
            self.assertGreater(4 * taken, row["total_bytes"])

    def test_the_cli_shows_and_removes_a_model(self):
        with lmsb.Daemon(data_dir=self.data) as daemon:
            self.pull(daemon, "--chat-template")
            shown = lm_sandbox(daemon, "model", "show", "tiny")
            self.assertEqual((shown.returncode, shown.stderr), (0, ""))
            for line in ("Architecture   llama", "Parameters     115K", "Quantisation   F32", "Context        8192 tokens",
                         "Chat template  yes", "for 4096 tokens"):
                self.assertIn(line, shown.stdout)
            details = json.loads(lm_sandbox(daemon, "model", "show", "--json", "tiny").stdout)
            self.assertEqual((details["parameters"], details["kv_heads"]), (115392, [4, 4]))
            removed = lm_sandbox(daemon, "model", "rm", "tiny", "none")
            self.assertEqual((removed.returncode, removed.stdout), (1, "tiny\n"))
            self.assertIn("none", removed.stderr)
            self.assertEqual(lm_sandbox(daemon, "model", "rm", "-f", "none").returncode, 0)
            self.assertEqual(daemon.request("GET", "/v1/models/tiny/details").status, 404)
            kept = lm_sandbox(daemon, "model", "rm", "demonstration")
            self.assertEqual(kept.returncode, 1)
            self.assertIn("part of the program", kept.stderr)
        self.assertFalse((self.data / "models/tiny").exists())

    def test_a_loaded_model_is_let_go_when_it_has_answered(self):
        with lmsb.Daemon(data_dir=self.data, env=LONG) as daemon:
            self.pull(daemon, "--endless")
            client = daemon.connection(timeout=150)
            client.request("POST", "/v1/completions", json.dumps({"model": "tiny", "prompt": "x", "stream": True}),
                           {"Content-Type": "application/json"})
            answer = client.getresponse()
            self.assertTrue(answer.readline().startswith(b"data: "))
            runner = self.runner()
            self.assertTrue(daemon.request("GET", "/v1/models/tiny/details").json()["loaded"])
            removed = daemon.request("DELETE", "/v1/models/tiny")
            self.assertEqual((removed.status, removed.json()), (200, {"id": "tiny", "object": "model", "deleted": True}))
            self.assertEqual(daemon.post("/v1/completions", {"model": "tiny", "prompt": "x"}).status, 404)
            seen = sum(answer.readline().startswith(b"data: {") for _ in range(1000))
            self.assertGreaterEqual(seen, 400)  # an event, and an empty line
            self.assertTrue(os.path.exists(f"/proc/{runner}"))
            client.close()
            answer.close()
            lmsb.wait_until(lambda: not os.path.exists(f"/proc/{runner}"), "the runner's end")

    def test_a_removed_name_can_be_pulled_again_and_answers(self):
        with lmsb.Daemon(data_dir=self.data) as daemon:
            for _ in range(2):
                self.assertEqual(self.pull(daemon).status, 201)
                self.assertEqual(daemon.post("/v1/completions", {"model": "tiny", "prompt": "x", "max_tokens": 4}).status, 200)
                self.assertEqual(daemon.request("DELETE", "/v1/models/tiny").status, 200)


class Damaged(ModelTest):
    def damaged(self):
        """Ways to damage a model file, and what the refusal says."""
        whole = self.directory / "whole.gguf"
        make_model(whole)
        model = whole.read_bytes()
        heads = model.index(b"llama.attention.head_count") + len("llama.attention.head_count") + 4
        layers = model.index(b"llama.block_count") + len("llama.block_count") + 4
        return {
            "cut off in its weights": (model[:-1000], "it is cut off: its tensor \"output.weight\" ends at octet"),
            "cut off in its header": (model[:5000], "damaged or cut off"),
            "of too many layers": (model[:layers] + b"\xff\xff\xff\x7f" + model[layers + 4:], "llama.block_count"),
            "of too many heads": (model[:heads] + b"\xff\xff\xff\x7f" + model[heads + 4:], "llama.attention.head_count"),
            "of too many tensors": (model[:8] + b"\xff" * 8 + model[16:], "damaged or cut off"),
            "of too many pairs": (model[:16] + b"\xff" * 8 + model[24:], "damaged or cut off"),
            "something else": (b"\x7fELF" + model[4:], "does not begin with GGUF"),
        }

    def test_files_are_refused_with_what_is_wrong_and_harm_nobody(self):
        with lmsb.Daemon(data_dir=self.data) as daemon:
            for name, (octets, why) in self.damaged().items():
                with self.subTest(name):
                    path = self.directory / "damaged.gguf"
                    path.write_bytes(octets)
                    answer = daemon.post("/v1/models/pull", {"source": str(path)})
                    self.assertEqual(answer.status, 400, answer.body)
                    self.assertEqual(answer.json()["error"]["code"], "not_a_model")
                    self.assertIn(why, answer.json()["error"]["message"])
            self.assertEqual([m["id"] for m in daemon.request("GET", "/v1/models").json()["data"]], ["demonstration"])

    def test_one_that_is_truncated_in_the_store_is_said_to_be_and_can_be_removed(self):
        with lmsb.Daemon(data_dir=self.data) as daemon:
            self.assertEqual(self.pull(daemon).status, 201)
            os.truncate(self.data / "models/tiny/model.gguf", 100_000)
            shown = daemon.request("GET", "/v1/models/tiny/details")
            self.assertEqual((shown.status, shown.json()["error"]["code"]), (503, "model_damaged"))
            self.assertIn("it is cut off", shown.json()["error"]["message"])
            self.assertEqual(daemon.request("DELETE", "/v1/models/tiny").status, 200)
            self.assertEqual(daemon.request("GET", "/v1/models/tiny/details").status, 404)


if __name__ == "__main__":
    lmsb.main()

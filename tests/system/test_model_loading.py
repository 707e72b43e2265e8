#!/usr/bin/python3
"""Which models are loaded, and until when: by name, pinned, for a time; with a real llama-server."""
import datetime
import http.client
import json
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import lmsb
from models import ModelTest

ONE_AT_A_TIME = {"LM_SANDBOX_MODEL__MAX_LOADED": "1"}


class Loading(ModelTest):
    image = "llama"

    def model(self, daemon, name="tiny"):
        return daemon.request("GET", f"/v1/models/{name}").json()

    def load(self, daemon, name="tiny", **how):
        answer = daemon.post(f"/v1/models/{name}/load", how)
        self.assertEqual(answer.status, 200, answer.body)
        return answer.json()

    def ask(self, daemon, name="tiny", **more):
        return daemon.post("/v1/completions", {"model": name, "prompt": "a", "max_tokens": 2, **more})

    def log_of(self, daemon):
        return (daemon.dir / "log").read_text()

    def wait_until_gone(self, daemon, name="tiny"):
        lmsb.wait_until(lambda: self.model(daemon, name)["runners"] == [], "its end")

    def cli(self, daemon, *words, of="model", **variables):
        env = {**os.environ, "LM_SANDBOX_HOST": f"unix:{daemon.run_dir}/api.sock", **variables}
        return subprocess.run([lmsb.BIN / "lm-sandbox", of, *words], env=env, capture_output=True, text=True,
                              timeout=120, stdin=subprocess.DEVNULL)

    def test_a_model_is_loaded_before_it_is_asked_and_let_go_by_its_name(self):
        with lmsb.Daemon(data_dir=self.data) as daemon:
            self.pull(daemon)
            self.assertEqual(self.model(daemon)["runners"], [])
            loaded = self.load(daemon)
            runner, = loaded["runners"]
            self.assertEqual((loaded["loaded"], runner["state"], runner["work"], runner["requests"], runner["pinned"],
                              runner["ends_at"]), (True, "loaded", "answers", 0, False, None))
            self.assertGreater(runner["memory_bytes"], 1 << 30)
            process = self.runner()
            self.assertEqual(self.ask(daemon).status, 200)
            self.assertEqual(self.runner(), process)
            let_go = daemon.request("POST", "/v1/models/tiny/unload").json()
            self.assertEqual((let_go["loaded"], let_go["runners"]), (False, []))
            lmsb.wait_until(lambda: self.runner() is None, "the end of its process")
            self.assertEqual(daemon.request("POST", "/v1/models/tiny/unload").status, 200)
            for what in ("load", "unload"):
                answer = daemon.request("POST", f"/v1/models/none/{what}")
                self.assertEqual((answer.status, answer.json()["error"]["code"]), (404, "model_not_found"))

    def test_an_administrator_alone_pins_and_unpins(self):
        with lmsb.Daemon(data_dir=self.data) as daemon:
            self.pull(daemon)
            key = daemon.post("/v1/keys", {"scopes": ["models"]}).json()["key"]

            def asked(what, body=None):
                answer = daemon.request("POST", f"/v1/models/tiny/{what}", body, headers={"Authorization": f"Bearer {key}"})
                return answer.status, answer.json().get("error", {}).get("code")

            self.assertEqual(asked("load", {"pin": True}), (403, "permission_denied"))
            self.assertEqual(asked("load", {"keep_alive_ms": 60000}), (200, None))
            self.assertEqual(asked("unload"), (200, None))
            self.load(daemon, pin=True)
            self.assertEqual(asked("unload"), (403, "permission_denied"))
            self.assertEqual(asked("load", {"pin": False}), (403, "permission_denied"))
            self.assertTrue(self.model(daemon)["runners"][0]["pinned"])
            self.assertEqual(daemon.request("POST", "/v1/models/tiny/unload").status, 200)

    def test_the_command_line_does_the_same(self):
        with lmsb.Daemon(data_dir=self.data) as daemon:
            self.pull(daemon)
            self.assertEqual(self.cli(daemon, "ps").stdout.split(), ["MODEL", "WORK", "STATE", "REQUESTS", "MEMORY", "UNTIL"])
            done = self.cli(daemon, "load", "--keep-alive", "30m", "tiny")
            self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "tiny\n", ""))
            self.assertRegex(self.cli(daemon, "ps").stdout, r"(?m)^tiny +answers +loaded +0 +[0-9.]+ GiB +20\d\d-\S+Z$")
            self.cli(daemon, "load", "--pin", "tiny")
            self.assertRegex(self.cli(daemon, "ps").stdout, r"(?m)^tiny .* pinned$")
            self.cli(daemon, "load", "--unpin", "--keep-alive", "none", "tiny")
            self.assertRegex(self.cli(daemon, "ps").stdout, r"(?m)^tiny .* its room is needed$")
            listed, = json.loads(self.cli(daemon, "ps", "--json").stdout)["data"]
            self.assertEqual(listed["runners"], self.model(daemon)["runners"])
            self.assertEqual(self.cli(daemon, "load", "--pin", "--unpin", "tiny").returncode, 2)
            done = self.cli(daemon, "unload", "none", "tiny")
            self.assertEqual((done.returncode, done.stdout), (1, "tiny\n"))
            self.assertIn("none", done.stderr)
            self.assertEqual(self.model(daemon)["runners"], [])

    def test_other_programs_are_led_here_and_no_key_is_printed(self):
        with lmsb.Daemon(data_dir=self.data) as daemon:
            url = f"http://{daemon.host}:{daemon.port}"
            for variables, key in (({}, "lm-sandbox"), ({"LM_SANDBOX_API_KEY": "a secret"}, "a secret")):
                printed = self.cli(daemon, "openai", of="env", **variables).stdout
                self.assertNotIn("secret", printed)
                words = printed + 'echo "$OPENAI_BASE_URL $OPENAI_API_KEY"'
                self.assertEqual(subprocess.run(["sh", "-c", words], env=variables, capture_output=True, text=True).stdout, f"{url}/v1 {key}\n")
            self.assertEqual(json.loads(self.cli(daemon, "anthropic", "--json", of="env").stdout), {"ANTHROPIC_BASE_URL": url})
            self.assertEqual(self.cli(daemon, "ollama", of="env").stdout, f"export OLLAMA_HOST='{url}'\n")
            for words in ((), ("e2b",), ("openai", "ollama")):
                self.assertEqual(self.cli(daemon, *words, of="env").returncode, 2)

    def test_a_pinned_one_keeps_its_room(self):
        with lmsb.Daemon(data_dir=self.data, env=ONE_AT_A_TIME) as daemon:
            self.pull(daemon)
            self.pull(daemon, name="other.gguf")
            self.load(daemon, pin=True)
            process = self.runner()
            busy = self.ask(daemon, "other")
            self.assertEqual((busy.status, busy.json()["error"]["code"]), (429, "models_busy"))
            self.assertEqual(self.runner(), process)
            self.assertFalse(self.load(daemon, pin=False)["runners"][0]["pinned"])
            self.assertEqual(self.ask(daemon, "other").status, 200)
            self.assertEqual(self.model(daemon)["runners"], [])

    def test_those_of_the_configuration_are_loaded_at_the_start(self):
        with lmsb.Daemon(data_dir=self.data) as daemon:
            self.pull(daemon)
        with lmsb.Daemon(data_dir=self.data, env={"LM_SANDBOX_MODEL__PINNED": "none,tiny"}) as daemon:
            lmsb.wait_until(lambda: self.model(daemon)["loaded"], "the model that nobody asked for")
            self.assertTrue(self.model(daemon)["runners"][0]["pinned"])
            self.assertIn("model.not_pinned", self.log_of(daemon))

    def test_it_goes_when_its_time_without_work_is_over(self):
        with lmsb.Daemon(data_dir=self.data, env={"LM_SANDBOX_MODEL__KEEP_ALIVE_MS": "300000"}) as daemon:
            self.pull(daemon)
            self.assertEqual(self.ask(daemon).status, 200)
            ends = datetime.datetime.fromisoformat(self.model(daemon)["runners"][0]["ends_at"].replace("Z", "+00:00"))
            left = ends - datetime.datetime.now(datetime.timezone.utc)
            self.assertLess(abs(left - datetime.timedelta(minutes=5)), datetime.timedelta(minutes=1))
            self.load(daemon, keep_alive_ms=200)
            self.wait_until_gone(daemon)
            self.load(daemon)  # as the configuration says again
            self.assertIsNotNone(self.model(daemon)["runners"][0]["ends_at"])

    def test_an_answer_is_finished_however_short_its_time_is(self):
        long = {"LM_SANDBOX_MODEL__MAX_TOKENS": "1000000", "LM_SANDBOX_MODEL__CONTEXT": "262144"}
        with lmsb.Daemon(data_dir=self.data, env=long) as daemon:
            self.pull(daemon, "--endless")
            connection = http.client.HTTPConnection(daemon.host, daemon.port, timeout=60)
            self.addCleanup(connection.close)
            body = {"model": "tiny", "messages": [{"role": "user", "content": "a"}], "keep_alive": 0}
            connection.request("POST", "/api/chat", json.dumps(body), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            for _ in range(50):
                self.assertFalse(json.loads(answer.readline())["done"])
            runner, = self.model(daemon)["runners"]
            self.assertEqual((runner["requests"], runner["ends_at"]), (1, None))
            connection.close()
            answer.close()
            self.wait_until_gone(daemon)

    def test_ollamas_clients_say_how_long_it_stays(self):
        with lmsb.Daemon(data_dir=self.data) as daemon:
            self.pull(daemon)
            def generate(**more):
                answer = daemon.post("/api/generate", {"model": "tiny", "stream": False, "options": {"num_predict": 2}, **more})
                self.assertEqual(answer.status, 200, answer.body)
                return answer.json()
            self.assertEqual(generate(keep_alive=0)["done_reason"], "unload")  # it is not loaded for that
            self.assertNotIn("model.loaded", self.log_of(daemon))
            self.assertEqual(generate(keep_alive="1h")["done_reason"], "load")
            running, = daemon.request("GET", "/api/ps").json()["models"]
            ends = datetime.datetime.fromisoformat(running["expires_at"].replace("Z", "+00:00"))
            self.assertGreater(ends, datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=50))
            self.assertTrue(generate(prompt="a", keep_alive=0)["done"])
            self.wait_until_gone(daemon)
            self.assertEqual(generate(prompt="a", keep_alive=-1)["done_reason"], "length")
            self.assertEqual(daemon.request("GET", "/api/ps").json()["models"][0]["expires_at"], "9999-12-31T23:59:59Z")
            self.assertEqual(generate(keep_alive=0)["done_reason"], "unload")
            self.assertEqual(daemon.request("GET", "/api/ps").json()["models"], [])


if __name__ == "__main__":
    lmsb.main()

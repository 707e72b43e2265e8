#!/usr/bin/python3
"""What the settings say is done, refused or said to be still to come; SIGHUP takes up new ones; who may come in."""
import http.server
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import lmsb

NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


def curl(daemon, *flags, user=NOBODY):
    """POST /run-bash/ by curl over TCP, as that user; returns the status and the answer."""
    done = subprocess.run([*user, "curl", "--silent", "--show-error", "--write-out", "\n%{http_code}", *flags, "-H",
                           "Content-Type: application/json", "-d", '{"cmd":"whoami"}',
                           f"http://{daemon.host}:{daemon.port}/run-bash/"], capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise AssertionError(done.stderr)
    answer, status = done.stdout.rsplit("\n", 1)
    return int(status), json.loads(answer)


class SettingsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        lmsb.require_root()

    def setUp(self):
        self.before = lmsb.leftovers()
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="lmsb-settings-"))  # for root alone

    def tearDown(self):
        shutil.rmtree(self.dir)
        lmsb.wait_until_clean(self.before)

    def file(self, name, text):
        """Written whole, then renamed: as editors and configuration tools do."""
        draft = self.dir / (name + ".draft")
        draft.write_text(text)
        draft.chmod(0o600)
        draft.rename(self.dir / name)
        return str(self.dir / name)

    def default_image(self, daemon):
        return daemon.request("GET", "/v1/info").json()["default_image"]


class Retention(SettingsTest):
    def test_keeps_of_output_and_audit_what_it_says_and_no_more(self):
        env = {"LM_SANDBOX_RETENTION__OUTPUT_SIZE": "1m", "LM_SANDBOX_RETENTION__AUDIT_SIZE": "4096",
               "LM_SANDBOX_RETENTION__AUDIT_FILES": "2"}
        with lmsb.Daemon(env=env) as daemon:
            sandbox = daemon.post("/v1/sandboxes", {"name": "box"}).json()["id"]
            result = daemon.post(f"/v1/sandboxes/{sandbox}/exec", {"cmd": "head -c 3000000 /dev/zero"}).json()
            self.assertIn("1m", result["hint"])
            size = daemon.post(f"/v1/sandboxes/{sandbox}/exec", {"cmd": ["stat", "-c", "%s", result["truncated"]["spill_path"]]})
            self.assertEqual(size.json()["stdout"], f"{1 << 20}\n")
            process = daemon.post(f"/v1/sandboxes/{sandbox}/exec", {"cmd": "head -c 3000000 /dev/zero", "detach": True}).json()
            at = f"/v1/sandboxes/{sandbox}/processes/{process['id']}"
            daemon.request("GET", at + "?wait_ms=30000")
            piece = daemon.request("GET", f"{at}/output?stream=stdout&offset={1 << 20}").json()
            self.assertEqual(piece["offset"], 3_000_000 - 262_144, "what lies between is lost")
            for number in range(60):
                daemon.request("PATCH", f"/v1/sandboxes/{sandbox}", {"labels": {"n": str(number)}})
            audit = pathlib.Path(daemon.data_dir) / "audit"
            self.assertEqual({file.name for file in audit.iterdir()}, {"audit.log", "audit.log.1", "audit.log.2"})
            self.assertLess(sum(file.stat().st_size for file in audit.iterdir()), 3 * 4096 + 1024)

    def test_keeps_nothing_where_nothing_is_wanted(self):
        with lmsb.Daemon(env={"LM_SANDBOX_RETENTION__OUTPUT_SIZE": "0"}) as daemon:
            sandbox = daemon.post("/v1/sandboxes", {"name": "box"}).json()["id"]
            result = daemon.post(f"/v1/sandboxes/{sandbox}/exec", {"cmd": "head -c 3000000 /dev/zero"}).json()
            self.assertIsNone(result["truncated"]["spill_path"])
            left = daemon.post(f"/v1/sandboxes/{sandbox}/exec", {"cmd": "ls -A /tmp"}).json()["stdout"]
            self.assertEqual(left, "")


class Doors(SettingsTest):
    def test_on_loopback_root_is_served_and_an_ordinary_user_hears_what_to_do(self):
        with lmsb.Daemon() as daemon:
            status, answer = curl(daemon, user=[])
            self.assertEqual((status, answer["output"]), (200, "user\n"))
            status, answer = curl(daemon)
            self.assertEqual(status, 401)
            for part in ("needs an API key", "Authorization: Bearer KEY", "sudo", "usermod -aG lm-sandbox $USER"):
                self.assertIn(part, answer["detail"])

    def test_a_key_in_a_file_that_root_alone_may_read_opens(self):
        with lmsb.Daemon(env={"LM_SANDBOX_AUTH__KEY_FILE": self.file("keys", "k1\n")}) as daemon:
            self.assertEqual(curl(daemon, "-H", "X-API-Key: k1")[0], 200)
            self.assertEqual(curl(daemon, "-H", "X-API-Key: k2")[0], 401)


class Hangup(SettingsTest):
    """SIGHUP, to the parent as a service manager sends it, or to the daemon itself."""

    def reload(self, daemon, pid, event="settings.reloaded"):
        before = daemon.log_text().count(event)
        os.kill(pid, signal.SIGHUP)
        lmsb.wait_until(lambda: daemon.log_text().count(event) > before, event)

    def test_takes_up_changed_keys_and_ends_nothing(self):
        keys = self.file("keys", "k1\n")
        with lmsb.Daemon(env={"LM_SANDBOX_AUTH__KEY_FILE": keys}) as daemon:
            sandbox = daemon.post("/v1/sandboxes", {}).json()["id"]
            for pid, old, new in ((daemon.process.pid, "k1", "k2"), (daemon.daemon_pid(), "k2", "k3")):
                self.assertEqual(curl(daemon, "-H", f"X-API-Key: {old}")[0], 200)
                self.file("keys", new + "\n")
                self.reload(daemon, pid)
                self.assertEqual(curl(daemon, "-H", f"X-API-Key: {new}")[0], 200)
                self.assertEqual(curl(daemon, "-H", f"X-API-Key: {old}")[0], 401)
            self.assertIsNone(daemon.process.poll())
            self.assertEqual(daemon.request("GET", f"/v1/sandboxes/{sandbox}").json()["state"], "running")
            self.assertNotIn("k3", daemon.log_text())

    def test_takes_up_doors_and_policy_from_the_configuration_file(self):
        config = self.file("config.toml", "")
        with lmsb.Daemon("--config", config) as daemon:
            ask = {"cmd": "true", "limits": {"processes": 100}}
            self.assertEqual(daemon.post("/v1/run", ask).status, 200)
            self.file("config.toml", "allow_host = ['sandbox.lan']\n[policy]\nprocesses = 50\n")
            self.reload(daemon, daemon.process.pid)
            self.assertEqual(daemon.post("/v1/run", ask).status, 403)
            self.assertEqual(daemon.request("GET", "/healthz", headers={"Host": "sandbox.lan"}).status, 200)
            self.file("config.toml", "[auth]\nrequired = true\n")
            self.reload(daemon, daemon.process.pid)
            self.assertEqual(daemon.request("GET", "/v1/info").status, 401)

    def test_names_what_only_a_start_takes_up(self):
        config = self.file("config.toml", "")
        with lmsb.Daemon("--config", config) as daemon:
            self.file("config.toml", "[pool]\nsize = 3\n")
            self.reload(daemon, daemon.process.pid)
            self.assertRegex(daemon.log_text(), r"settings\.need_restart.*pool\.size")

    def test_leaves_all_as_it_was_when_the_new_settings_are_wrong(self):
        keys = self.file("keys", "k1\n")
        config = self.file("config.toml", f"[auth]\nkey_file = '{keys}'\n")
        with lmsb.Daemon("--config", config) as daemon:
            for broken, why in (("keys", "holds no key"), ("config.toml", "is no TOML")):
                self.file(broken, "# nothing\n" if broken == "keys" else "= is no TOML\n")
                self.reload(daemon, daemon.process.pid, "settings.reload_failed")
                self.assertEqual(curl(daemon, "-H", "X-API-Key: k1")[0], 200)
                self.file("keys", "k1\n")
            self.assertIn("holds no key", daemon.log_text())
            self.assertIn(config + ":1:", daemon.log_text())
            self.assertIsNone(daemon.process.poll())

    def test_says_that_a_new_file_of_root_alone_needs_a_restart(self):
        config = self.file("config.toml", "")
        with lmsb.Daemon("--config", config) as daemon:
            self.file("config.toml", f"[auth]\nkey_file = '{self.file('keys', 'k1' + chr(10))}'\n")
            self.reload(daemon, daemon.process.pid, "settings.reload_failed")
            self.assertRegex(daemon.log_text(), r"auth\.key_file: .*Permission denied.*needs a restart")

    def test_never_takes_the_last_key_from_a_daemon_beyond_loopback(self):
        lmsb.require_image("base")
        config = self.file("config.toml", f"[auth]\nkey_file = '{self.file('keys', 'k1' + chr(10))}'\n")
        flags = ("--config", config, "--listen", "0.0.0.0:0", "--default-image", "base")
        with lmsb.Daemon(*flags, data_dir=lmsb.TEST_DATA) as daemon:
            self.file("config.toml", "")
            self.reload(daemon, daemon.process.pid, "settings.reload_failed")
            self.assertIn("needs an API key", daemon.log_text())
            self.assertEqual(curl(daemon, "-H", "X-API-Key: k1")[0], 200)


class DefaultImage(SettingsTest):
    def data_with_base(self, name):
        lmsb.require_image("base")
        data = pathlib.Path(tempfile.mkdtemp(prefix="lmsb-image-", dir=lmsb.TEST_DATA))
        self.addCleanup(shutil.rmtree, data)
        data.chmod(0o755)
        (data / "images").mkdir()
        subprocess.run(["cp", "-al", lmsb.TEST_DATA / "images/base", data / "images" / name], check=True)
        return data

    def test_is_fixed_at_the_first_start(self):
        data = self.data_with_base(".not-yet")
        for _ in range(2):
            with lmsb.Daemon(data_dir=data, is_private=False) as daemon:
                self.assertEqual(self.default_image(daemon), "host")
            self.assertEqual((data / "default-image").read_text(), "host\n")
            if (data / "images/.not-yet").exists():
                (data / "images/.not-yet").rename(data / "images/base")  # made after the first start

    def test_is_base_where_that_was_made_and_its_absence_later_is_named(self):
        data = self.data_with_base("base")
        with lmsb.Daemon(data_dir=data, is_private=False) as daemon:
            self.assertEqual(self.default_image(daemon), "base")
            self.assertEqual(daemon.post("/v1/sandboxes", {}).json()["image"], "base")
        shutil.rmtree(data / "images/base")
        with self.assertRaisesRegex(RuntimeError, "since the first start.*base.*does not exist.*image build base.*--default-image"):
            lmsb.Daemon(data_dir=data, is_private=False).start()

    def test_is_never_the_machines_own_beyond_loopback(self):
        with self.assertRaisesRegex(RuntimeError, "image host.*beyond loopback.*image build base"):
            lmsb.Daemon("--listen", "0.0.0.0:0", env={"LM_SANDBOX_AUTH__KEY_SHA256": "0" * 64}).start()

    def test_of_a_private_daemon_is_no_choice_for_later(self):
        if os.path.exists("/run/lm-sandbox/api.sock"):
            self.skipTest("a daemon runs on this machine")
        self.dir.chmod(0o755)
        done = subprocess.run([lmsb.BIN / "lm-sandbox", "run", "--data-dir", self.dir / "data", "--", "whoami"],
                              capture_output=True, text=True, timeout=120,
                              env={k: v for k, v in os.environ.items() if not k.startswith("LM_SANDBOX_")})
        self.assertEqual(done.stdout, "user\n", done.stderr)
        self.assertFalse((self.dir / "data/default-image").exists())


class RunBash(SettingsTest):
    def test_runs_in_the_kept_sandbox_that_the_settings_name(self):
        with lmsb.Daemon(env={"LM_SANDBOX_RUN_BASH__SANDBOX": "shell", "LM_SANDBOX_AUTH__KEY_SHA256": "0" * 64}) as daemon:
            first = daemon.post("/run-bash/", {"cmd": "echo kept > ~/f; echo made"}).json()
            second = daemon.post("/run-bash/", {"cmd": "cat ~/f"}).json()
            self.assertEqual((first["output"], second["output"]), ("made\n", "kept\n"))
            self.assertEqual(first["sandbox_id"], second["sandbox_id"])
            shown = daemon.request("GET", "/v1/sandboxes/shell").json()
            self.assertEqual((shown["id"], shown["name"]), (first["sandbox_id"], "shell"))
            self.assertEqual(daemon.request("DELETE", "/v1/sandboxes/shell").status, 204)
            third = daemon.post("/run-bash/", {"cmd": "cat ~/f"}).json()  # made anew
            self.assertNotEqual((third["exit_code"], third["sandbox_id"]), (0, first["sandbox_id"]))

    def test_does_not_run_in_somebody_elses_sandbox_of_that_name(self):
        with lmsb.Daemon(env={"LM_SANDBOX_RUN_BASH__SANDBOX": "shell"}) as daemon:
            self.assertEqual(daemon.post("/v1/sandboxes", {"name": "shell"}).status, 201)
            answer = daemon.post("/run-bash/", {"cmd": "true"})
            self.assertEqual(answer.status, 409)
            self.assertIn("[run_bash] sandbox", answer.json()["detail"])


class Create(SettingsTest):
    def test_starts_commands_where_it_was_told(self):
        with lmsb.Daemon() as daemon:
            made = daemon.post("/v1/sandboxes", {"cwd": "/tmp", "user": "user", "runtime": "native", "egress": {"mode": "none"}})
            self.assertEqual(made.status, 201, made.body)
            exec_ = f"/v1/sandboxes/{made.json()['id']}/exec"
            self.assertEqual(daemon.post(exec_, {"cmd": "pwd"}).json()["stdout"], "/tmp\n")
            self.assertEqual(daemon.post(exec_, {"cmd": "pwd", "cwd": "/"}).json()["stdout"], "/\n")
            for fields, code in (({"cwd": "tmp"}, "invalid_cwd"), ({"user": "root"}, "user_not_allowed"), ({"env": {"A=": ""}}, "invalid_env")):
                self.assertEqual(daemon.post("/v1/sandboxes", fields).json()["error"]["code"], code)

    def test_makes_the_directory_in_which_commands_start(self):
        with lmsb.Daemon() as daemon:
            for profile in ("user", "root"):
                made = daemon.post("/v1/sandboxes", {"image": "host", "profile": profile, "cwd": "/workspace/a/b"})
                self.assertEqual(made.status, 201, made.body)
                done = daemon.post(f"/v1/sandboxes/{made.json()['id']}/exec", {"cmd": "pwd; touch x; stat -c %U ."}).json()
                self.assertEqual(done["stdout"], f"/workspace/a/b\n{profile}\n")

    def test_where_there_can_be_no_such_directory_is_no_sandbox(self):
        with lmsb.Daemon() as daemon:
            for cwd, status in (("/usr/a", 403), ("/etc/passwd/a", 409), ("/etc/passwd", 409)):
                refused = daemon.post("/v1/sandboxes", {"image": "host", "name": "box", "cwd": cwd})
                self.assertEqual((refused.status, refused.json()["error"]["code"]), (status, "invalid_cwd"), refused.body)
            self.assertEqual(daemon.request("GET", "/v1/sandboxes").json()["data"], [])
            self.assertEqual(daemon.post("/v1/sandboxes", {"image": "host", "name": "box", "cwd": "/usr"}).status, 201)


class StillToCome(SettingsTest):
    def refusal(self, *flags, **env):
        done = subprocess.run([lmsb.BIN / "lm-sandbox", "serve", *flags, "--data-dir", self.dir / "data", "--run-dir", self.dir / "run"],
                              capture_output=True, text=True, timeout=60, env={**os.environ, **env})
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        return done.stderr

    def test_another_runtime_is_refused_and_the_one_that_is_there_named(self):
        self.assertIn("runtime must be native", self.refusal("--runtime", "oci"))

    def test_directories_for_mounts_over_tcp_are_refused(self):
        self.assertIn("mounts.allow: not yet", self.refusal(LM_SANDBOX_MOUNTS__ALLOW="/srv"))

    def test_an_address_for_ssh_is_one_line_of_warning(self):
        with lmsb.Daemon("--ssh-listen", "127.0.0.1:2200") as daemon:
            lines = [line for line in daemon.log_text().splitlines() if "ssh" in line]
            self.assertEqual(lines, ["lm-sandbox: warning: ssh_listen: not yet: no SSH is served on 127.0.0.1:2200"])


class Redirect(http.server.SimpleHTTPRequestHandler):
    """Files, and one path that leads off the machine."""

    def do_GET(self):
        if self.path != "/away.gguf":
            return super().do_GET()
        self.send_response(302)
        self.send_header("Location", "http://192.0.2.1/m.gguf")
        self.end_headers()

    def log_message(self, *_):
        pass


class Offline(SettingsTest):
    def setUp(self):
        super().setUp()
        model = self.dir / "m.gguf"
        subprocess.run(["/usr/bin/python3", lmsb.ROOT / "tests/fixtures/make_tiny_gguf.py", model], check=True, stdout=subprocess.DEVNULL)
        directory = str(self.dir)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), lambda *a: Redirect(*a, directory=directory))
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def tearDown(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
        super().tearDown()

    def test_reaches_loopback_and_nothing_beyond(self):
        near = f"http://127.0.0.1:{self.server.server_port}"
        with lmsb.Daemon("--offline", env={"http_proxy": "http://192.0.2.1:1"}) as daemon:
            for far in ("http://192.0.2.1/m.gguf", "https://models.example/m.gguf", near + "/away.gguf"):
                answer = daemon.post("/v1/models/pull", {"source": far})
                self.assertEqual((answer.status, answer.json()["error"]["code"]), (403, "offline"), far)
            pulled = daemon.post("/v1/models/pull", {"source": near + "/m.gguf"})
            self.assertEqual(pulled.status, 201, pulled.body)


if __name__ == "__main__":
    lmsb.main()

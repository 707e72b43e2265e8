#!/usr/bin/python3
"""The program as a user types it: against a running daemon, and without one."""
import contextlib
import io
import json
import os
import pathlib
import pty
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import threading
import unittest
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import lmsb


def cli(*words, host=None, stdin=None, user=None, cwd=None, **variables):
    """Runs lm-sandbox with these words; returns the finished process, its streams as bytes."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("LM_SANDBOX_", "XDG_"))}
    env.update(variables)
    if host:
        env["LM_SANDBOX_HOST"] = host
    return subprocess.run([str(lmsb.BIN / "lm-sandbox"), *map(str, words)], input=stdin, capture_output=True, env=env,
                          user=user, group=user, extra_groups=[] if user is not None else None, cwd=cwd, timeout=120)


class CliTest(lmsb.SystemTest):
    def cli(self, *words, **more):
        return cli(*words, host=f"unix:{self.daemon.run_dir}/api.sock", **more)

    def assert_ends(self, done, status, out=None, err=None):
        said = (done.returncode, done.stdout, done.stderr)
        self.assertEqual(done.returncode, status, said)
        if out is not None:
            self.assertEqual(done.stdout, out, said)
        if err is not None:
            self.assertEqual(done.stderr, err, said)

    def assert_one_line(self, done, *parts):
        self.assertEqual(done.stderr.count(b"\n"), 1, done.stderr)
        for part in parts:
            self.assertIn(part.encode(), done.stderr)


class Run(CliTest):
    def test_ends_as_the_command_did(self):
        self.assert_ends(self.cli("run", "--", "whoami"), 0, b"user\n", b"")
        self.assert_ends(self.cli("run", "host", "sh", "-c", "echo out; echo err >&2; exit 3"), 3, b"out\n", b"err\n")
        self.assert_ends(self.cli("run", "--", "sh", "-c", "kill -SEGV $$"), 139)

    def test_says_why_a_command_did_not_end_itself(self):
        self.assert_ends(self.cli("run", "--timeout", "300ms", "--", "sleep", "60"), 124)
        self.assert_ends(self.cli("run", "--", "no-such-program"), 127)
        self.assert_ends(self.cli("run", "--", "/etc/passwd"), 126)
        bomb = self.cli("run", "-m", "64m", "--", "python3", "-c", "x = bytearray(200_000_000)")
        self.assert_ends(bomb, 137)
        self.assertIn(b"the memory limit ended the command", bomb.stderr)

    def test_passes_octets_on_as_they_are(self):
        octets = bytes(range(256))
        self.assert_ends(self.cli("run", "-i", "--", "cat", stdin=octets), 0, octets, b"")
        self.assert_ends(self.cli("run", "-i", "--", "sh", "-c", "cat >&2", stdin=octets), 0, b"", octets)

    def test_reads_stdin_only_when_asked(self):
        self.assert_ends(self.cli("run", "--", "wc", "-c", stdin=b"abc"), 0, b"0\n")

    def test_sets_variables_and_the_working_directory(self):
        with tempfile.NamedTemporaryFile("w", suffix=".env") as file:
            file.write("# note\nFROM_FILE=f\nOWN\n")
            file.flush()
            done = self.cli("run", "-e", "A=1 2", "-e", "OWN", "--env-file", file.name, "-w", "/tmp", "--",
                            "sh", "-c", 'echo "$A,$FROM_FILE,$OWN,$PWD"', OWN="mine")
        self.assert_ends(done, 0, b"1 2,f,mine,/tmp\n")

    def test_takes_limits(self):
        done = self.cli("run", "--pids", "16", "--", "sh", "-c", "for i in $(seq 40); do sleep 5 & done; wait")
        self.assertNotEqual(done.returncode, 0)

    def test_prints_all_of_a_large_output(self):
        done = self.cli("run", "--", "sh", "-c", "head -c 70000000 /dev/zero | tr '\\0' x")
        self.assert_ends(done, 0, b"x" * 70_000_000, b"")

    def test_prints_what_a_command_writes_as_it_writes_it(self):
        words = [str(lmsb.BIN / "lm-sandbox"), "run", "--", "sh", "-c", "echo first; sleep 1000"]
        env = {**os.environ, "LM_SANDBOX_HOST": f"unix:{self.daemon.run_dir}/api.sock"}
        with subprocess.Popen(words, stdout=subprocess.PIPE, env=env) as running:
            self.assertEqual(running.stdout.readline(), b"first\n")
            running.terminate()
        lmsb.wait_until(lambda: not lmsb.sandbox_processes(b"sleep\0" + b"1000"), "a command that ended with its caller")

    def test_ends_when_nobody_reads_its_output(self):
        words = f"set -o pipefail; {lmsb.BIN}/lm-sandbox run -- yes | head -1"
        env = {**os.environ, "LM_SANDBOX_HOST": f"unix:{self.daemon.run_dir}/api.sock"}
        done = subprocess.run(["bash", "-c", words], capture_output=True, env=env, timeout=60)
        self.assertEqual((done.stdout, done.stderr, done.returncode), (b"y\n", b"", 128 + signal.SIGPIPE))

    def test_prints_the_answer_as_json(self):
        done = self.cli("run", "--json", "--", "sh", "-c", "echo x; exit 5")
        self.assert_ends(done, 5, err=b"")
        self.assertEqual((json.loads(done.stdout)["stdout"], json.loads(done.stdout)["outcome"]), ("x\n", "exited"))

    def test_prints_the_plan_and_starts_nothing(self):
        done = self.cli("run", "--dry-run", "-m", "64m", "--", "touch", "/tmp/x")
        self.assert_ends(done, 0)
        self.assertIn(b"67108864", done.stdout)

    def test_failures_are_ours_and_take_one_line(self):
        for words, part in [(["run"], "no command"), (["run", "--frob", "x", "y"], "--frob"), (["run", "-t", "host", "sh"], "no terminal"),
                            (["run", "--gpus", "all", "--", "true"], "nvidia-ctk"), (["run", "--gpus", "no", "--", "true"], "--gpus"), (["run", "--pull", "always", "--", "true"], "image build"),
                            (["run", "-m", "128m", "--shm-size", "1g", "--", "true"], "limits.shm"),
                            (["run", "-d", "--rm", "--", "true"], "--rm"), (["run", "-d", "-p", "80", "--", "true"], "-p"),
                            (["run", "no-such-image", "true"], "no-such-image"), (["run", "-m", "1", "--", "true"], "memory"),
                            (["run", "-v", "/etc/passwd:/x", "--", "true"], "not a directory"),
                            (["run", "-v", "/no/such:/x", "--", "true"], "No such file"), (["exec", "nobody", "true"], "nobody")]:
            done = self.cli(*words)
            self.assert_ends(done, 125, b"")
            self.assert_one_line(done, "lm-sandbox: ", part)

    def test_a_stdout_that_nobody_reads_is_no_success(self):
        with subprocess.Popen([str(lmsb.BIN / "lm-sandbox"), "run", "--", "echo", "x"], stdout=subprocess.PIPE,
                              env={**os.environ, "LM_SANDBOX_HOST": f"unix:{self.daemon.run_dir}/api.sock"}) as process:
            process.stdout.close()
            self.assertEqual(process.wait(timeout=60), 128 + signal.SIGPIPE)


class Mounts(CliTest):
    """-v: files belong to the caller, and the caller's own rights decide."""

    def setUp(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="lmsb-mount-", dir="/var/tmp"))

    def tearDown(self):
        shutil.rmtree(self.dir)

    def test_files_belong_to_the_caller(self):
        done = self.cli("run", "-v", f"{self.dir}:/workspace", "--", "sh", "-c", "id -u; echo x > /workspace/f")
        self.assert_ends(done, 0, b"1000\n", b"")
        self.assertEqual((os.stat(self.dir / "f").st_uid, (self.dir / "f").read_text()), (0, "x\n"))

    def test_read_only_is_read_only(self):
        (self.dir / "in").write_text("data")
        done = self.cli("run", "-v", f"{self.dir}:/in:ro", "--", "sh", "-c", "cat /in/in; touch /in/out")
        self.assert_ends(done, 1, b"data")
        self.assertIn(b"Read-only file system", done.stderr)

    def test_a_relative_source_is_the_callers(self):
        (self.dir / "f").write_text("here")
        self.assert_ends(self.cli("run", "-v", ".:/w", "--", "cat", "/w/f", cwd=self.dir), 0, b"here")

    def test_a_kept_sandbox_has_them_too(self):
        (self.dir / "f").write_text("here")
        sandbox = self.cli("create", "-v", f"{self.dir}:/w").stdout.decode().strip()
        self.assert_ends(self.cli("exec", sandbox, "cat", "/w/f"), 0, b"here")
        self.assert_ends(self.cli("rm", sandbox), 0)


class MountsOfAnotherUser(CliTest):
    """The same for a member of the socket's group who is not root."""

    flags = ("--socket-group", "nogroup")
    USER = 65534

    def setUp(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="lmsb-mount-", dir="/var/tmp"))

    def tearDown(self):
        shutil.rmtree(self.dir)

    def test_files_belong_to_that_user(self):
        os.chown(self.dir, self.USER, self.USER)
        done = self.cli("run", "-v", f"{self.dir}:/workspace", "--", "sh", "-c", "echo x > /workspace/f", user=self.USER)
        self.assert_ends(done, 0, b"", b"")
        self.assertEqual(os.stat(self.dir / "f").st_uid, self.USER)

    def test_nobody_mounts_what_they_could_not_open(self):
        inner = self.dir / "inner"
        inner.mkdir()
        os.chmod(self.dir, 0o700)
        done = self.cli("run", "-v", f"{inner}:/in", "--", "ls", "/in", user=self.USER)
        self.assert_ends(done, 125, b"")
        self.assert_one_line(done, "Permission denied")

    def test_a_directory_of_another_stays_as_closed_as_it_is(self):
        os.chmod(self.dir, 0o755)  # root's
        done = self.cli("run", "-v", f"{self.dir}:/in", "--", "touch", "/in/f", user=self.USER)
        self.assertNotEqual(done.returncode, 0)
        self.assertEqual(list(self.dir.iterdir()), [])


class SeenRun(CliTest):
    """run, where others can see its sandbox while it runs."""

    def begin(self, *words, **more):
        process = subprocess.Popen([str(lmsb.BIN / "lm-sandbox"), "run", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   env={**os.environ, "LM_SANDBOX_HOST": f"unix:{self.daemon.run_dir}/api.sock"}, **more)
        self.addCleanup(lambda: (process.kill(), process.communicate()))
        return process

    def wait_for(self, *words):
        lmsb.wait_until(lambda: self.cli("exec", *words).returncode == 0, "the sandbox")

    def test_a_name_leads_into_it(self):
        process = self.begin("--name", "seen", "--label", "a=b", "--", "sh", "-c",
                             "echo $$ >/tmp/there; while ! test -e /tmp/go; do sleep 0.05; done; echo out; exit 7")
        self.wait_for("seen", "test", "-s", "/tmp/there")
        self.assertEqual(len(self.cli("ls", "-q", "--label", "a=b").stdout.split()), 1)
        self.assert_ends(self.cli("exec", "seen", "touch", "/tmp/go"), 0)
        self.assertEqual((*process.communicate(timeout=60), process.returncode), (b"out\n", b"", 7))
        self.assert_ends(self.cli("ls", "-q"), 0, b"")

    def test_ctrl_c_ends_it_and_its_sandbox(self):
        process = self.begin("--name", "seen", "--", "sh", "-c", "echo there; exec sleep 1019")
        self.assertEqual(process.stdout.readline(), b"there\n")
        process.send_signal(signal.SIGINT)
        self.assertEqual((process.wait(timeout=60), process.stderr.read()), (130, b""))
        self.assert_ends(self.cli("ls", "-q"), 0, b"")

    def test_ctrl_c_ends_what_is_waited_for_as_json_too(self):
        process = self.begin("--json", "--name", "seen", "--", "sleep", "1023")
        lmsb.wait_until(lambda: lmsb.sandbox_processes(b"sleep\0" + b"1023"), "the command")
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(timeout=60), 130)
        self.assert_ends(self.cli("ls", "-q"), 0, b"")

    def test_stdin_that_cannot_be_read_is_no_empty_one(self):
        self.assert_ends(self.cli("create", "--name", "kept"), 0)
        host = {**os.environ, "LM_SANDBOX_HOST": f"unix:{self.daemon.run_dir}/api.sock"}
        for what, words in (("<&-", "stdin is closed"), ("</tmp", "stdin")):
            for command in ("run -i --", "exec -i kept"):
                done = subprocess.run(["sh", "-c", f"exec {lmsb.BIN}/lm-sandbox {command} wc -c {what}"], env=host, capture_output=True,
                                      timeout=60, check=False)
                self.assert_ends(done, 125, b"")
                self.assert_one_line(done, words)
        self.assert_ends(self.cli("rm", "kept"), 0)

    def refusal(self, *words):
        """Of a run -d, which looks for one for a moment only."""
        refused = []

        def is_refused():
            done = self.cli("run", "-d", *words)
            refused.extend([done] if done.returncode else [])
            return refused
        lmsb.wait_until(is_refused, "the refusal")
        return refused[0]

    def test_what_cannot_be_started_leaves_nothing(self):
        self.assert_ends(self.cli("run", "--name", "seen", "--", "no-such-program"), 127)
        done = self.refusal("--label", "d=1", "--", "no-such-program")
        self.assert_ends(done, 127, b"", b"no-such-program: command not found\n")
        self.assert_ends(self.refusal("--label", "d=1", "--", "/etc"), 126, b"")
        for late in self.cli("ls", "-q", "--label", "d=1").stdout.split():  # it took more than a moment
            self.cli("rm", late.decode())
        self.assertEqual(self.cli("run", "--name", "seen", "-m", "1k", "--", "true").returncode, 125)
        self.assert_ends(self.cli("ls", "-q"), 0, b"")

    def test_a_detached_one_that_has_run_stays_whatever_its_exit_status(self):
        for status in (126, 127):
            done = self.cli("run", "-d", "--name", "ran", "--", "sh", "-c", f"echo kept >/tmp/f; exit {status}")
            self.assert_ends(done, 0, err=b"")
            self.assert_ends(self.cli("attach", "ran"), status, b"", b"")
            self.assert_ends(self.cli("exec", "ran", "cat", "/tmp/f"), 0, b"kept\n")
            self.assert_ends(self.cli("rm", "ran"), 0)

    def test_what_comes_on_stdin_goes_in_as_it_comes(self):
        self.assert_ends(self.cli("create", "--name", "kept"), 0)
        for words in (["run", "-i", "--"], ["exec", "-i", "kept"]):
            process = subprocess.Popen([str(lmsb.BIN / "lm-sandbox"), *words, "sh", "-c",
                                        'while read line; do echo "got $line"; done; exit 3'],
                                       env={**os.environ, "LM_SANDBOX_HOST": f"unix:{self.daemon.run_dir}/api.sock"},
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            for line in (b"one\n", b"two\n"):
                process.stdin.write(line)
                process.stdin.flush()
                self.assertEqual(process.stdout.readline(), b"got " + line)
            process.stdin.close()
            self.assertEqual((process.stdout.read(), process.wait(timeout=60)), (b"", 3))
            process.stdout.close()
        octets = os.urandom(3_000_000)
        self.assert_ends(self.cli("exec", "-i", "kept", "cat", stdin=octets), 0, octets)
        self.assert_ends(self.cli("exec", "-i", "kept", "head", "-c", "5", stdin=octets), 0, octets[:5])
        self.assert_ends(self.cli("rm", "kept"), 0)

    def test_a_port_leads_there_while_it_runs(self):
        process = self.begin("-p", "0:8000", "host", "python3", "-m", "http.server", "8000")
        address = process.stderr.readline().decode().split()[1]
        self.assertTrue(address.startswith("127.0.0.1:"), address)

        def answers():
            with contextlib.suppress(OSError), urllib.request.urlopen(f"http://{address}/", timeout=10) as answer:
                return b"Directory listing" in answer.read()
        lmsb.wait_until(answers, "the server")
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(timeout=60), 130)
        with self.assertRaises(OSError):
            urllib.request.urlopen(f"http://{address}/", timeout=10)

    def test_a_detached_one_stays(self):
        done = self.cli("run", "-d", "--name", "stays", "-e", "A=1", "--", "sh", "-c", "echo said $A; exec sleep 1020")
        self.assert_ends(done, 0, err=b"")
        sandbox = done.stdout.decode().strip()
        self.assertRegex(sandbox, "^[a-z][a-z0-9]{19}$")
        lmsb.wait_until(lambda: self.cli("logs", "stays").stdout == b"said 1\n", "what it says")
        self.assert_ends(self.cli("exec", "stays", "sh", "-c", "echo $A"), 0, b"1\n")
        self.assert_ends(self.cli("kill", "-s", "TERM", "stays"), 0, b"", b"")
        self.assert_ends(self.cli("attach", "stays"), 143, b"said 1\n")
        first, = (process["id"] for process in json.loads(self.cli("top", "--json", "stays").stdout)["data"])
        second = self.cli("exec", "-d", "stays", "echo", "more").stdout.decode().strip()
        self.assert_ends(self.cli("attach", "stays", second), 0, b"more\n")
        shown = f"==> {first} <==\nsaid 1\n\n==> {second} <==\nmore\n".encode()
        self.assert_ends(self.cli("logs", "stays"), 0, shown)
        self.assertEqual(sorted(self.cli("logs", "-f", "stays").stdout.splitlines()), sorted(shown.splitlines()))
        self.assert_one_line(self.cli("attach", "stays"), "several", "lm-sandbox top stays")
        self.assert_ends(self.cli("ls", "-q", "--state", "running"), 0, f"{sandbox}\n".encode())
        self.assert_ends(self.cli("ls", "-q", "--state", "stopped"), 0, b"")
        self.assert_ends(self.cli("rm", "stays"), 0)

    def test_logs_begin_with_the_last_lines_and_are_told_as_json(self):
        self.assert_ends(self.cli("create", "--name", "kept"), 0)
        self.assert_ends(self.cli("logs", "--json", "kept"), 0, b'{"data":[],"next_cursor":null}\n')
        first = self.cli("exec", "-d", "kept", "sh", "-c", "seq 30000; echo err >&2; exit 3").stdout.decode().strip()
        self.assert_ends(self.cli("attach", "kept"), 3)
        self.assert_ends(self.cli("logs", "--tail", "2", "kept"), 0, b"29999\n30000\n", b"err\n")
        self.assert_ends(self.cli("logs", "-n", "0", "-f", "kept"), 0, b"", b"")
        self.assertEqual(len(self.cli("logs", "--tail", "20000", "kept").stdout.splitlines()), 20000)
        told = json.loads(self.cli("logs", "--json", "--tail", "1", "kept").stdout)["data"]
        self.assertEqual([(one["process"], one["type"], one.get("text")) for one in told],
                         [(first, "stderr", "err\n"), (first, "stdout", "30000\n"), (first, "result", None)])
        second = self.cli("exec", "-d", "kept", "sh", "-c", "echo a; echo b").stdout.decode().strip()
        self.assert_ends(self.cli("wait", "kept", second), 0, b"0\n")
        self.assert_ends(self.cli("logs", "--tail", "1", "kept"), 0,
                         f"==> {first} <==\n30000\n\n==> {second} <==\nb\n".encode(), b"err\n")
        lines = [json.loads(line) for line in self.cli("logs", "-f", "--json", "-n", "1", "kept").stdout.splitlines()]
        self.assertEqual(sorted((line["process"], line["text"]) for line in lines if line["type"] == "stdout"),
                         sorted([(first, "30000\n"), (second, "b\n")]))
        attached = self.cli("attach", "--json", "kept", first)
        self.assertEqual((attached.returncode, json.loads(attached.stdout.splitlines()[-1])["exit_code"]), (3, 3))
        self.assert_ends(self.cli("logs", "--since", "1h", "--tail", "1", "kept", second), 0, b"b\n")
        self.assert_ends(self.cli("logs", "--until", "1h", "kept", second), 0, b"", b"")
        self.assertRegex(self.cli("logs", "-t", "kept", second).stdout, rb"^[0-9-]+T[0-9:.]+Z a\n[0-9-]+T[0-9:.]+Z b\n$")
        self.assert_one_line(self.cli("logs", "--since", "yesterday", "kept"), "--since", "10m")
        self.assert_ends(self.cli("rm", "kept"), 0)

    def test_the_end_of_processes_is_waited_for(self):
        self.assert_ends(self.cli("create", "--name", "kept"), 0)
        self.assert_one_line(self.cli("wait", "kept"), "no detached process", "exec -d")
        first = self.cli("exec", "-d", "kept", "sh", "-c", "while ! test -e /tmp/go; do sleep 0.05; done; exit 7").stdout.decode().strip()
        second = self.cli("exec", "-d", "kept", "sleep", "1024").stdout.decode().strip()
        waiting = subprocess.Popen([str(lmsb.BIN / "lm-sandbox"), "wait", "kept", first, second], stdout=subprocess.PIPE,
                                   env={**os.environ, "LM_SANDBOX_HOST": f"unix:{self.daemon.run_dir}/api.sock"})
        self.addCleanup(lambda: (waiting.kill(), waiting.communicate()))
        self.assert_ends(self.cli("exec", "kept", "touch", "/tmp/go"), 0)
        self.assertEqual(waiting.stdout.readline(), b"7\n")
        told = json.loads(self.cli("kill", "--json", "kept", second).stdout)
        self.assertEqual(told, {"signal": "KILL", "signaled": [second]})
        self.assertEqual((waiting.communicate(timeout=60)[0], waiting.returncode), (b"137\n", 0))
        ended = json.loads(self.cli("wait", "--json", "kept").stdout)["data"]
        self.assertEqual({one["id"]: one["result"]["exit_code"] for one in ended}, {first: 7, second: 137})
        none = self.cli("kill", "--json", "kept")
        self.assertEqual((none.returncode, json.loads(none.stdout)["signaled"]), (1, []))
        self.assert_one_line(none, "no command runs in sandbox kept")
        self.assert_ends(self.cli("rm", "-fv", "kept"), 0)

    def test_what_a_session_changes_is_there_for_its_next_command(self):
        self.assert_ends(self.cli("create", "--name", "kept"), 0)
        self.assert_ends(self.cli("exec", "--session", "main", "kept", "cd /tmp; export A=1; echo err >&2"), 0, b"", b"err\n")
        self.assert_ends(self.cli("exec", "--session", "main", "kept", "echo $PWD $A; (exit 4)"), 4, b"/tmp 1\n")
        self.assert_ends(self.cli("exec", "--session", "main", "kept", "a", "b"), 125, b"")
        for words in (["--session", "main", "kept", "true"], ["kept", "true"]):
            self.assertRegex(json.loads(self.cli("exec", "--json", *words).stdout)["process_id"], "^prc_[a-z0-9]{20}$")
        self.assert_ends(self.cli("rm", "kept"), 0)

    def test_sessions_are_listed_and_ended(self):
        self.assert_ends(self.cli("create", "--name", "kept"), 0)
        self.assert_ends(self.cli("session", "ls", "-q", "kept"), 0, b"")
        for name in ("main", "other"):
            self.assert_ends(self.cli("exec", "--session", name, "kept", "true"), 0)
        self.assert_ends(self.cli("session", "ls", "-q", "kept"), 0, b"main\nother\n")
        told = json.loads(self.cli("session", "ls", "--json", "kept").stdout)["data"]
        self.assertEqual([(one["name"], one["state"], one["command"]) for one in told],
                         [("main", "idle", None), ("other", "idle", None)])
        busy = subprocess.Popen([str(lmsb.BIN / "lm-sandbox"), "exec", "--session", "main", "kept", "sleep 1029"],
                                env={**os.environ, "LM_SANDBOX_HOST": f"unix:{self.daemon.run_dir}/api.sock"})
        self.addCleanup(lambda: (busy.kill(), busy.wait()))
        lmsb.wait_until(lambda: re.search(rb"^main +busy .* sleep 1029$", self.cli("session", "ls", "kept").stdout, re.M),
                        "what runs in it")
        self.assert_ends(self.cli("session", "rm", "kept", "main", "other"), 0, b"main\nother\n")
        self.assertEqual(busy.wait(timeout=60), 125, "cancelled")
        self.assert_ends(self.cli("session", "ls", "-q", "kept"), 0, b"")
        self.assertEqual(self.cli("session", "rm", "kept", "main").returncode, 1)
        self.assert_ends(self.cli("session", "rm", "-f", "kept", "main"), 0)
        self.assert_ends(self.cli("rm", "kept"), 0)

    def test_what_happens_in_a_directory_is_told(self):
        self.assert_ends(self.cli("create", "--name", "kept", "-w", "/tmp"), 0)
        process = subprocess.Popen([str(lmsb.BIN / "lm-sandbox"), "watch", "kept"], stdout=subprocess.PIPE,
                                   env={**os.environ, "LM_SANDBOX_HOST": f"unix:{self.daemon.run_dir}/api.sock"})
        self.addCleanup(lambda: (process.kill(), process.communicate()))
        lines = []
        reader = threading.Thread(target=lambda: lines.extend(iter(process.stdout.readline, b"")), daemon=True)
        reader.start()
        number = iter(range(1000))
        lmsb.wait_until(lambda: self.cli("exec", "kept", "touch", f"f{next(number)}") and lines, "an event")  # it is armed by then
        self.assert_ends(self.cli("exec", "kept", "mv", "f0", "g"), 0)
        lmsb.wait_until(lambda: any(line.split()[0] == b"created" and line.endswith(b"g\n") for line in lines), "the move")
        self.assert_ends(self.cli("rm", "kept"), 0)

    def test_all_that_is_known_of_one_is_shown(self):
        sandbox = self.cli("create", "--name", "known", "-m", "256m").stdout.decode().strip()
        shown = json.loads(self.cli("inspect", "known").stdout)
        self.assertEqual((shown["id"], shown["limits"]["memory_bytes"]), (sandbox, 256 << 20))
        self.assertTrue(shown["isolation"])
        missing = self.cli("inspect", "nobody", "known")
        self.assert_ends(missing, 1)
        self.assertEqual(json.loads(missing.stdout)["id"], sandbox)
        self.assert_one_line(missing, "nobody")
        self.assert_ends(self.cli("rm", "known"), 0)


class Sandboxes(CliTest):
    def test_a_sandbox_is_made_used_listed_and_removed(self):
        made = self.cli("create", "--name", "box", "--label", "k=v", "-e", "A=1")
        self.assert_ends(made, 0)
        sandbox = made.stdout.decode().strip()
        self.assertRegex(sandbox, "^[a-z][a-z0-9]{19}$")
        self.assert_ends(self.cli("exec", "box", "sh", "-c", "echo $A > /tmp/f; exit 7"), 7)
        self.assert_ends(self.cli("exec", sandbox, "cat", "/tmp/f"), 0, b"1\n")
        self.assertIn(sandbox.encode(), self.cli("ls").stdout)
        self.assert_ends(self.cli("ps", "-q", "--label", "k=v"), 0, f"{sandbox}\n".encode())
        self.assert_ends(self.cli("ls", "-q", "--label", "k=other"), 0, b"")
        self.assertEqual(json.loads(self.cli("ls", "--json").stdout)["data"][0]["name"], "box")
        self.assert_ends(self.cli("ps", "-aq", "--no-trunc", "-f", "name=bo", "--filter", "label=k"), 0, f"{sandbox}\n".encode())
        self.assert_ends(self.cli("ps", "-q", "-f", "name=other"), 0, b"")
        self.assert_ends(self.cli("ps", "--format", "{{.ID}} {{.Names}} {{.Status}}"), 0, f"{sandbox} box running\n".encode())
        self.assertRegex(self.cli("ps", "--format", "table {{.Name}}\\t{{.State}}").stdout, rb"^NAME  STATE\nbox +running\n$")
        self.assertEqual(json.loads(self.cli("ps", "-l", "--format", "json").stdout)["id"], sandbox)
        self.assert_ends(self.cli("inspect", "-f", "{{.State.Status}} {{json .labels}}", "box"), 0, b'running {"k":"v"}\n')
        self.assert_one_line(self.cli("inspect", "-f", "{{.nope}}", "box"), "no field nope", "--json")
        self.assert_one_line(self.cli("ps", "-f", "health=good"), "health=good", "status=")
        self.assert_one_line(self.cli("ps", "-f", "status=nope"), "nope", "paused")
        self.assert_one_line(self.cli("kill", "box", "-s", "FOO"), "FOO", "SIGTERM")
        for command in ("pause", "resume", "stats"):
            printed = self.cli(command, "--json", "box").stdout
            self.assertRegex(printed, rb'(?m)^ +"cpus": [0-9]+,?$', command)
            self.assertEqual(json.loads(printed).get("id", sandbox), sandbox)
        self.assert_ends(self.cli("rm", "box"), 0, b"box\n", b"")
        gone = self.cli("rm", "box")
        self.assert_ends(gone, 1, b"")
        self.assert_one_line(gone, "no sandbox")
        for words in (["exec", "a/b", "true"], ["rm", "a/b"], ["inspect", "../x?y#%"], ["stop", "a%2Fb"]):
            self.assert_one_line(self.cli(*words), f'no sandbox "{words[1]}"')
        self.assert_ends(self.cli("rm", "-f", "box"), 0, b"", b"")

    def test_detached_processes_are_listed_read_followed_and_killed(self):
        sandbox = self.cli("create").stdout.decode().strip()
        done = self.cli("exec", "-d", sandbox, "sh", "-c", "echo out; echo err >&2; exit 3")
        process = done.stdout.decode().strip()
        self.assertRegex(process, r"^prc_[a-z0-9]{20}$")
        self.assert_ends(self.cli("attach", sandbox, process), 3, b"out\n", b"err\n")
        self.assert_ends(self.cli("logs", sandbox, process), 0, b"out\n", b"err\n")
        self.assertIn(b"exited (3)", self.cli("top", sandbox).stdout)
        running = self.cli("exec", "-d", sandbox, "sleep", "1014").stdout.decode().strip()
        self.assert_ends(self.cli("kill", "-s", "TERM", sandbox, running), 0, b"", b"")
        self.assert_ends(self.cli("attach", sandbox, running), 143)
        self.assert_one_line(self.cli("logs", sandbox, "prc_00000000000000000000"), "no process")
        self.cli("rm", sandbox)

    def test_what_somebody_waits_for_is_listed_and_killed_but_has_no_output_for_others(self):
        sandbox = self.cli("create").stdout.decode().strip()
        detached = self.cli("exec", "-d", sandbox, "sh", "-c", "echo kept; sleep 1015").stdout.decode().strip()
        waiting = subprocess.Popen([str(lmsb.BIN / "lm-sandbox"), "exec", sandbox, "sleep", "1016"],
                                   env={**os.environ, "LM_SANDBOX_HOST": f"unix:{self.daemon.run_dir}/api.sock"})
        self.addCleanup(waiting.kill)
        lmsb.wait_until(lambda: b"attached" in self.cli("top", sandbox).stdout, "the command")
        listed = json.loads(self.cli("top", "--json", sandbox).stdout)["data"]
        attached, = (process["id"] for process in listed if process["attached"])
        self.assert_ends(self.cli("logs", sandbox), 0, b"kept\n")
        self.assert_one_line(self.cli("logs", sandbox, attached), "waits for it", "detach")
        self.assert_ends(self.cli("kill", "-s", "term", sandbox), 0, b"", b"")
        self.assertEqual(waiting.wait(60), 143)
        self.assert_ends(self.cli("attach", sandbox, detached), 143, b"kept\n")
        self.assert_ends(self.cli("exec", "--merge-stderr", sandbox, "sh", "-c", "echo a; echo b >&2; echo c"), 0, b"a\nb\nc\n", b"")
        self.cli("rm", sandbox)

    def test_a_kept_sandbox_starts_commands_where_it_was_told(self):
        sandbox = self.cli("create", "-w", "/tmp", "-u", "user").stdout.decode().strip()
        self.assert_ends(self.cli("exec", sandbox, "pwd"), 0, b"/tmp\n")
        self.assert_ends(self.cli("exec", "-w", "/", sandbox, "pwd"), 0, b"/\n")
        self.assert_ends(self.cli("rm", sandbox), 0)
        self.assert_one_line(self.cli("create", "-u", "root"), "user")

    def test_a_sandbox_that_is_restarted_has_its_disk_and_no_process(self):
        missing = [line for line in self.daemon.log_text().splitlines() if "disks cannot be kept here" in line]
        if missing:
            self.skipTest(missing[0])
        sandbox = self.cli("run", "-d", "--name", "again", "--", "sleep", "1025").stdout.decode().strip()
        self.assert_ends(self.cli("exec", "again", "sh", "-c", "echo kept > f"), 0)
        done = self.cli("restart", "-t", "0", "again", "nobody")
        self.assert_ends(done, 1, b"again\n")
        self.assert_one_line(done, "nobody")
        self.assert_ends(self.cli("exec", "again", "cat", "f"), 0, b"kept\n")
        self.assertEqual(lmsb.sandbox_processes(b"sleep\0" + b"1025"), [])
        self.assert_ends(self.cli("rm", sandbox), 0)

    def test_images_and_models_are_listed(self):
        self.assertIn(b"host\n", self.cli("image", "ls", "-q").stdout)
        self.assertRegex(self.cli("image", "ls").stdout, rb"(?m)^host +host ")
        self.assertTrue(self.cli("model", "ls").stdout.startswith(b"MODEL"))
        self.assert_one_line(self.cli("chat", "nobody", "hi"), "nobody")
        self.assertEqual(self.cli("chat", "--json", "nobody", "hi").stdout, b"")

    def test_a_name_cannot_lead_to_another_path(self):
        done = self.cli("rm", "../../healthz")
        self.assert_ends(done, 1, b"")


class Images(CliTest):
    """image build and image rm: done by a program of their own, which speaks as this one does."""

    def setUp(self):
        lmsb.require_root()
        self.data = pathlib.Path(tempfile.mkdtemp(prefix="lmsb-images-", dir=lmsb.TEST_DATA if lmsb.TEST_DATA.is_dir() else None))

    def tearDown(self):
        shutil.rmtree(self.data)

    def test_failures_take_one_line(self):
        for words, part in ((["build", "nonsense"], "nonsense"), (["rm", "nonsense"], "nonsense"), (["rm"], "--help"),
                            (["build", "base", "--frob"], "--frob")):
            done = cli("image", *words, "--data-dir", self.data)
            self.assertIn(done.returncode, (1, 2))
            self.assertEqual(done.stdout, b"")
            self.assertTrue(done.stderr.startswith(b"lm-sandbox: "), done.stderr)
            self.assert_one_line(done, part)

    def test_help_is_no_failure(self):
        done = cli("image", "build", "--help")
        self.assert_ends(done, 0, err=b"")
        self.assertIn(b"--mirror URL", done.stdout)

    def build(self, stderr):
        """With something in mmdebstrap's place that needs no network, takes a second, and has little to give."""
        tree = self.data / "tree"
        (tree / "etc").mkdir(parents=True)
        (tree / "etc/large").write_bytes(bytes(3 << 20))
        maker = self.data / "maker"
        maker.write_text(f"#!/bin/sh\nsleep 1\ntar -C '{tree}' -cf - .\nsleep 1\n")
        maker.chmod(0o755)
        if not os.path.exists("/usr/bin/mmdebstrap"):
            self.skipTest("mmdebstrap is not installed")
        line = 'mount --bind "$0" /usr/bin/mmdebstrap && exec "$@"'
        return subprocess.run(["unshare", "--mount", "sh", "-c", line, maker, lmsb.BIN / "lm-sandbox", "image", "build", "base", "--mirror",
                               "http://127.0.0.1:9", "--data-dir", self.data], stdout=subprocess.PIPE, stderr=stderr, timeout=60)

    def test_a_build_is_drawn_where_it_can_be_seen(self):
        seen, terminal = pty.openpty()
        self.addCleanup(os.close, seen)
        done = self.build(terminal)
        os.close(terminal)
        self.assertEqual(done.returncode, 0)
        os.set_blocking(seen, False)
        shown = os.read(seen, 65536).decode().replace("\r\n", "\n")
        self.assertIn("\n\r\x1b[K  0 s\r\x1b[K", shown)
        self.assertRegex(shown, r"\r\x1b\[K  [1-9] s  3 MiB\r\x1b\[K")
        left = re.sub(r"\r\x1b\[K[^\r\n]*(?=\r)|\r\x1b\[K", "", shown)
        self.assertRegex(left, r"\Ainstalling Debian \S+ from http://127.0.0.1:9\nunpacked 3 MiB; [a-z ]+\n\Z")

    def test_a_build_elsewhere_says_its_steps(self):
        done = self.build(subprocess.PIPE)
        self.assertEqual((done.returncode, done.stderr.count(b"\n"), done.stderr.count(b"\r")), (0, 2, 0), done.stderr)
        self.assertIn(b"image base: sha256:", done.stdout)

    def test_a_removal_is_told_as_json(self):
        lmsb.require_image("base")
        (self.data / "images").mkdir()
        subprocess.run(["cp", "-al", lmsb.TEST_DATA / "images/base", self.data / "images/base"], check=True)
        done = cli("image", "rm", "base", "--json", "--data-dir", self.data)
        self.assert_ends(done, 0, err=b"")
        self.assertEqual(json.loads(done.stdout), {"removed": ["base"]})


class Doctor(CliTest):
    def test_tries_a_real_sandbox_and_names_its_layers(self):
        done = self.cli("doctor", "--json")
        self.assert_ends(done, 0)
        checks = {check["id"]: check for check in json.loads(done.stdout)["checks"]}
        self.assertEqual(checks["sandbox.run"]["outcome"], "ok")
        self.assertIn("seccomp", checks["sandbox.run"]["detail"])
        for check in checks.values():
            self.assertTrue(check["outcome"] in ("ok", "not_needed") or check["detail"], check)

    def test_fails_where_no_sandbox_can_be_made(self):
        done = cli("doctor", host="unix:/nowhere/api.sock")
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"Sandboxes do not work.", done.stdout)

    def test_verify_names_what_is_not_as_the_original(self):
        done = cli("verify", "--host", f"http://{self.daemon.host}:{self.daemon.port}", "--json")
        answers = {request["path"]: request for request in json.loads(done.stdout)["requests"]}
        self.assertTrue(answers["/run-bash/"]["ok"])
        self.assertEqual(done.returncode, 0 if all(request["ok"] for request in answers.values()) else 1)


class WithoutADaemon(unittest.TestCase):
    """A private daemon for one command, which leaves nothing behind."""

    def setUp(self):
        lmsb.require_root()
        if os.path.exists("/run/lm-sandbox/api.sock"):
            self.skipTest("a daemon runs on this machine")
        self.data = tempfile.mkdtemp(prefix="lmsb-cli-")
        os.chmod(self.data, 0o755)
        self.before = lmsb.leftovers()

    def tearDown(self):
        shutil.rmtree(self.data)
        lmsb.wait_until_clean(self.before)
        self.assertEqual(list(pathlib.Path("/run").glob("lm-sandbox-private-*")), [])

    def test_run_starts_a_private_one_and_says_so(self):
        done = cli("run", "--data-dir", self.data, "--", "whoami")
        self.assertEqual((done.returncode, done.stdout, done.stderr),
                         (0, b"user\n", b"lm-sandbox: no daemon is running; using a private one\n"))

    def test_a_run_with_a_terminal_has_one_too(self):
        master, slave = pty.openpty()
        process = subprocess.Popen([str(lmsb.BIN / "lm-sandbox"), "run", "-it", "--data-dir", self.data, "host", "sh"],
                                   stdin=slave, stdout=slave, stderr=subprocess.DEVNULL,
                                   env={k: v for k, v in os.environ.items() if not k.startswith("LM_SANDBOX_")})
        os.write(master, b"exit 8\n")
        self.assertEqual(process.wait(timeout=60), 8)
        os.close(slave)
        os.close(master)

    def test_an_interrupt_ends_command_and_daemon(self):
        process = subprocess.Popen([str(lmsb.BIN / "lm-sandbox"), "run", "--data-dir", self.data, "--", "sleep", "1000"],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                   env={k: v for k, v in os.environ.items() if not k.startswith("LM_SANDBOX_")})
        lmsb.wait_until(lambda: b"sleep\x001000" in b"".join(self.sandbox_commands()), "the command")
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(timeout=60), -signal.SIGINT)

    def test_a_killed_command_takes_its_daemon_along(self):
        process = subprocess.Popen([str(lmsb.BIN / "lm-sandbox"), "run", "--data-dir", self.data, "--", "sleep", "1000"],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                   env={k: v for k, v in os.environ.items() if not k.startswith("LM_SANDBOX_")})
        lmsb.wait_until(lambda: b"sleep\x001000" in b"".join(self.sandbox_commands()), "the command")
        process.kill()
        process.wait(timeout=60)
        lmsb.wait_until_clean(self.before)
        # Its directory is left: who would have removed it is dead. The next private daemon does.
        self.assertEqual(cli("run", "--data-dir", self.data, "--", "true").returncode, 0)

    def test_what_would_be_gone_at_once_is_refused(self):
        for words in (["create"], ["ls"], ["exec", "x", "true"], ["rm", "x"]):
            done = cli(*words)
            self.assertNotEqual(done.returncode, 0)
            self.assertEqual(done.stderr, b"lm-sandbox: no daemon is running; start one: sudo lm-sandbox serve\n")

    def test_a_normal_user_hears_what_to_do(self):
        done = cli("run", "--", "true", user=65534)
        self.assertEqual(done.returncode, 125)
        self.assertRegex(done.stderr, b"no line of user nobody; sudo usermod --add-subuids|sudo apt-get install uidmap")

    def test_a_data_directory_that_cannot_be_used_is_named(self):
        done = cli("run", "--data-dir", "/proc/nowhere", "--", "true")
        self.assertEqual(done.returncode, 125)
        self.assertIn(b"/proc/nowhere", done.stderr)

    @staticmethod
    def sandbox_commands():
        for pid in lmsb.sandbox_processes():
            try:
                yield pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
            except OSError:
                pass


class Words(unittest.TestCase):
    """What needs no daemon at all."""

    def test_help_and_version(self):
        for words in ([], ["--help"], ["help", "run"], ["run", "--help"], ["serve", "--help"], ["config", "example"]):
            done = cli(*words)
            self.assertEqual((done.returncode, done.stderr), (0, b""))
            self.assertTrue(done.stdout)
        self.assertRegex(cli("version").stdout, rb"^lm-sandbox \d+\.\d+\.\d+\n$")
        self.assertEqual(set(json.loads(cli("version", "--json").stdout)), {"version"})

    def test_misuse_is_status_2_with_a_way_out(self):
        done = cli("runn")
        self.assertEqual((done.returncode, done.stderr), (2, b'lm-sandbox: unknown command "runn", perhaps run; see lm-sandbox --help\n'))

    def test_what_docker_calls_otherwise_is_said(self):
        for words, part in ((["images"], "image ls"), (["unpause", "x"], "resume"), (["commit", "x"], "snapshot"),
                            (["run", "--privileged", "host", "true"], "--root"), (["stop", "-s", "INT", "x"], "kill -s"),
                            (["logs", "--details", "x"], "inspect"), (["exec", "--privileged", "x", "y"], "create --root")):
            done = cli(*words)
            self.assertEqual((done.returncode, done.stdout), (125 if words[0] in ("run", "exec") else 2, b""))
            self.assertEqual(done.stderr.count(b"\n"), 1, done.stderr)
            self.assertIn(part.encode(), done.stderr)

    def test_config_check_names_file_line_and_key(self):
        with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
            file.write('[pool]\nsise = 3\n')
            file.flush()
            done = cli("config", "check", "--config", file.name)
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"{file.name}:2".encode(), done.stderr)
        self.assertIn(b"pool.size", done.stderr)

    def test_config_show_prints_settings_as_json(self):
        shown = json.loads(cli("config", "show", "--json", LM_SANDBOX_POOL__SIZE="3").stdout)
        self.assertEqual(shown["config"]["pool"]["size"], 3)
        in_sections = {f"{section}.{key}" for section, value in shown["config"].items() if isinstance(value, dict) for key in value}
        outside = {key for key, value in shown["config"].items() if not isinstance(value, dict)}
        self.assertEqual(in_sections | outside, set(shown["origin"]))

    def test_an_output_that_takes_nothing_more_is_said(self):
        with open("/dev/full", "wb") as full:
            done = subprocess.run([str(lmsb.BIN / "lm-sandbox"), "version"], stdout=full, stderr=subprocess.PIPE, check=False)
        self.assertEqual((done.returncode, done.stderr),
                         (1, b"lm-sandbox: standard output cannot be written: No space left on device\n"))

    def test_config_show_says_where_a_value_comes_from(self):
        done = cli("config", "show", "--origin", LM_SANDBOX_POOL__SIZE="3")
        self.assertIn(b"LM_SANDBOX_POOL__SIZE", done.stdout)


class Copy(CliTest):
    """cp, both ways."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.box = cls.daemon.post("/v1/sandboxes", {"name": "copies"}).json()["id"]

    def setUp(self):
        self.here = pathlib.Path(tempfile.mkdtemp(prefix="lmsb-copy-"))
        self.addCleanup(shutil.rmtree, self.here)

    def cp(self, *words, **more):
        return self.cli("cp", *words, cwd=self.here, **more)

    def sh(self, cmd):
        done = self.cli("exec", "copies", "sh", "-c", cmd)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.decode()

    def test_a_file_goes_in_and_comes_out(self):
        (self.here / "a.bin").write_bytes(bytes(range(256)))
        (self.here / "a.bin").chmod(0o750)
        self.assert_ends(self.cp("a.bin", "copies:/tmp/b.bin"), 0, b"", b"")
        self.assertEqual(self.sh("stat -c %a /tmp/b.bin"), "750\n")
        self.assert_ends(self.cp("copies:/tmp/b.bin", "c.bin"), 0, b"", b"")
        self.assertEqual((self.here / "c.bin").read_bytes(), bytes(range(256)))

    def test_it_keeps_its_name_in_a_directory(self):
        (self.here / "name").write_text("x")
        self.assert_ends(self.cp("name", "copies:/tmp"), 0)
        self.assert_ends(self.cp("name", "copies:/tmp/new/"), 0)
        self.assertEqual(self.sh("cat /tmp/name /tmp/new/name"), "xx")
        (self.here / "d").mkdir()
        self.assert_ends(self.cp("copies:/tmp/name", "d"), 0)
        self.assertEqual((self.here / "d/name").read_text(), "x")

    def test_a_directory_goes_in_and_comes_out(self):
        (self.here / "tree/sub").mkdir(parents=True)
        (self.here / "tree/sub/f").write_text("deep")
        (self.here / "tree/link").symlink_to("sub/f")
        self.assert_ends(self.cp("tree", "copies:/tmp/tree"), 0, b"", b"")
        self.assertEqual(self.sh("cat /tmp/tree/link; readlink /tmp/tree/link"), "deepsub/f\n")
        self.assert_ends(self.cp("tree/.", "copies:/tmp/content"), 0)
        self.assertEqual(self.sh("cat /tmp/content/sub/f"), "deep")
        self.assert_ends(self.cp("copies:/tmp/tree", "back"), 0, b"", b"")
        self.assertEqual((self.here / "back/sub/f").read_text(), "deep")
        self.assert_ends(self.cp("copies:/tmp/tree", "."), 0)
        self.assertEqual((self.here / "tree/link").read_text(), "deep")

    def test_what_is_no_file_is_left_out_and_said(self):
        (self.here / "t").mkdir()
        os.mkfifo(self.here / "t/fifo")
        done = self.cp("t", "copies:/tmp/t")
        self.assert_ends(done, 0)
        self.assertIn(b"fifo is left out", done.stderr)

    def test_a_tree_of_a_sandbox_cannot_write_elsewhere(self):
        self.sh("mkdir -p /tmp/evil; ln -s /tmp/lmsb-copy-target /tmp/evil/out; echo x > /tmp/evil/f")
        (self.here / "dest").mkdir()
        (self.here / "dest/evil").mkdir()
        (self.here / "dest/evil/f").symlink_to(self.here / "victim")
        self.assert_ends(self.cp("copies:/tmp/evil", "dest"), 0)
        self.assertFalse((self.here / "victim").exists(), "a link that stood there is replaced, not followed")
        self.assertEqual((self.here / "dest/evil/f").read_text(), "x\n")

    def test_a_link_that_a_copy_brought_leads_nowhere_later(self):
        outside = self.here / "outside"
        outside.mkdir()
        self.sh(f"mkdir -p /tmp/first /tmp/data; ln -sfn {outside} /tmp/first/data; echo bad > /tmp/data/keys")
        self.assert_ends(self.cp("copies:/tmp/first", "work"), 0)
        done = self.cp("copies:/tmp/data", "work")
        self.assertEqual(done.returncode, 1)
        self.assertEqual(list(outside.iterdir()), [])

    def test_a_pipe_is_written_to_where_the_user_named_it_and_not_where_a_copy_may_have_led(self):
        pipe = self.here / "pipe"
        os.mkfifo(pipe)
        self.sh("echo piped > /tmp/f")
        with subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE) as reader:
            self.assert_ends(self.cp("copies:/tmp/f", "pipe"), 0)
            self.assertEqual(reader.stdout.read(), b"piped\n")
        self.assertTrue(pipe.is_fifo())
        (self.here / "d").mkdir()
        (self.here / "d/f").symlink_to(pipe)
        self.assert_ends(self.cp("copies:/tmp/f", "d"), 0)
        self.assertEqual((self.here / "d/f").read_text(), "piped\n")
        self.assertTrue((self.here / "d/f").is_file() and not (self.here / "d/f").is_symlink())

    def test_a_tar_archive_goes_through_stdin_and_stdout(self):
        self.sh("mkdir -p /tmp/s; echo streamed > /tmp/s/f")
        archive = self.cp("copies:/tmp/s", "-")
        self.assert_ends(archive, 0)
        self.assertEqual(self.names_in(archive.stdout), ["s", "s/f"])  # a directory keeps its name, as with Docker
        self.assert_ends(self.cp("-", "copies:/tmp/s2", stdin=archive.stdout), 0, b"", b"")
        self.assertEqual(self.sh("cat /tmp/s2/s/f"), "streamed\n")
        self.assertEqual(self.names_in(self.cp("copies:/tmp/s/.", "-").stdout), ["f"])
        self.assertEqual(self.names_in(self.cp("copies:/tmp/s/f", "-").stdout), ["f"])
        self.assert_one_line(self.cp("copies:/no/such", "-"), "/no/such")

    @staticmethod
    def names_in(archive):
        return sorted(tarfile.open(fileobj=io.BytesIO(archive)).getnames())

    def test_what_was_copied_is_told_as_json(self):
        (self.here / "j/d").mkdir(parents=True)
        (self.here / "j/d/f").write_text("12345")
        os.mkfifo(self.here / "j/fifo")
        told = json.loads(self.cp("--json", "j", "copies:/tmp/j").stdout)
        self.assertEqual((told["path"], told["files"], told["bytes"], told["skipped_count"]), ("/tmp/j", 2, 5, 1))
        self.assertEqual(told["skipped"][0]["path"], "fifo")
        told = json.loads(self.cp("--json", "copies:/tmp/j", "back").stdout)
        self.assertEqual((told["path"], told["files"], told["bytes"], told["skipped"]), ("back", 2, 5, []))
        for words in (("j/d/f", "copies:/tmp/f"), ("copies:/tmp/f", "out")):
            told = json.loads(self.cp("--json", *words).stdout)
            self.assertEqual((told["files"], told["bytes"]), (1, 5))
        self.assert_one_line(self.cp("--json", "copies:/tmp/j", "-"), "--json", "leave --json out")

    def test_large_ones_take_no_memory(self):
        with open(self.here / "large", "wb") as large:
            large.truncate(300 << 20)
        words = [str(lmsb.BIN / "lm-sandbox"), "cp", "large", "copies:/tmp/large"]
        env = {**os.environ, "LM_SANDBOX_HOST": f"unix:{self.daemon.run_dir}/api.sock"}
        process = subprocess.Popen(words, cwd=self.here, env=env)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        self.assertEqual(process.returncode, 0)
        self.assertLess(used.ru_maxrss, 100 << 10)
        self.assertEqual(self.sh("stat -c %s /tmp/large; rm /tmp/large"), f"{300 << 20}\n")

    def test_what_is_not_there_is_said_with_its_name(self):
        done = self.cp("copies:/no/such", "x")
        self.assertEqual(done.returncode, 1)
        self.assert_one_line(done, "/no/such")
        self.assertFalse((self.here / "x").exists())
        self.assert_one_line(self.cp("missing", "copies:/tmp"), "missing")
        self.assertEqual(self.cp("a", "b").returncode, 2)
        self.assertEqual(self.cp("nobox:/tmp", "x").returncode, 1)


if __name__ == "__main__":
    lmsb.main()

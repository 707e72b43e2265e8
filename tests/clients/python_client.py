#!/usr/bin/python3
"""The Python client (clients/python) against a daemon of the test's own: the README's examples, and each feature."""
import contextlib
import hashlib
import io
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import threading
import tracemalloc

HERE = pathlib.Path(__file__).resolve()
CLIENT = HERE.parents[2] / "clients/python"
sys.path[:0] = [str(HERE.parents[1] / "support"), str(CLIENT)]
import lm_sandbox
import lmsb
from lm_sandbox import (ApiError, Backoff, Busy, Client, CommandFailed, Conflict, ConnectionFailed, Ended, Error, Image,
                        InvalidRequest, Key, Limits, Model, NotAllowed, NotFound, Output, Quota, Sandbox, SandboxEvents,
                        Snapshot, Started, TerminalClosed, Volume)
from models import ModelTest

MIB = 1 << 20


class ClientTest(lmsb.SystemTest):
    env = {}

    @classmethod
    def setUpClass(cls):
        lmsb.require_root()
        cls.before = lmsb.leftovers()
        cls.daemon = lmsb.Daemon(*cls.flags, env=cls.env).start()
        cls.client = Client(f"http://{cls.daemon.host}:{cls.daemon.port}", api_key="")

    @classmethod
    def tearDownClass(cls):
        cls.client.close()
        super().tearDownClass()

    def no_disks(self):
        """Why disks are not kept here; "": they are."""
        return next((line for line in self.daemon.log_text().splitlines() if "disks cannot be kept here" in line), "")

    def run_once(self, cmd, **fields):
        return lm_sandbox.run(cmd, client=self.client, **fields)

    def refused(self, kind, code, call, *args, **fields):
        with self.assertRaises(kind) as caught:
            call(*args, **fields)
        self.assertEqual(caught.exception.code, code, caught.exception)

    def program(self, text):
        """A Python program that uses the client and asks this daemon, as a user's would."""
        env = {**os.environ, "PYTHONPATH": str(CLIENT), "LM_SANDBOX_HOST": str(self.client.address)}
        return subprocess.Popen([sys.executable, "-W", "error", "-c", text], env=env, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)

    def no_process(self, *argv):
        lmsb.wait_until(lambda: not lmsb.sandbox_processes("\0".join(argv).encode()), "an ended command")


class BoxTest(ClientTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.box = Sandbox.create(client=cls.client)

    def sh(self, cmd):
        return self.box.exec(cmd).check().stdout


class Readme(ClientTest):
    blocks = re.findall(r"```(python)?\n(.*?)```\n", (CLIENT / "README.md").read_text(), re.S)

    def test_each_example_prints_what_stands_below_it_and_is_short(self):
        found = 0
        for (language, text), (_, below) in zip(self.blocks, self.blocks[1:]):
            if language != "python":
                continue
            found += 1
            self.assertLessEqual(text.count("\n"), 20, text)
            if "Volume" in text and self.no_disks():
                continue
            program = self.program(text)
            out, err = program.communicate(timeout=300)
            self.assertEqual((program.returncode, out), (0, below), text + err)
        self.assertEqual(found, 8)


class Install(ClientTest):
    def test_pip_installs_it_without_a_network(self):
        find = "import importlib.util as u, sys; sys.exit(not all(map(u.find_spec, ('pip', 'setuptools', 'wheel'))))"
        if subprocess.run(["/usr/bin/python3", "-c", find], check=False).returncode != 0:
            self.skipTest("python3-pip, python3-setuptools and python3-wheel are needed")
        with tempfile.TemporaryDirectory() as top:
            built = shutil.ignore_patterns("build", "*.egg-info", "__pycache__")
            shutil.copytree(CLIENT, f"{top}/source", ignore=built)
            subprocess.run(["/usr/bin/python3", "-m", "pip", "install", "--quiet", "--no-build-isolation", "--no-index",
                            "--root-user-action", "ignore", "--target", f"{top}/there", f"{top}/source"], check=True)
            self.assertEqual(sorted(os.listdir(f"{top}/there/lm_sandbox")), sorted(
                [*(p.name for p in (CLIENT / "lm_sandbox").iterdir() if p.suffix == ".py"), "__pycache__", "py.typed"]))


class OneShots(ClientTest):
    def test_files_of_any_octets_go_in_and_come_out(self):
        octets = bytes(range(256)) * 100
        result = self.run_once("cat text; cat < blob > sub/copy; printf x > /tmp/abs",
                               files={"text": "\u20ac\n", "blob": octets, "sub/.keep": "", "me": HERE},
                               outputs=["sub/copy", "/tmp/abs", "me", "missing"])
        self.assertEqual(result.left_out, {"missing": "file_not_found"})
        self.assertEqual((result.stdout, result.exit_code), ("\u20ac\n", 0))
        self.assertEqual(result.files, {"sub/copy": octets, "/tmp/abs": b"x", "me": HERE.read_bytes()})

    def test_output_that_is_no_text_is_there_as_octets(self):
        result = self.run_once(["cat"], stdin=b"a\xff")
        self.assertEqual((result.stdout, result.stdout_bytes, result.stderr), ("a\ufffd", b"a\xff", ""))

    def test_a_command_is_killed_at_its_time_limit(self):
        result = self.run_once("echo begun; (setsid sleep 1040 &); sleep 1040", timeout=3)
        self.assertEqual((result.outcome, result.timed_out, result.stdout), ("timed_out", True, "begun\n"))
        self.assertRaises(CommandFailed, result.check)
        self.no_process("sleep", "1040")

    def test_a_limit_of_memory_is_kept_and_said(self):
        result = self.run_once("head -c 200M /dev/zero | tail", limits=Limits(memory_bytes=64 * MIB))
        self.assertEqual((result.outcome, result.oom_killed), ("oom_killed", True))

    def test_output_beyond_the_cap_says_what_is_missing(self):
        result = self.run_once("seq 1000000")
        self.assertTrue(result.truncated)
        self.assertGreater(result.truncated.stdout_bytes, 0)
        self.assertTrue(result.stdout.startswith("1\n2\n") and result.stdout.endswith("1000000\n"))

    def test_environment_directory_and_shell_are_the_callers(self):
        result = self.run_once("echo $A $PWD $0", env={"A": "b c"}, cwd="/tmp", shell="/bin/sh")
        self.assertEqual(result.stdout, "b c /tmp /bin/sh\n")

    def test_what_it_used_is_told(self):
        result = self.run_once("true")
        self.assertGreater(result.usage.max_memory_bytes, 0)
        self.assertEqual((result.signal, result.background_left, len(result.sandbox_id)), (None, False, 20))
        self.assertIsNone(result.process_id)

    def test_what_there_is_is_listed(self):
        self.assertIn("host", [image.name for image in Image.list(client=self.client)])
        self.assertIn("demonstration", [model.id for model in Model.list(client=self.client) if model.demonstration])

    def test_a_plan_starts_nothing(self):
        self.assertIn("mount", lm_sandbox.plan("true", client=self.client))

    def test_what_is_wrong_is_said_field_by_field(self):
        with self.assertRaises(InvalidRequest) as caught:
            self.run_once("true", limits={"memory_bytes": 0}, runtime="none-such")
        self.assertEqual({fault["path"] for fault in caught.exception.fields}, {"limits.memory_bytes", "runtime"})
        self.refused(NotFound, "image_not_found", self.run_once, "true", image="none-such")

    def test_it_can_be_followed(self):
        with lm_sandbox.run_stream("cat in; exit 3", files={"in": "x"}, client=self.client) as events:
            kinds = [type(event).__name__ for event in events]
        self.assertEqual((kinds, events.result.exit_code), (["Started", "Output", "Ended"], 3))

    def test_the_unix_socket_serves_the_same(self):
        with Client(f"unix:{self.daemon.ready['socket']}") as client:
            self.assertEqual([lm_sandbox.run("whoami", client=client).stdout for _ in range(3)], ["user\n"] * 3)
            self.assertTrue(client.info()["ready"])

    def test_a_user_without_the_variable_finds_the_users_socket(self):
        with tempfile.TemporaryDirectory() as runtime:
            os.mkdir(f"{runtime}/lm-sandbox")
            os.symlink(self.daemon.ready["socket"], f"{runtime}/lm-sandbox/api.sock")
            address = lm_sandbox.address.Address.find({"XDG_RUNTIME_DIR": runtime})
        self.assertEqual(str(address), f"unix:{runtime}/lm-sandbox/api.sock")

    def test_many_threads_share_one_client(self):
        results = {}

        def ask(i):
            results[i] = self.run_once(f"echo {i}").stdout

        threads = [threading.Thread(target=ask, args=(i,)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(results, {i: f"{i}\n" for i in range(8)})


class Models(ModelTest):
    image = "llama"

    def test_one_is_loaded_before_it_is_asked_and_let_go_again(self):
        with lmsb.Daemon(data_dir=self.data) as daemon, Client(f"http://{daemon.host}:{daemon.port}", api_key="") as client:
            self.assertTrue(Model.load("demonstration", keep_alive=60, client=client).loaded)
            self.assertTrue(next(model for model in Model.list(client=client) if model.demonstration).loaded)
            self.assertFalse(Model.unload("demonstration", client=client).loaded)
            with self.assertRaises(NotFound):
                Model.load("nobody", client=client)


class Keys(ClientTest):
    env = {"LM_SANDBOX_AUTH__REQUIRED": "true",
           "LM_SANDBOX_AUTH__KEY_SHA256": hashlib.sha256(b"the key").hexdigest()}

    def test_keys_are_made_used_listed_and_revoked(self):
        with Client(str(self.client.address), api_key="the key") as admin:
            key = Key.create("ci", scopes=["write"], labels={"team": "a"}, quota=Quota(sandboxes=1), expires=3600,
                             client=admin)
            with Client(str(self.client.address), api_key=key.secret) as client:
                self.assertTrue(lm_sandbox.run("true", client=client).ok)
                with Sandbox.create(client=client) as box:
                    self.assertEqual(box.info.labels, {"team": "a"})
                self.refused(NotAllowed, "permission_denied", Key.create, "own", client=client)
                (listed,) = Key.list(client=admin)
                self.assertEqual((listed.id, listed.name, listed.secret, listed.info.quota.sandboxes),
                                 (key.id, "ci", None, 1))
                key.delete()
                self.refused(NotAllowed, "key_unknown", lm_sandbox.run, "true", client=client)
            self.assertEqual(list(Key.list(client=admin)), [])

    def test_a_key_is_sent_where_there_is_one(self):
        self.refused(NotAllowed, "key_required", self.run_once, "true")
        with Client(str(self.client.address), api_key="another") as client:
            self.refused(NotAllowed, "key_unknown", lm_sandbox.run, "true", client=client)
        with Client(str(self.client.address), api_key="the key") as client:
            self.assertTrue(lm_sandbox.run("true", client=client).ok)


class Sandboxes(ClientTest):
    def test_all_that_can_be_asked_for_is_there(self):
        with Sandbox.create(name="all", image=self.client.info()["default_image"], cwd="/tmp", user="user",
                            env={"A": "1"}, labels={"b": "2"}, runtime="native", egress={"mode": "none"}, mounts=[],
                            limits=Limits(64 * MIB, 0.5, 50, 16 * MIB), client=self.client) as box:
            self.assertEqual((box.name, box.info.state, box.info.labels), ("all", "running", {"b": "2"}))
            self.assertEqual(box.info.limits, Limits(64 * MIB, 0.5, 50, 16 * MIB, 64 * MIB))
            self.assertEqual(box.exec("echo $PWD $A").stdout, "/tmp 1\n")
            self.refused(Conflict, "name_taken", Sandbox.create, name="all", client=self.client)
        self.refused(NotFound, "sandbox_not_found", box.refresh)

    def test_one_has_the_models_that_it_is_given(self):
        with Sandbox.create(models=["demonstration"], model_limits={"tokens": 100}, client=self.client) as box:
            self.assertEqual((box.info.models, box.info.model_limits["tokens"]), (["demonstration"], 100))
            self.assertEqual(box.exec("echo $LM_SANDBOX_MODEL").stdout, "demonstration\n")
            self.assertEqual(box.stats().models["requests"], 0)
        told = lm_sandbox.run("echo $OLLAMA_HOST", models=["demonstration"], client=self.client)
        self.assertEqual(told.stdout, "127.0.0.1:11434\n")

    def test_one_is_paused_resumed_changed_and_measured(self):
        with Sandbox.create(timeout=3600, on_timeout="pause", client=self.client) as box:
            self.assertEqual((box.info.timeout_ms, box.info.on_timeout), (3_600_000, "pause"))
            box.pause()
            self.assertEqual(box.info.state, "paused")
            self.refused(Conflict, "sandbox_paused", box.exec, "true")
            box.resume()
            box.update(labels={"a": "1", "b": None}, timeout=0, idle=60)
            self.assertEqual((dict(box.info.labels), box.info.expires_at, box.info.idle_ms), ({"a": "1"}, None, 60_000))
            self.assertIsNone(box.stats().models)
            box.update(limits={"memory_bytes": 128 << 20, "cpus": 0.5}, egress={"mode": "none"})
            self.assertEqual((box.info.limits.memory_bytes, box.info.limits.cpus), (128 << 20, 0.5))
            stats = box.stats()
            self.assertEqual(stats.state, "running")
            self.assertGreater(stats.memory_bytes, 0)
            self.assertEqual(stats.limits.processes, 1024)

    def test_one_that_is_connected_to_stays(self):
        box = Sandbox.create(name="stays", client=self.client)
        with Sandbox.connect("stays", client=self.client) as same:
            self.assertEqual(same.id, box.id)
        with Sandbox.connect(box.id[:10], client=self.client):
            pass
        self.assertEqual(box.refresh().state, "running")
        box.delete()
        self.refused(NotFound, "sandbox_not_found", Sandbox.connect, "stays", client=self.client)

    def test_they_are_listed_by_label(self):
        with Sandbox.create(labels={"of": "a"}, client=self.client) as a, \
                Sandbox.create(labels={"of": "b"}, client=self.client) as b:
            self.assertEqual([info.id for info in Sandbox.list(labels={"of": "a"}, client=self.client)], [a.id])
            self.assertEqual([info.id for info in Sandbox.list(state="running", client=self.client)], [a.id, b.id])

    def test_a_block_that_ends_after_its_sandbox_is_no_error(self):
        with Sandbox.create(client=self.client) as box:
            box.delete()

    def test_a_creation_whose_answer_is_lost_makes_one_sandbox(self):
        relay = socket.create_server(("127.0.0.1", 0))
        losing = threading.Thread(target=self.lose_first_answer, args=(relay,))
        losing.start()
        with Client("http://127.0.0.1:%d" % relay.getsockname()[1], api_key="") as client:
            box = Sandbox.create(labels={"of": "relay"}, client=client)
        losing.join()
        relay.close()
        self.assertEqual([info.id for info in Sandbox.list(labels={"of": "relay"}, client=self.client)], [box.id])
        Sandbox.connect(box.id, client=self.client).delete()

    def lose_first_answer(self, relay):
        """Passes two requests on, each on a connection of its own, and only the second answer back."""
        for is_passed_back in (False, True):
            with relay.accept()[0] as client, socket.create_connection((self.daemon.host, self.daemon.port)) as daemon:
                request = client.recv(65536)
                while not request.endswith(b"}"):
                    request += client.recv(65536)
                daemon.sendall(request.replace(b"Host: 127.0.0.1:%d" % relay.getsockname()[1], b"Host: localhost"))
                answer = daemon.recv(65536)
                if is_passed_back:
                    client.sendall(answer)
                    client.recv(1)  # until it goes


class Disks(ClientTest):
    def setUp(self):
        if self.no_disks():
            self.skipTest(self.no_disks())
        self.addCleanup(self.assert_nothing_is_left)
        self.box = self.deleted(Sandbox.create(client=self.client))
        self.box.files.write("a", "kept")

    def assert_nothing_is_left(self):
        self.assertEqual(list(Sandbox.list(client=self.client)), [])
        self.assertEqual(list(Snapshot.list(client=self.client)), [])

    def deleted(self, box):
        """The same, deleted at the end of the test."""
        self.addCleanup(box.delete)
        return box

    def snapshot(self, **fields):
        taken = self.box.snapshot(**fields)
        self.addCleanup(taken.delete)
        return taken

    def test_what_was_written_is_there_when_a_stopped_one_is_started_again(self):
        process = self.box.start("sleep 1050")
        self.box.stop()
        self.assertEqual(self.box.info.state, "stopped")
        self.no_process("sleep", "1050")
        self.refused(Conflict, "sandbox_stopped", self.box.exec, "true")
        self.box.start_again()
        self.assertEqual((self.box.info.state, self.box.refresh().state), ("running", "running"))
        self.assertEqual(self.box.files.read_text("a"), "kept")
        self.refused(NotFound, "process_not_found", process.refresh)

    def test_one_that_is_made_from_a_snapshot_has_what_was_there_then(self):
        taken = self.snapshot(name="first")
        self.assertEqual(Snapshot.connect(taken.id, client=self.client).name, "first")
        self.assertEqual(Snapshot.connect("first", client=self.client).id, taken.id)
        self.assertEqual([one.id for one in self.box.snapshots()], [taken.id])
        self.box.files.write("a", "later")
        copy = self.deleted(Sandbox.create(snapshot=taken, client=self.client))
        self.assertEqual((copy.files.read_text("a"), self.box.files.read_text("a")), ("kept", "later"))
        self.refused(NotFound, "snapshot_not_found", Sandbox.create, snapshot="snp_nothing", client=self.client)

    def test_one_that_went_through_a_file_is_the_same(self):
        with tempfile.NamedTemporaryFile() as file:
            self.assertEqual(self.snapshot(name="first").save(file.name), os.stat(file.name).st_size)
            made = Snapshot.load(file.name, name="moved", client=self.client)
            octets = pathlib.Path(file.name).read_bytes()
        self.addCleanup(made.delete)
        self.assertEqual(made.name, "moved")
        self.assertEqual(self.deleted(Sandbox.create(snapshot=made, client=self.client)).files.read_text("a"), "kept")
        self.refused(Conflict, "name_taken", Snapshot.load, octets, client=self.client)  # the file says the first one's
        self.refused(InvalidRequest, "snapshot_damaged", Snapshot.load, octets[:-1], name="cut", client=self.client)
        self.refused(InvalidRequest, "not_a_snapshot", Snapshot.load, [b"something else"], client=self.client)
        self.refused(NotFound, "snapshot_not_found", Snapshot.connect, "snp_nothing", client=self.client)

    def test_each_fork_has_its_files_and_goes_its_own_way(self):
        forks = [self.deleted(fork) for fork in self.box.fork(2)]
        self.assertEqual(len({self.box.id, *(fork.id for fork in forks)}), 3)
        for fork in forks:
            self.assertEqual((fork.info.state, fork.files.read_text("a")), ("running", "kept"))
            fork.files.write("a", fork.id)
        self.assertEqual([fork.files.read_text("a") for fork in forks], [fork.id for fork in forks])
        self.assertEqual(self.box.files.read_text("a"), "kept")

    def test_a_rollback_takes_back_what_came_later(self):
        taken = self.snapshot()
        self.box.files.write("a", "later")
        self.box.files.write("b", "later")
        self.box.rollback(taken)
        self.assertEqual(self.box.info.state, "running")
        self.assertEqual((self.box.files.read_text("a"), self.box.files.exists("b")), ("kept", False))
        other, = map(self.deleted, self.box.fork())
        self.refused(InvalidRequest, "snapshot_of_another", other.rollback, taken)


    def test_a_volume_outlives_sandboxes_and_is_theirs_together(self):
        volume = Volume.create("data", size_bytes=64 * MIB, labels={"a": "1"}, client=self.client)
        self.addCleanup(volume.delete)
        with Sandbox.create(volumes={"/data": volume}, client=self.client) as first:
            first.files.write("/data/x", "shared")
            self.assertEqual(volume.refresh().used_by, [first.id])
            self.refused(Conflict, "volume_in_use", volume.delete)
        with Sandbox.create(volumes={"/d": "data:ro"}, client=self.client) as second:
            self.assertEqual(second.exec("cat /d/x; touch /d/y").stdout, "shared")
            self.assertFalse(second.files.exists("/d/y"))
        told = self.run_once("cat /data/x", volumes={"/data": volume})
        self.assertEqual(told.stdout, "shared")
        volume.update(size_bytes=128 * MIB, labels={"a": None, "b": "2"})
        self.assertEqual((volume.info.size_bytes, volume.info.labels), (128 * MIB, {"b": "2"}))
        self.assertEqual([one.id for one in Volume.list(labels={"b": "2"}, client=self.client)], [volume.id])
        self.assertEqual(list(Volume.list(labels={"a": "1"}, client=self.client)), [])
        self.assertEqual(Volume.connect("data", client=self.client).id, volume.id)
        self.refused(Conflict, "name_taken", Volume.create, "data", client=self.client)


class Events(ClientTest):
    def test_what_happens_is_told_and_a_lost_connection_misses_nothing(self):
        with SandboxEvents(client=self.client) as events:
            with Sandbox.create(name="told", client=self.client) as box, box.events() as of_box:
                self.assertEqual((next(events).type, events.last_id[-1:].isdigit()), ("sandbox.created", True))
                box.pause()
                self.assertEqual([next(source).type for source in (events, of_box)], ["sandbox.paused"] * 2)
                events._stream._answer.abort()  # as a network does
                box.resume()
                self.assertEqual(next(events).type, "sandbox.resumed")
                last = events.last_id
            removed = next(events)
            self.assertEqual((removed.type, removed.sandbox_id, removed.name, removed.missed),
                             ("sandbox.removed", box.id, "told", 0))
        with SandboxEvents(processes=True, client=self.client) as events, Sandbox.create(client=self.client) as box:
            box.exec("exit 3")
            told = [next(events) for _ in range(3)]
            self.assertEqual([one.type for one in told], ["sandbox.created", "process.started", "process.ended"])
            self.assertEqual((told[2].sandbox_id, told[2].outcome, told[2].exit_code, told[2].id),
                             (box.id, "exited", 3, None))
        with SandboxEvents(after=last, client=self.client) as events:
            self.assertEqual((next(events), events.restarts), (removed, 0))


class Streams(BoxTest):
    def test_every_event_comes_in_its_turn_and_the_verdict_last(self):
        process_of_its_own = "mkfifo gate; echo a; read x < gate; printf '\\377' >&2; exit 4"
        with self.box.exec_stream(process_of_its_own) as events:
            self.assertIsInstance(next(events), Started)
            self.assertEqual(next(events), Output("stdout", 0, b"a\n"))
            self.sh("echo go > gate")  # on another connection, while this one is open
            self.assertEqual(next(events), Output("stderr", 0, b"\xff"))
            self.assertEqual(events.wait().exit_code, 4)
            self.assertEqual(list(events), [])

    def test_much_output_comes_whole(self):
        digest = hashlib.sha256()
        with self.box.exec_stream("seq 100000") as events:
            for event in events:
                if isinstance(event, Output):
                    digest.update(event.data)
        self.assertEqual(digest.digest(), hashlib.sha256("".join(f"{i}\n" for i in range(1, 100001)).encode()).digest())

    def test_both_streams_come_as_one_in_the_order_of_writing(self):
        both = "echo a; echo b >&2; echo c"
        self.assertEqual(self.run_once(both, merge_stderr=True).stdout, "a\nb\nc\n")
        self.assertEqual(self.box.exec(both, merge_stderr=True).stdout, "a\nb\nc\n")
        with self.box.start(both, merge_stderr=True) as process:
            process.wait(timeout=30)
            self.assertEqual(process.output().text, "a\nb\nc\n")

    def test_a_command_that_is_followed_takes_input(self):
        with self.box.exec_stream("while read x; do echo got $x; done; exit 6", keep_stdin=True) as events:
            events.write("one\n")
            self.assertEqual([type(next(events)), next(events).text], [Started, "got one\n"])
            events.write(b"two\n")
            self.assertEqual(next(events).text, "got two\n")
            events.close_stdin()
            self.assertEqual(events.wait().exit_code, 6)
        with self.box.exec_stream("true") as events:
            self.assertRaises(Error, events.write, "x")

    def test_leaving_early_kills_the_command(self):
        with self.box.exec_stream("echo a; (setsid sleep 1041 &); sleep 1041") as events:
            next(events), next(events)
        self.no_process("sleep", "1041")

    def test_another_thread_can_close_it(self):
        with self.box.exec_stream("sleep 1042") as events:
            next(events)
            closing = threading.Thread(target=events.close)
            closing.start()
            self.assertRaises(lm_sandbox.Cancelled, next, events)
            closing.join()
        self.no_process("sleep", "1042")

    def test_a_time_limit_is_a_verdict(self):
        self.assertEqual(self.box.exec_stream("sleep 1043", timeout=0.3).wait().outcome, "timed_out")

    def test_a_command_that_cannot_start_is_an_error(self):
        self.refused(InvalidRequest, "invalid_command", self.box.exec_stream, "a\0b")


class Processes(BoxTest):
    def test_one_is_written_to_read_and_waited_for(self):
        process = self.box.start("cat; echo end >&2", keep_stdin=True)
        self.assertIsNone(process.poll())
        process.write("\u20ac")
        process.write(b"\xff")
        self.assertEqual(process.output(wait=30).data, "\u20ac".encode())
        process.close_stdin()
        self.assertEqual(process.wait(timeout=30).exit_code, 0)
        self.assertEqual(process.output("stderr").text, "end\n")
        last = process.output(offset=3)
        self.assertEqual((last.data, last.next_offset, last.ended), (b"\xff", 4, True))
        self.refused(Conflict, "input_closed", process.write, "x")
        process.delete()
        self.refused(NotFound, "process_not_found", process.refresh)

    def test_more_than_a_request_holds_can_be_written(self):
        process = self.box.start("sha256sum", keep_stdin=True)
        octets = bytes(range(256)) * 4 * 3000
        process.write(octets)
        process.close_stdin()
        self.assertTrue(process.wait().ok)
        self.assertEqual(process.output().text.split()[0], hashlib.sha256(octets).hexdigest())

    def test_a_signal_and_a_kill_reach_it(self):
        process = self.box.start("trap 'echo got it' USR1; echo ready; while :; do sleep 0.05; done")
        process.output(wait=30)
        process.signal(signal.SIGUSR1)
        self.assertEqual(process.output(offset=6, wait=30).text, "got it\n")
        process.kill()
        self.assertEqual((process.wait().signal, process.wait().exit_code), ("SIGKILL", 137))
        self.refused(Conflict, "process_ended", process.signal, "TERM")

    def test_a_wait_that_is_over_leaves_it_running(self):
        with self.box.start(["sleep", "1044"]) as process:
            self.assertRaises(TimeoutError, process.wait, timeout=0.05)
            self.assertIsNone(process.poll())
            self.assertEqual(self.box.process(process.id).info.cmd, ["sleep", "1044"])
            self.assertIn(process.id, [one.id for one in self.box.processes()])
        self.no_process("sleep", "1044")

    def test_following_tells_everything_from_any_offset_and_leaves_it_alone(self):
        process = self.box.start("echo a; read x; echo b; exit 5", keep_stdin=True)
        with process.follow() as early:
            self.assertEqual(next(early).text, "a\n")
        with process.follow("stdout", 1) as events:
            self.assertEqual(next(events), Output("stdout", 1, b"\n"))
            process.write("go\n")
            self.assertEqual(next(events), Output("stdout", 2, b"b\n"))
            self.assertEqual(events.wait().exit_code, 5)

    def test_what_there_is_now_can_be_had_without_waiting(self):
        with self.box.start("echo a; read x", keep_stdin=True) as process:
            process.output(wait=30)
            self.assertEqual([event.text for event in process.follow(until_now=True)], ["a\n"])

    def test_a_terminal_has_a_size(self):
        with self.box.start("stty size; read x; stty size", pty=(100, 30), keep_stdin=True) as process:
            self.assertEqual(process.output(wait=30).text.strip(), "30 100")
            process.resize(120, 40)
            process.write("\n")
            process.wait(timeout=30)
            self.assertIn("40 120", process.output().text)

    def test_a_time_limit_is_a_verdict(self):
        self.assertEqual(self.box.start("sleep 1045", timeout=0.3).wait().outcome, "timed_out")


    def test_what_all_have_written_is_there_together(self):
        with Sandbox.create(client=self.client) as box:
            first = box.start("echo a; echo b >&2; exit 2")
            first.wait(timeout=30)
            second = box.start("echo c; read x; echo d", keep_stdin=True)
            second.output(wait=30)
            self.assertEqual({(one.process, one.stream, one.text) for one in box.logs()},
                             {(first.id, "stdout", "a\n"), (first.id, "stderr", "b\n"), (second.id, "stdout", "c\n")})
            with box.follow_logs() as events:
                second.write("go\n")
                told = list(events)
            self.assertEqual("".join(one.event.text for one in told if isinstance(one.event, Output) and
                                     one.process == second.id), "c\nd\n")
            self.assertEqual({one.process: one.event.result.exit_code for one in told
                              if isinstance(one.event, Ended)}, {first.id: 2, second.id: 0})
            self.assertEqual("".join(one.event.text for one in box.follow_logs(until_now=True)
                                     if isinstance(one.event, Output) and one.process == first.id), "b\na\n")


class Terminals(BoxTest):
    def test_a_shell_shows_what_is_typed_at_the_size_it_has(self):
        with self.box.terminal(cols=100, rows=30) as terminal:
            terminal.write("stty size\n")
            terminal.read_until("30 100", timeout=30)
            terminal.resize(120, 40)
            terminal.write("stty size\n")
            terminal.read_until("40 120", timeout=30)
            terminal.write("exit 7\n")
            for _ in terminal:
                pass
            self.assertEqual(terminal.result.exit_code, 7)

    def test_a_lost_connection_shows_nothing_twice_and_misses_nothing(self):
        script = "stty -echo; for i in $(seq 20000); do echo $i; done; read x; echo got $x; exit 3"
        with self.box.terminal(script) as terminal:
            seen = bytearray()
            while b"\n20000\r" not in seen:
                seen += terminal.read(timeout=30)
                with contextlib.suppress(OSError):  # lost before: what had come until then is still read
                    terminal._socket._socket.shutdown(socket.SHUT_RDWR)  # as a network does
            terminal.write("it\n")
            seen += b"".join(terminal)
        self.assertEqual(seen.replace(b"\r", b"").decode(), "".join(f"{i}\n" for i in range(1, 20001)) + "got it\n")
        self.assertEqual(terminal.result.exit_code, 3)

    def test_whoever_opens_it_takes_it_over_and_closing_leaves_the_process(self):
        terminal = self.box.terminal("echo ready; exec sleep 1051")
        terminal.read_until("ready", timeout=30)
        process = self.box.process(terminal.process)
        with process.terminal(offset=terminal.offset) as other:
            with self.assertRaises(TerminalClosed) as caught:
                while terminal.read(timeout=30):
                    pass
            self.assertEqual(caught.exception.code, "terminal_taken")
            with self.assertRaises(TimeoutError):
                other.read_until("ready", timeout=0.05)  # it was shown before that offset
        terminal.close()
        self.assertIsNone(process.poll())
        process.delete()
        self.refused(NotFound, "process_not_found", process.terminal)

    def test_a_block_ends_its_process(self):
        with self.box.terminal("exec sleep 1052") as terminal:
            self.assertIn(terminal.process, [one.id for one in self.box.processes()])
        self.no_process("sleep", "1052")

    def test_the_unix_socket_has_terminals_too(self):
        with Client(f"unix:{self.daemon.ready['socket']}") as client:
            with Sandbox.connect(self.box.id, client=client).terminal("echo there") as terminal:
                self.assertEqual(b"".join(terminal), b"there\r\n")

    def test_a_process_without_one_is_refused(self):
        with self.box.start("sleep 1053") as process:
            with self.assertRaises(ApiError):
                process.terminal()


class Ports(BoxTest):
    def test_what_listens_is_listed_and_reached(self):
        serve = "import socket; s = socket.create_server(('127.0.0.1', 7000)); print('up', flush=True)\n" \
                "while True:\n c, _ = s.accept(); c.sendall(c.recv(100).upper()); c.close()"
        with self.box.start(["python3", "-c", serve]) as server:
            server.output(wait=30)
            self.assertIn(7000, [port.port for port in self.box.ports()])
            for client in (self.client, Client(f"unix:{self.daemon.ready['socket']}")):
                with Sandbox.connect(self.box.id, client=client).connect_port(7000) as opened:
                    opened.sendall(b"hello")
                    self.assertEqual(opened.makefile("rb").read(), b"HELLO")
            with self.assertRaises(ApiError) as caught:
                self.box.connect_port(7001)
            self.assertEqual((caught.exception.code, caught.exception.retryable), ("port_not_listening", True))
            self.assertIn(f"7000-{self.box.id}.localhost", self.box.preview(7000, expires=60).url)

    def test_what_it_may_reach_is_told(self):
        self.assertEqual((self.box.egress().egress["mode"], self.box.egress().allowed), ("none", 0))


class Sessions(BoxTest):
    def test_they_are_listed_and_looked_at(self):
        with self.box.session("seen") as shell:
            self.refused(NotFound, "session_not_found", shell.refresh)
            self.assertEqual(shell.run("echo a; echo b >&2", merge_stderr=True).stdout, "a\nb\n")
            (listed,) = self.box.sessions()
            self.assertEqual((listed.name, listed.state, shell.refresh().pid), ("seen", "idle", listed.pid))

    def test_what_a_command_leaves_is_there_for_the_next(self):
        with self.box.session() as shell:
            self.assertTrue(shell.run("cd /tmp; export A=1; f() { echo f; }").ok)
            self.assertEqual(shell.run("echo $PWD $A; f; false").stdout, "/tmp 1\nf\n")
            self.assertEqual(self.box.session(shell.name).run("echo $?; exit 3").exit_code, 3)
            self.assertEqual(shell.run("echo [$A]").stdout, "[]\n")

    def test_a_time_limit_ends_it(self):
        with self.box.session("timed") as shell:
            self.assertEqual(shell.run("A=1; sleep 1046", timeout=0.3).outcome, "timed_out")
            self.assertEqual(shell.run("echo [$A]").stdout, "[]\n")
        self.refused(NotFound, "session_not_found", shell.end)


class Repeated(io.RawIOBase):
    """A file of so many octets that is nowhere."""

    block = hashlib.sha256(b"block").digest() * 2048  # 64 KiB

    def __init__(self, size):
        super().__init__()
        self.left = size
        self.digest = hashlib.sha256()

    def read(self, size=-1):
        taken = self.block[:min(size, self.left)]
        self.left -= len(taken)
        self.digest.update(taken)
        return taken


class FilesTest(BoxTest):
    @property
    def files(self):
        return self.box.files

    def peak(self, call):
        """The most memory that a call has had, in bytes."""
        tracemalloc.start()
        try:
            call()
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()


class Content(FilesTest):
    def test_a_file_goes_in_and_comes_out(self):
        octets = bytes(range(256))
        info = self.files.write("a/b.bin", octets, mode=0o600)
        self.assertEqual((info.path, info.size, info.mode, info.owner), ("/workspace/a/b.bin", 256, 0o600, "user"))
        self.assertEqual(self.files.read("a/b.bin"), octets)
        self.assertEqual(self.files.read("a/b.bin", 10, 3), b"\n\x0b\x0c")
        self.assertEqual([self.files.read("a/b.bin", *part) for part in ((250,), (256,), (0, 0))],
                         [octets[250:], b"", b""])

    def test_text_is_text(self):
        self.files.write("t", "\u20ac\n")
        self.files.append("t", "more")
        self.assertEqual(self.files.read_text("t"), "\u20ac\nmore")

    def test_an_iterable_and_a_file_are_contents_too(self):
        self.files.write("i", (b"%d" % i for i in range(5)))
        self.files.append("i", io.BytesIO(b"!"))
        out = io.BytesIO()
        self.assertEqual((self.files.read_into("i", out), out.getvalue()), (6, b"01234!"))
        self.assertEqual(self.files.write("empty", b"").size, 0)

    def test_a_file_has_an_owner_and_is_replaced_only_as_it_was_seen(self):
        seen = self.files.write("seen", "1", owner="user")
        self.assertEqual((seen.owner, self.files.chmod("seen", owner="user")), ("user", 1))
        etag = self.files.stat("seen").file.etag
        self.files.write("seen", "2", if_match=etag)
        self.refused(ApiError, "precondition_failed", self.files.write, "seen", "3", if_match=etag)
        self.assertEqual(self.files.read("seen"), b"2")

    def test_creating_does_not_replace(self):
        self.files.write("once", "1", create=True)
        self.refused(Conflict, "file_exists", self.files.write, "once", "2", create=True)
        self.assertEqual(self.files.read("once"), b"1")

    def test_what_is_not_there_or_not_allowed_is_an_error(self):
        self.refused(NotFound, "file_not_found", self.files.read, "none")
        self.refused(NotAllowed, "file_access_denied", self.files.write, "/etc/x", "x")
        self.refused(Conflict, "is_a_directory", self.files.read, "/tmp")
        self.assertFalse(self.files.exists("none"))
        gone = Sandbox.create(client=self.client)
        gone.delete()
        self.refused(NotFound, "sandbox_not_found", gone.files.exists, "x")

    def test_a_source_that_fails_leaves_the_old_file(self):
        def failing():
            yield bytes(MIB)
            raise OSError("the disk is broken")

        self.files.write("kept", "old")
        with self.assertRaisesRegex(OSError, "the disk is broken"):
            self.files.write("kept", failing())
        self.assertEqual(self.files.read("kept"), b"old")

    def test_a_hundred_megabytes_need_no_memory(self):
        source, read = Repeated(100 * MIB), hashlib.sha256()

        def back():
            for piece in self.files.pieces("large"):
                read.update(piece)

        self.assertLess(self.peak(lambda: self.files.write("large", source)), 4 * MIB)
        self.assertEqual(self.sh("sha256sum < large").split()[0], source.digest.hexdigest())
        self.assertLess(self.peak(back), 4 * MIB)
        self.assertEqual(read.digest(), source.digest.digest())
        self.files.remove("large")


class Trees(FilesTest):
    def test_names_that_are_no_text_can_be_listed_read_moved_and_removed(self):
        self.files.write(b"odd/\xff\xfe\n", "x")
        (info,) = self.files.list("odd")
        self.assertEqual(info.name, "\udcff\udcfe\n")
        self.assertEqual(info.path.encode("utf-8", "surrogateescape"), b"/workspace/odd/\xff\xfe\n")
        self.assertEqual(self.files.read(info.path), b"x")
        self.assertEqual([one.path for one in self.files.glob("odd/*")], [info.path])
        self.assertEqual([one.path for one in self.files.grep("x", "odd")], [info.path])
        self.assertEqual(self.files.move(info.path, b"odd/\x80").file.name, "\udc80")
        self.files.remove(b"odd/\x80")
        self.assertEqual(list(self.files.list("odd")), [])

    def test_a_list_of_any_length_comes_page_by_page(self):
        self.sh("mkdir many; cd many; seq -w 1 2500 | xargs touch; mkdir sub; touch sub/x")
        self.assertEqual([one.name for one in self.files.list("many")], [f"{n:04d}" for n in range(1, 2501)] + ["sub"])
        self.assertEqual([one.path for one in self.files.list("many", depth=2)][-1], "/workspace/many/sub/x")

    def test_what_cannot_be_read_is_said(self):
        self.sh("mkdir -p shut/in; chmod 0 shut/in")
        listing = self.files.list("shut", depth=2)
        self.assertEqual([one.name for one in listing], ["in"])
        self.assertEqual((listing.skipped_count, listing.skipped[0].path), (1, "/workspace/shut/in"))

    def test_links_are_told_apart_from_what_they_lead_to(self):
        self.sh("echo x > there; ln -s there link; ln -s nowhere dangling")
        stat = self.files.stat("link")
        self.assertEqual((stat.file.type, stat.file.target, stat.target.name, stat.followed.is_file),
                         ("symlink", "there", "link", True))
        self.assertIsNone(self.files.stat("dangling").target)
        self.assertTrue(self.files.exists("dangling"))

    def test_files_are_found_changed_moved_copied_and_removed(self):
        self.files.write("m/x/a.py", "colour = 1\n\ncolour = 2\n")
        self.files.write("m/x/b.txt", "colour\n")
        self.assertEqual(self.files.copy("m", "m2").file.path, "/workspace/m2")
        self.refused(Conflict, "file_exists", self.files.move, "m", "m2")
        replaced = self.files.replace("m2", "colour", "color", names="*.py")
        self.assertEqual((replaced.replacements, replaced.files), (2, {"/workspace/m2/x/a.py": 2}))
        found = self.files.grep("^COLOR = [0-9]$", "m2", regex=True, ignore_case=True)
        self.assertEqual([(one.line, one.text) for one in found], [(1, "color = 1"), (3, "color = 2")])
        self.assertEqual(len(self.files.grep("colour", "m", names="*.txt")), 1)
        self.assertEqual([one.name for one in self.files.glob("**/*.py", "m")], ["a.py"])
        self.assertTrue(self.files.glob("**", "m", limit=1).truncated)
        self.assertEqual(self.files.chmod("m2", 0o700, recursive=True), 4)
        self.assertEqual(self.files.mkdir("deep/er", mode=0o711).mode, 0o711)
        self.refused(Conflict, "directory_not_empty", self.files.remove, "m")
        self.files.remove("m", recursive=True)
        self.assertFalse(self.files.exists("m"))

    def test_a_full_disk_is_said(self):
        with Sandbox.create(limits=Limits(disk_bytes=16 * MIB), client=self.client) as box:
            self.refused(ApiError, "disk_full", box.files.write, "large", Repeated(24 * MIB))
            self.assertFalse(box.files.exists("large"))


class Watching(FilesTest):
    def until(self, events, kind, path):
        seen = []
        for event in events:
            seen.append((event.type, event.path))
            if seen[-1] == (kind, path):
                return seen
        self.fail(f"{kind} {path} never came: {seen}")

    def test_everything_from_then_on_is_told(self):
        self.files.mkdir("w/deep")
        with self.files.watch("w") as events:
            self.sh("echo x > w/a; echo y > w/deep/b; chmod 600 w/a; mv w/a w/c; touch w/end")
            seen = self.until(events, "created", "/workspace/w/end")
        for expected in (("created", "/workspace/w/a"), ("written", "/workspace/w/deep/b"),
                         ("changed", "/workspace/w/a"), ("renamed", "/workspace/w/a"), ("created", "/workspace/w/c")):
            self.assertIn(expected, seen)

    def test_it_ends_with_its_directory(self):
        self.files.mkdir("g")
        with self.files.watch("g") as events:
            self.files.remove("g")
            self.assertEqual([event.type for event in events][-1], "gone")

    def test_another_thread_can_close_it(self):
        with self.files.watch("/tmp") as events:
            closing = threading.Thread(target=events.close)
            closing.start()
            self.assertRaises(lm_sandbox.Cancelled, next, events)
            closing.join()

    def test_what_cannot_be_watched_is_refused(self):
        self.refused(NotFound, "file_not_found", self.files.watch, "none")


class Transfers(FilesTest):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.here = pathlib.Path(folder.name)

    def test_a_directory_goes_there_and_back(self):
        source = self.here / "source"
        (source / "d" / ("n" * 200)).mkdir(parents=True)
        (source / "d" / ("n" * 200) / "f").write_bytes(bytes(range(256)))
        (source / "run").write_text("#!/bin/sh\necho ran\n")
        (source / "run").chmod(0o755)
        (source / "link").symlink_to("run")
        with open(os.fsencode(source) + b"/\xff", "wb") as file:
            file.write(b"odd")
        self.assertEqual(self.files.upload(source, "there").skipped_count, 0)
        self.assertEqual(self.sh("there/link; ls there | wc -l"), "ran\n4\n")
        done = self.files.download("there", self.here / "back")
        self.assertEqual((done.files, done.bytes), (3, 256 + 19 + 3))
        subprocess.run(["diff", "-r", "--no-dereference", source, self.here / "back"], check=True)
        self.assertEqual((self.here / "back/run").stat().st_mode & 0o777, 0o755)

    def test_a_file_goes_there_and_back(self):
        self.files.upload(HERE, "me.py")
        self.assertEqual(self.sh("stat -c %a me.py"), f"{HERE.stat().st_mode & 0o777:o}\n")
        self.assertEqual(self.files.download("me.py", self.here / "me").bytes, HERE.stat().st_size)
        self.assertEqual((self.here / "me").read_bytes(), HERE.read_bytes())
        self.refused(NotFound, "file_not_found", self.files.download, "none", self.here / "none")
        self.assertEqual(os.listdir(self.here), ["me"])

    def test_archives_are_streams(self):
        self.sh("mkdir -p t/d; echo 1 > t/d/f; mkfifo t/fifo")
        for kind in ("tar", "tar.zst", "zip"):
            packed = self.files.download_archive("t", format=kind)
            done = self.files.upload_archive(packed, f"t2/{kind}", format=kind)
            self.assertEqual((done.skipped_count, self.sh(f"cat t2/{kind}/d/f")), (0, "1\n"))
        self.refused(InvalidRequest, "invalid_archive", self.files.upload_archive, io.BytesIO(b"x" * 2000), "t3")

    def test_what_cannot_be_read_is_no_archive(self):
        self.sh("mkdir shut; seq 100000 > shut/a; touch shut/b; chmod 0 shut/b")
        with self.assertRaises(ApiError) as refused:
            self.files.download("shut", self.here / "shut")
        self.assertEqual(refused.exception.code, "file_access_denied")
        self.assertFalse((self.here / "shut").exists())
        archive = io.BytesIO(b"".join(self.files.download_archive("shut", skip_unreadable=True)))
        self.assertEqual(tarfile.open(fileobj=archive).getnames(), ["a"])

    def test_large_trees_need_no_memory(self):
        source = self.here / "source"
        source.mkdir()
        with open(source / "large", "wb") as file:
            file.truncate(100 * MIB)
        self.assertLess(self.peak(lambda: self.files.upload(source, "big")), 4 * MIB)
        self.assertLess(self.peak(lambda: self.files.download("big", self.here / "back")), 4 * MIB)
        self.assertEqual((self.here / "back/large").stat().st_size, 100 * MIB)
        self.files.remove("big", recursive=True)


class Full(ClientTest):
    env = {"LM_SANDBOX_LIMITS__MAX_RUNNING": "1", "LM_SANDBOX_LIMITS__MAX_WAITING": "0"}

    def test_a_full_daemon_refuses_a_run_and_a_map_waits_for_room(self):
        class Freeing(Backoff):
            """Whoever has to wait finds that there is room."""

            def plan(self):
                return self

            def next(self, retry_after=None):
                waits.append(retry_after)
                events.close()
                return 0.0

        waits = []
        with Sandbox.create(client=self.client) as box, box.exec_stream("sleep 1050") as events:
            next(events)
            self.refused(Busy, "too_many_requests", self.run_once, "true")
            done = list(lm_sandbox.map(["echo a", "echo b", "echo c"], concurrency=1, backoff=Freeing(),
                                       client=self.client))
        self.assertEqual([d.result.stdout for d in done], ["a\n", "b\n", "c\n"])
        self.assertGreater(done[0].attempts, 1)
        self.assertEqual(waits[0], 1.0)


class Batches(ClientTest):
    def test_results_come_in_order_and_failures_at_their_place(self):
        jobs = [{"cmd": "cat i; exit $((RANDOM % 2))", "files": {"i": str(i)}} for i in range(20)]
        jobs[7] = {"cmd": []}
        done = list(lm_sandbox.map(jobs, concurrency=4, client=self.client))
        self.assertEqual([d.result.stdout for d in done if d.index != 7], [str(i) for i in range(20) if i != 7])
        self.assertIsInstance(done[7].error, InvalidRequest)

    def test_leaving_early_ends_the_commands(self):
        for done in lm_sandbox.map(["true"] + ["sleep 1047"] * 3, concurrency=4, ordered=False, client=self.client):
            break
        del done
        self.no_process("sleep", "1047")

    def test_an_interrupt_from_the_keyboard_ends_the_commands_and_the_program(self):
        program = self.program("import lm_sandbox\nfor done in lm_sandbox.map(['sleep 1048'] * 9, concurrency=3): pass")
        lmsb.wait_until(lambda: len(lmsb.sandbox_processes(b"sleep\0" + b"1048")) == 3, "three commands")
        program.send_signal(signal.SIGINT)
        _, err = program.communicate(timeout=60)
        self.assertEqual((program.returncode, err.strip().splitlines()[-1]), (-signal.SIGINT, "KeyboardInterrupt"))
        self.no_process("sleep", "1048")


class Lost(ClientTest):
    def test_a_daemon_that_dies_in_the_middle_is_an_error_never_a_result(self):
        box = Sandbox.create(client=self.client)
        answers = {}

        def ask(name, call):
            try:
                answers[name] = call()
            except Exception as error:
                answers[name] = error

        asking = [threading.Thread(target=ask, args=one) for one in (
            ("run", lambda: self.run_once("sleep 1049")), ("exec", lambda: box.exec("sleep 1049")),
            ("stream", lambda: list(box.exec_stream("sleep 1049"))))]
        for thread in asking:
            thread.start()
        lmsb.wait_until(lambda: len(lmsb.sandbox_processes(b"sleep\0" + b"1049")) == 3, "three commands")
        os.kill(self.daemon.daemon_pid(), signal.SIGKILL)
        for thread in asking:
            thread.join()
        self.assertEqual({name: type(answer) for name, answer in answers.items()},
                         dict.fromkeys(("run", "exec", "stream"), ConnectionFailed))
        self.assertTrue(answers["run"].may_have_run)


if __name__ == "__main__":
    lmsb.main()

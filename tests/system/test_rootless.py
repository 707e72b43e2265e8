#!/usr/bin/python3
"""A daemon that a normal user runs, seen by root: who may come in, what it holds and shows of the user, what it is weaker in and
says so, what it refuses where something is missing. (What it does for the user is the other tests' to show: as_user.py.)"""
import contextlib
import errno
import json
import os
import pathlib
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import as_user
import lmsb
import world

PROGRAM = lmsb.BIN / "lm-sandbox"
# Asks a daemon for something and prints the status and the answer.
ASK = """import http.client, json, sys
c = http.client.HTTPConnection(sys.argv[1], int(sys.argv[2]), timeout=60)
c.request(sys.argv[3], sys.argv[4], sys.argv[5] or None, {"Content-Type": "application/json"})
r = c.getresponse(); print(r.status, r.read().decode())"""


def serve(user, *flags, env=None, is_private=True):
    """Such a daemon and its ready line, or what it said before it ended."""
    read, write = os.pipe()
    ends = ["--die-with-parent"] if is_private else []
    process = user.popen([PROGRAM, "serve", "--listen", "127.0.0.1:0", "--ready-fd", str(write), *ends, *flags],
                         env=env, pass_fds=[write], stderr=subprocess.PIPE, text=True)
    os.close(write)
    with os.fdopen(read) as ready:
        line = ready.readline()
    return (process, json.loads(line)) if line else (process, process.communicate()[1])


@contextlib.contextmanager
def serving(user, *flags, env=None):
    process, ready = serve(user, *flags, env=env)
    try:
        assert isinstance(ready, dict), ready
        yield ready
    finally:
        process.terminate()
        process.communicate(timeout=60)


def refusal(user, *flags, env=None):
    process, said = serve(user, *flags, env=env)
    assert isinstance(said, str), "it started"
    assert process.returncode != 0
    return said


def ask(ready, who, method, path, body=None):
    """As a user of the machine: (status, answer). `who`: (uid, gid)."""
    host, port = ready["http"][0].rsplit(":", 1)
    done = subprocess.run(["setpriv", f"--reuid={who[0]}", f"--regid={who[1]}", "--clear-groups", "/usr/bin/python3", "-c", ASK, host,
                           port, method, path, json.dumps(body) if body is not None else ""], stdout=subprocess.PIPE, text=True,
                          check=True, timeout=120)
    status, answer = done.stdout.split(" ", 1)
    return int(status), json.loads(answer) if answer.strip() else None


def mounts_that_name(user, ready, image):
    """Those that a sandbox sees with the user's number, or the number of the user's group."""
    asked = {"cmd": "cat /proc/self/mountinfo", "image": image}
    lines = ask(ready, (user.uid, user.gid), "POST", "/v1/run", asked)[1]["stdout"].splitlines()
    assert any(" /run/lm-sandbox " in line for line in lines), lines
    return [line for line in lines if re.search(rf"\buid={user.uid}\b|\bgid={user.gid}\b", line)]


def status_of(pid):
    return dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)


def setUpModule():
    lmsb.require_root()
    if shutil.which("newuidmap") is None:
        raise unittest.SkipTest("newuidmap is needed (package uidmap)")


FORKS = "import os, time\nn = 0\ntry:\n while n < 300:\n  n += 1\n  os.fork() or time.sleep(60)\nexcept OSError as e: print(e.errno)"

class Serving(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if shutil.which("ip") is None:
            raise unittest.SkipTest("ip is needed, for an internet of the test's own (package iproute2)")
        cls.addClassCleanup(world.World().end)
        cls.user = cls.enterClassContext(as_user.User())
        session = {"GITHUB_TOKEN": "secret", "SSH_AUTH_SOCK": "/nowhere", "LM_SANDBOX_API_KEY": "secret",
                   "LM_SANDBOX_NETWORK__RESOLVERS": f"{world.GOOD}:53"}
        cls.ready = cls.enterClassContext(serving(cls.user, env=session))
        cls.me = (cls.user.uid, cls.user.gid)

    def launcher(self):
        parent = status_of(self.ready["pid"])["PPid"]
        children = pathlib.Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        found = [int(pid) for pid in children if status_of(pid)["Name"] == "lmsb-launcher"]
        return found[0], int(parent)

    def test_a_command_of_the_user_runs(self):
        status, answer = ask(self.ready, self.me, "POST", "/v1/run", {"cmd": "id -u; id -un"})
        self.assertEqual((status, answer["stdout"]), (200, "1000\nuser\n"))

    def test_nobody_else_may_come_in_by_loopback(self):
        first = as_user.FIRST_ID
        # Root and nobody of the machine are not mapped where the daemon is; sandboxes' ids, and its own, are.
        for stranger in ((0, 0), (65534, 65534), (1, 1), (first, first), (first + 1000, first), (first + as_user.COUNT - 1, first)):
            status, answer = ask(self.ready, stranger, "POST", "/v1/run", {"cmd": "id"})
            self.assertEqual((status, answer["error"]["code"]), (401, "key_required"), stranger)
            self.assertIn("only the user who runs this daemon", answer["error"]["hint"])

    def test_its_directories_are_closed_to_everybody_else(self):
        for path in (pathlib.Path(self.ready["socket"]).parent, self.user.home / ".local/share/lm-sandbox"):
            info = path.stat()
            self.assertEqual((info.st_uid, stat.S_IMODE(info.st_mode)), (self.user.uid, 0o700), path)

    def test_the_daemon_is_not_the_user_has_no_power_and_nothing_of_the_session(self):
        pid = self.ready["pid"]
        fields = status_of(pid)
        self.assertEqual(set(fields["Uid"].split()), {str(as_user.FIRST_ID + as_user.COUNT - 1)})
        self.assertEqual({fields[c] for c in ("CapInh", "CapPrm", "CapEff", "CapAmb")}, {"0" * 16})
        self.assertEqual((fields["NoNewPrivs"], fields["Seccomp"], fields["Name"]), ("1", "2", "lm-sandbox"))
        self.assertNotIn(str(self.user.gid), fields["Groups"].split())
        _, parent = self.launcher()
        for process in (pid, parent):
            names = {entry.split(b"=")[0] for entry in pathlib.Path(f"/proc/{process}/environ").read_bytes().split(b"\0")}
            self.assertFalse(names & {b"GITHUB_TOKEN", b"SSH_AUTH_SOCK", b"LM_SANDBOX_API_KEY", b"HOME", b"XDG_RUNTIME_DIR"}, names)
            self.assertIn(b"PATH", names)

    def test_the_daemon_sees_of_a_closed_home_its_own_directories_alone(self):
        (self.user.home / "secret").write_text("secret")
        seen = pathlib.Path(f"/proc/{self.ready['pid']}/root{self.user.home}")
        found = {str(path.relative_to(seen)) for path in seen.rglob("*") if path.is_dir()}
        self.assertNotIn("secret", os.listdir(seen))
        ways = {".local", ".local/share", "run"}
        self.assertEqual({p for p in found if not re.match(r"(\.local/share|run)/lm-sandbox\b", p)}, ways)

    def test_the_daemon_is_in_no_directory_of_its_callers(self):
        self.assertEqual(os.readlink(f"/proc/{self.ready['pid']}/cwd"), "/")

    def test_the_users_other_programs_keep_half_of_what_is_counted_for_all(self):
        for name in ("max_inotify_instances", "max_inotify_watches"):
            path = pathlib.Path("/proc/sys/user", name)
            inside = subprocess.run(["nsenter", "--user", "--preserve-credentials", "--target", str(self.launcher()[0]), "cat", path],
                                    stdout=subprocess.PIPE, text=True, check=True)
            self.assertEqual(int(inside.stdout), int(path.read_text()) // 2, name)

    def test_all_daemons_of_the_user_share_the_locks_of_ids(self):
        locks = str(self.user.home / ".local/state/lm-sandbox/ids")

        def opened(pid):
            for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir():
                with contextlib.suppress(FileNotFoundError):
                    yield os.readlink(fd)

        with serving(self.user, env={"XDG_RUNTIME_DIR": str(self.user.home / "tmp")}) as other:
            for parent in (status_of(ready["pid"])["PPid"] for ready in (self.ready, other)):
                children = pathlib.Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
                launcher = next(pid for pid in children if status_of(pid)["Name"] == "lmsb-launcher")
                self.assertIn(locks, set(opened(launcher)))

    def test_the_launcher_has_power_in_the_users_namespace_alone(self):
        launcher, parent = self.launcher()
        ours = os.readlink("/proc/self/ns/user")
        for pid in (launcher, parent, self.ready["pid"]):
            self.assertNotEqual(os.readlink(f"/proc/{pid}/ns/user"), ours)
            self.assertEqual(status_of(pid)["Groups"].split() if pid != self.ready["pid"] else [], [])
        fields = status_of(launcher)
        self.assertEqual((fields["Uid"].split()[0], fields["Seccomp"]), (str(self.user.uid), "2"))

    def test_what_is_weaker_is_said(self):
        info = ask(self.ready, self.me, "GET", "/v1/info")[1]
        said = " ".join(info["weaker"])
        self.assertNotIn("own_ids", info["isolation"])
        for what in ("no root between", "range of ids", "no sandbox has the profile root", "list of devices", "device nodes", "disks of kept sandboxes lie in memory"):
            self.assertIn(what, said)

    def test_who_the_user_is_stands_in_no_mount_of_a_sandbox(self):
        self.assertEqual(mounts_that_name(self.user, self.ready, "host"), [])
    def test_processes_have_a_limit_whatever_is_delegated(self):
        answer = ask(self.ready, self.me, "POST", "/v1/run", {"cmd": ["python3", "-c", FORKS], "limits": {"processes": 30}, "timeout_ms": 20000})[1]
        self.assertIn("11", answer["stdout"])

    def test_a_network_leads_where_its_policy_says(self):
        asks = "import urllib.request; print(urllib.request.urlopen('http://good.test/', timeout=20).status)"
        for egress, reaches in (({"allow": ["good.test"]}, True), ({"allow": ["other.test"]}, False), ({}, False)):
            body = {"cmd": ["python3", "-c", asks], **({"egress": egress} if egress else {})}
            done = ask(self.ready, self.me, "POST", "/v1/run", body)[1]
            self.assertEqual(done["stdout"], "200\n" if reaches else "", (egress, done["stderr"]))

    def shown(self, *command, mount, **options):
        done = self.user.popen([PROGRAM, "run", "-v", mount, "host", *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        out, error = done.communicate(timeout=60)
        return done.returncode, out, error

    def directory(self, mode=0o755):
        made = pathlib.Path(tempfile.mkdtemp(dir=self.user.home / "tmp"))
        (made / "open").write_text("open")
        (made / "closed").write_text("closed")
        (made / "closed").chmod(0o600)
        for path in (made, made / "open", made / "closed"):
            os.chown(path, self.user.uid, self.user.gid)
        made.chmod(mode)
        return made

    def test_a_directory_is_shown_with_what_everybody_may_read_in_it(self):
        made = self.directory()
        code, out, error = self.shown("sh", "-c", "cat /in/open; cat /in/closed; touch /in/new; stat -c %U /in/open", mount=f"{made}:/in:ro")
        self.assertEqual(out, "opennobody\n", error)
        self.assertIn("closed: Permission denied", error)
        self.assertIn("Read-only file system", error)

    def test_a_directory_to_write_to_is_refused_with_why(self):
        code, _, error = self.shown("true", mount=f"{self.directory()}:/in")
        self.assertNotEqual(code, 0)
        self.assertIn("lets none be written to", error)
        self.assertIn(":ro", error)

    # In a sandbox that shares those ids it would be the sandbox's own: other containers' storage, say.
    def test_a_directory_of_a_subordinate_id_is_refused_with_why(self):
        made = self.directory()
        for owner in ((as_user.FIRST_ID + 1000, self.user.gid), (self.user.uid, as_user.FIRST_ID)):
            os.chown(made, *owner)
            code, _, error = self.shown("true", mount=f"{made}:/in:ro")
            self.assertNotEqual(code, 0)
            self.assertIn("belongs to a subordinate id of yours", error)

    def test_a_directory_with_a_mount_below_it_is_refused_with_why(self):
        made = self.directory()
        (made / "below").mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "none", made / "below"], check=True)
        self.addCleanup(subprocess.run, ["umount", made / "below"], check=True)
        with serving(self.user, "--run-dir", str(self.user.home / "run/third")) as ready:  # it sees what was there when it started
            done = self.user.popen([PROGRAM, "--host", "unix:" + ready["socket"], "run", "-v", f"{made}:/in:ro", "host", "true"],
                                   stderr=subprocess.PIPE, text=True)
            self.assertIn("another file system is mounted below", done.communicate(timeout=60)[1])

    def offer(self, path):
        """A program that hands a directory over and prints the errno of the answer."""
        desk = str(pathlib.Path(self.ready["socket"]).parent / "mounts.sock")
        return ["/usr/bin/python3", "-c", f"""import os, socket, struct
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.connect({desk!r})
try:
  socket.send_fds(s, [struct.pack("II", 0x4C4D4D4F, 1)], [os.open({str(path)!r}, os.O_PATH | os.O_DIRECTORY)])
  print(struct.unpack("i16x", s.recv(20))[0])
except ConnectionError: print("gone")"""]

    # The launcher has the user's power: what it shows is what was handed over, not what is found by that name.
    def test_a_directory_by_whose_name_something_else_is_found_is_not_shown(self):
        made = self.directory()
        cover = ["unshare", "--map-root-user", "--mount", "sh", "-c", f'mount --bind /etc {made} && exec "$@"', "sh"]
        for before, answer in (([], 0), (cover, errno.ESTALE)):
            done = self.user.popen(before + self.offer(made), stdout=subprocess.PIPE, text=True)
            self.assertEqual(done.communicate(timeout=60)[0], f"{answer}\n")

    def test_nobody_else_may_hand_over_a_directory(self):
        stranger = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *self.offer("/usr")],
                                  stderr=subprocess.PIPE, text=True, check=False)
        self.assertIn("PermissionError", stranger.stderr)
        root = subprocess.run(self.offer("/root"), stdout=subprocess.PIPE, text=True, check=True, timeout=60)
        self.assertIn(root.stdout, (f"{errno.EPERM}\n", "gone\n"))  # it is answered before it has handed over anything

    def test_a_command_without_a_daemon_has_one_of_its_own(self):
        env = {"XDG_RUNTIME_DIR": str(self.user.home / "tmp")}
        done = self.user.popen([PROGRAM, "run", "host", "echo", "here"], env=env, stdout=subprocess.PIPE, text=True)
        self.assertEqual((done.communicate(timeout=60)[0], done.returncode), ("here\n", 0))


class Healing(unittest.TestCase):
    def test_a_launcher_that_dies_is_started_again_and_its_sandboxes_have_ended(self):
        """Their disks lie in memory, so nothing stays."""
        with as_user.User() as user:
            me = (user.uid, user.gid)
            process, ready = serve(user, is_private=False)
            self.assertIsInstance(ready, dict, ready)
            try:
                made = ask(ready, me, "POST", "/v1/sandboxes", {})[1]["id"]
                for _ in range(2):
                    self.kill_launcher(process.pid, ready, me)
                    status, answer = ask(ready, me, "POST", "/v1/run", {"cmd": "id -u"})
                    self.assertEqual((status, answer["stdout"]), (200, "1000\n"))
                    self.assertEqual(ask(ready, me, "GET", "/v1/sandboxes/" + made)[0], 404)
                    self.assertIsNone(process.poll())
            finally:
                process.terminate()
                said = process.communicate(timeout=60)[1]
            self.assertEqual(said.count("it and the daemon start again; its sandboxes have ended"), 2)
            self.assertEqual(process.returncode, 0, said)
            lmsb.wait_until(lambda: not any(user.left().values()), lambda: f"a clean machine: {user.left()}")

    def test_a_second_daemon_of_the_user_on_the_same_data_is_refused(self):
        with as_user.User() as user:
            process, ready = serve(user, is_private=False)
            self.assertIsInstance(ready, dict, ready)
            try:
                elsewhere = {"XDG_RUNTIME_DIR": str(user.home / "tmp")}
                second, said = serve(user, env=elsewhere, is_private=False)
                self.assertIn(f"another lm-sandbox (process {process.pid}, run directory {user.home}/run/lm-sandbox) keeps its data", said)
                with serving(user, env=elsewhere) as private:
                    self.assertEqual(ask(private, (user.uid, user.gid), "POST", "/v1/run", {"cmd": "id -u"})[0], 200)
            finally:
                process.kill()
                process.communicate(timeout=60)
            process, ready = serve(user, env=elsewhere, is_private=False)
            process.terminate()
            self.assertIsInstance(ready, dict, ready)
            process.communicate(timeout=60)

    def kill_launcher(self, parent, ready, who):
        """Returns when the next pair serves."""
        def pair():
            pids = pathlib.Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
            found = {}
            for pid in pids:
                with contextlib.suppress(OSError):  # one has just ended
                    found[status_of(pid)["Name"]] = int(pid)
            return found

        def is_next():
            now = pair()
            return set(now) == {"lmsb-launcher", "lm-sandbox"} and not set(now.values()) & set(before.values())

        before = pair()
        os.kill(before["lmsb-launcher"], signal.SIGKILL)
        lmsb.wait_until(is_next, "the next pair")
        lmsb.wait_until(lambda: ask(ready, who, "GET", "/readyz")[0] == 200, "a daemon that is ready")


class Limits(unittest.TestCase):
    """Where cgroup v2 has the controllers and they are delegated (scripts/vm.sh has such a machine)."""

    @classmethod
    def setUpClass(cls):
        cls.user = cls.enterClassContext(as_user.User())
        if not set(as_user.CONTROLLERS) <= cls.user.delegated():
            raise unittest.SkipTest("cgroup v2 lacks controllers here: vm.sh rootless has them")
        cls.addClassCleanup(lambda: lmsb.wait_until(lambda: not any(cls.user.left().values()), lambda: f"the end of all: {cls.user.left()}"))
        cls.ready = cls.enterClassContext(serving(cls.user))

    def ask(self, method, path, body=None):
        status, answer = ask(self.ready, (self.user.uid, self.user.gid), method, "/v1" + path, body)
        self.assertLess(status, 300, answer)
        return answer

    def make(self, **limits):
        made = self.ask("POST", "/sandboxes", {"image": "host", "limits": limits})
        self.addCleanup(self.ask, "DELETE", f"/sandboxes/{made['id']}")
        return "/sandboxes/" + made["id"], made

    def branch(self, path):
        return next(self.user.cgroup.glob("lmsb-*/" + path.rsplit("/", 1)[1]))

    def test_that_they_are_in_force_is_said(self):
        info = self.ask("GET", "/info")
        self.assertIn("cgroup_limits", info["isolation"])
        self.assertNotIn("limit", " ".join(info["weaker"]))
        done = self.user.popen([PROGRAM, "--host", "unix:" + self.ready["socket"], "doctor", "--json"], stdout=subprocess.PIPE, text=True)
        checks = {check["id"]: check for check in json.loads(done.communicate(timeout=300)[0])["checks"]}
        self.assertEqual(checks["cgroup.controllers"]["outcome"], "ok", checks["cgroup.controllers"])
        self.assertNotIn("limit", checks["sandbox.layers"]["detail"])

    def test_memory_ends_what_takes_more_and_the_sandbox_goes_on(self):
        path, made = self.make(memory_bytes=64 << 20)
        self.assertIn("cgroup_limits", made["isolation"])
        taken = self.ask("POST", path + "/exec", {"cmd": ["python3", "-c", "x = b'x' * (200 << 20)"]})
        self.assertEqual((taken["outcome"], taken["oom_killed"]), ("oom_killed", True))
        after = self.ask("POST", path + "/exec", {"cmd": "echo on"})
        self.assertEqual(after["stdout"], "on\n")
        self.assertGreater(after["usage"]["max_memory_bytes"], 0)

    def test_processor_time_is_taken_in_turns(self):
        path, _ = self.make(cpus=0.2)
        self.assertEqual((self.branch(path) / "cpu.max").read_text(), "20000 100000\n")
        self.ask("POST", path + "/exec", {"cmd": "while :; do :; done", "detach": True})
        waited = lambda: int(re.search(r"^nr_throttled (\d+)", (self.branch(path) / "cpu.stat").read_text(), re.M)[1])
        lmsb.wait_until(lambda: waited() > 2, "turns of others")

    def test_processes_are_counted_by_the_sandbox_whatever_user_they_are(self):
        path, _ = self.make(processes=30)
        self.assertEqual((self.branch(path) / "pids.max").read_text(), "30\n")
        answer = self.ask("POST", path + "/exec", {"cmd": ["python3", "-c", FORKS], "timeout_ms": 60000})
        self.assertIn(str(errno.EAGAIN), answer["stdout"])
        self.assertIn("max ", (self.branch(path) / "pids.events").read_text())

    def test_limits_can_be_changed_and_use_is_told(self):
        path, _ = self.make(memory_bytes=64 << 20, cpus=0.5, processes=40)
        changed = self.ask("PATCH", path, {"limits": {"memory_bytes": 96 << 20, "processes": 20}})
        self.assertEqual([changed["limits"][name] for name in ("memory_bytes", "processes", "cpus")], [96 << 20, 20, 0.5])
        self.ask("POST", path + "/exec", {"cmd": "exec sleep 1000", "detach": True})
        stats = self.ask("GET", path + "/stats")
        self.assertEqual(stats["limits"], changed["limits"])
        self.assertGreater(stats["memory_bytes"], 0)
        self.assertEqual(stats["processes"], 1)

    def test_it_is_paused_and_goes_on(self):
        path, _ = self.make()
        self.ask("POST", path + "/exec", {"cmd": "exec sleep 1000", "detach": True})
        frozen = lambda: re.search(r"^frozen (\d)", (self.branch(path) / "work/cgroup.events").read_text(), re.M)[1]
        self.assertEqual((self.ask("POST", path + "/pause")["state"], frozen()), ("paused", "1"))
        self.assertEqual((self.ask("POST", path + "/resume")["state"], frozen()), ("running", "0"))
        self.assertEqual(self.ask("POST", path + "/exec", {"cmd": "echo on"})["stdout"], "on\n")


class NoLimits(unittest.TestCase):
    """Where no controller is delegated, or not all of them."""

    def ask(self, *request):
        return ask(self.ready, (self.user.uid, self.user.gid), *request)

    def begin(self, *controllers):
        self.user = self.enterContext(as_user.User(controllers=controllers))
        self.ready = self.enterContext(serving(self.user))

    def refused(self, method, path, body):
        status, answer = self.ask(method, path, body)
        self.assertEqual((status, answer["error"]["code"]), (501, "limit_not_kept"), (path, body))
        self.assertIn("docs/user/rootless.md", answer["error"]["hint"])
        return answer["error"]

    def test_a_limit_that_the_kernel_would_not_keep_is_refused(self):
        self.begin()
        info = self.ask("GET", "/v1/info")[1]
        self.assertNotIn("cgroup_limits", info["isolation"])
        for what in ("memory has no limit", "CPU time has no limit", "processes have a resource limit alone"):
            self.assertIn(what, " ".join(info["weaker"]))
        for path, body in (("/v1/run", {"cmd": "true"}), ("/v1/sandboxes", {})):
            self.refused("POST", path, {**body, "limits": {"memory_bytes": 64 << 20}})
        made = self.ask("POST", "/v1/sandboxes", {"limits": {"processes": 20}})[1]
        self.assertNotIn("cgroup_limits", made["isolation"])
        self.assertIsNone(made["limits"]["memory_bytes"])
        stats = self.ask("GET", f"/v1/sandboxes/{made['id']}/stats")[1]
        self.assertEqual(stats["limits"], made["limits"])
        for limits in ({"memory_bytes": 64 << 20}, {"cpus": 0.5}, {"processes": 10}):
            self.refused("PATCH", "/v1/sandboxes/" + made["id"], {"limits": limits})
        now = self.ask("GET", "/v1/sandboxes/" + made["id"])[1]
        self.assertEqual(now["limits"], made["limits"])

    def test_what_was_delegated_is_kept_to_and_the_rest_is_named(self):
        self.begin("memory", "pids")
        if self.user.delegated() != {"memory", "pids"}:
            self.skipTest("cgroup v2 lacks controllers here: vm.sh rootless has them")
        said = " ".join(self.ask("GET", "/v1/info")[1]["weaker"])
        self.assertIn("CPU time has no limit: the controller cpu was not delegated", said)
        self.assertNotIn("memory has no limit", said)
        self.assertIn("cpu was not delegated", self.refused("POST", "/v1/run", {"cmd": "true", "limits": {"cpus": 0.5}})["message"])
        taken = self.ask("POST", "/v1/run", {"cmd": ["python3", "-c", "x = b'x' * (200 << 20)"], "limits": {"memory_bytes": 64 << 20}})[1]
        self.assertEqual(taken["outcome"], "oom_killed")


class Images(unittest.TestCase):
    def test_of_a_stored_image_all_is_there_and_what_is_removed_is_gone(self):
        with as_user.User() as user:
            if not user.lend_image("base"):
                self.skipTest("image base has not been made")
            script = "stat -c %U:%G /etc/passwd /home/user; cd && rm .profile .bash_logout && ls -A"
            with serving(user, "--data-dir", str(user.home / "data")) as ready:
                asked = {"cmd": script, "image": "base"}
                status, done = ask(ready, (user.uid, user.gid), "POST", "/v1/run", asked)
                if status == 501 and done["error"]["code"] == "image_not_possible":
                    self.assertEqual(ask(ready, (user.uid, user.gid), "POST", "/v1/run", {"cmd": "true"})[0], 200, "it is no default")
                    self.skipTest("this kernel has no stored images for users (Linux 6.6)")
                self.assertEqual(done["stdout"], "root:root\nuser:user\n.bashrc\n", done["stderr"])
                self.assertEqual(mounts_that_name(user, ready, "base"), [])
            removed = user.popen([PROGRAM, "image", "rm", "base", "--data-dir", user.home / "data"])
            self.assertEqual(removed.wait(timeout=60), 0)
            self.assertEqual(os.listdir(user.home / "data/images"), [])


class Ids(unittest.TestCase):
    def test_with_many_each_sandbox_of_image_host_has_its_own(self):
        with as_user.User(count=66 * 65536) as user, serving(user) as ready:
            me = (user.uid, user.gid)
            self.assertNotIn("sandboxes share one range of ids", str(ask(ready, me, "GET", "/v1/info")[1]["weaker"]))
            for _ in range(2):
                made = ask(ready, me, "POST", "/v1/sandboxes", {"image": "host"})[1]
                ask(ready, me, "POST", f"/v1/sandboxes/{made['id']}/exec", {"cmd": "exec sleep 1000", "detach": True})

            def sleeping():
                return [pid for pid in user.processes() if b"sleep\0" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()]

            lmsb.wait_until(lambda: len(sleeping()) == 2, "two commands")
            ranges = {(int(status_of(pid)["Uid"].split()[0]) - as_user.FIRST_ID) // 65536 for pid in sleeping()}
            self.assertEqual(len(ranges), 2)
            self.assertNotIn(0, ranges, "those of images")


class Ending(unittest.TestCase):
    def test_nothing_is_left_however_it_ends(self):
        with as_user.User() as user:
            me = (user.uid, user.gid)
            for how in ("daemon", "launcher", "parent"):
                process, ready = serve(user)
                made = ask(ready, me, "POST", "/v1/sandboxes", {})[1]
                ask(ready, me, "POST", f"/v1/sandboxes/{made['id']}/exec", {"cmd": "setsid sleep 1000 & setsid sleep 1000", "detach": True})
                pids = {status_of(pid)["Name"]: pid for pid in user.processes()}
                os.kill({"daemon": ready["pid"], "launcher": pids["lmsb-launcher"], "parent": process.pid}[how], signal.SIGKILL)
                process.communicate(timeout=60)
                if how != "daemon":  # what it could not remove any more the next start does
                    with serving(user):
                        pass
                lmsb.wait_until(lambda: not any(user.left().values()), lambda: f"the end of all ({how}): {user.left()}")


class OneId(unittest.TestCase):
    """A user with no id but the own one: a command would be who its guest is, so there is no sandbox."""

    @classmethod
    def setUpClass(cls):
        cls.user = cls.enterClassContext(as_user.User(count=0))

    def assert_refused(self, said):
        self.assertIn(f"/etc/subuid has no line of user {self.user.name}", said)
        self.assertRegex(said, rf"usermod --add-subuids (\d+)-\d+ --add-subgids \1-\d+ {self.user.name}")

    def test_serve_says_which_lines_are_missing(self):
        self.assert_refused(refusal(self.user))

    def said_by(self, *words):
        done = self.user.popen([PROGRAM, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        out, error = done.communicate(timeout=60)
        self.assertEqual((out, done.returncode != 0), ("", True), error)
        return error

    def test_a_command_that_needs_no_daemon_says_so_too(self):
        self.assert_refused(self.said_by("run", "host", "true"))

    def test_one_that_needs_a_daemon_says_how_to_start_it(self):
        for words in (["exec", "box", "true"], ["create", "host"], ["ls"]):
            with self.subTest(words[0]):
                self.assertIn("start one: lm-sandbox serve", self.said_by(*words))

    def test_doctor_says_what_adds_them(self):
        done = self.user.popen([PROGRAM, "doctor", "--json"], stdout=subprocess.PIPE, text=True)
        report = json.loads(done.communicate(timeout=60)[0])
        check = next(check for check in report["checks"] if check["id"] == "sandbox.run")
        self.assertEqual(check["outcome"], "missing")
        self.assert_refused(check["detail"] + "; " + check["mend"])


class OneIdAtFirst(unittest.TestCase):
    """The same user, whom no other test has asked anything of."""

    def test_nothing_is_made_of_the_user(self):
        with as_user.User(count=0) as user:
            refusal(user)
            self.assertEqual(user.left(), {"processes": [], "cgroups": []})
            self.assertFalse((user.home / ".local").exists())


class Missing(unittest.TestCase):
    """What a machine lacks is named, with what adds it."""

    def setUp(self):
        self.user = self.enterContext(as_user.User(controllers=()))

    def test_subordinate_ids_of_groups(self):
        ids = f"{as_user.FIRST_ID}-{as_user.FIRST_ID + as_user.COUNT - 1}"
        as_user.run("usermod", "--del-subgids", ids, self.user.name)
        self.assertIn(f"/etc/subgid has no line of user {self.user.name}", refusal(self.user))
        as_user.run("usermod", "--add-subgids", ids, self.user.name)  # as it was

    def test_a_cgroup(self):
        os.removexattr(self.user.cgroup, "user.delegate")
        os.chown(self.user.cgroup / "cgroup.threads", 0, 0)
        os.chown(self.user.cgroup / "cgroup.procs", 0, 0)
        said = refusal(self.user)
        self.assertIn("no cgroup was delegated to this user", said)
        self.assertIn("systemd-run --user --scope -p Delegate=yes", said)
        self.assertEqual([d for d in self.user.cgroup.iterdir() if d.is_dir()], [], "nor was it taken")

    def test_a_cgroup_that_is_the_users(self):
        os.chown(self.user.cgroup, 0, 0)
        self.assertIn("is marked as delegated, and is not this user's", refusal(self.user))

    def test_not_a_mark_of_the_cgroup_that_the_user_cannot_see(self):
        os.removexattr(self.user.cgroup, "user.delegate")
        os.setxattr(self.user.cgroup, "trusted.delegate", b"1")
        with serving(self.user) as ready:
            self.assertEqual(ask(ready, (self.user.uid, self.user.gid), "POST", "/v1/run", {"cmd": "id -u"})[1]["stdout"], "1000\n")

    def test_a_cgroup_of_its_own_below_one_of_the_users(self):
        os.removexattr(self.user.cgroup, "user.delegate")
        below = self.user.cgroup / "below"
        below.mkdir()
        for path in (below, *(below / f"cgroup.{name}" for name in ("procs", "threads", "subtree_control"))):
            os.chown(path, self.user.uid, self.user.gid)
        self.user.cgroup, above = below, self.user.cgroup
        self.addCleanup(setattr, self.user, "cgroup", above)
        self.assertIn("no cgroup was delegated to this user", refusal(self.user))

    def test_a_place_that_others_cannot_change(self):
        above = self.user.home / "run" / "open"
        above.mkdir()
        os.chown(above, self.user.uid, self.user.gid)
        above.chmod(0o777)
        said = refusal(self.user, "--run-dir", str(above / "mine"))
        self.assertIn(f"{above} can be changed by somebody else; chmod go-w {above}", said)
        above.chmod(0o1777)
        with serving(self.user, "--run-dir", str(above / "mine")):
            pass

    def test_ids_that_are_others_than_those_of_what_is_there(self):
        with serving(self.user):
            pass
        first, last = as_user.FIRST_ID, as_user.FIRST_ID + as_user.COUNT - 1
        others = f"{last + 1}-{last + 65537}"
        as_user.run("usermod", "--del-subuids", f"{first}-{last}", "--del-subgids", f"{first}-{last}", "--add-subuids", others,
                    "--add-subgids", others, self.user.name)
        said = refusal(self.user)
        self.assertIn("the subordinate ids of this user have changed since", said)
        self.assertIn(f"sudo rm -r {self.user.home}/.local/share/lm-sandbox/", said)

    def test_controllers_for_what_the_policy_sets(self):
        for name, value in (("memory", "1GiB"), ("cpus", "1")):
            env = {f"LM_SANDBOX_POLICY__{name.upper()}": value}
            self.assertIn(f"policy.{name}: the kernel would not keep to it", refusal(self.user, env=env))

    def test_controllers_for_what_the_policy_sets_later(self):
        settings = self.user.home / "settings.toml"
        settings.write_text("")
        process, ready = serve(self.user, "--config", str(settings))
        self.assertIsInstance(ready, dict, ready)
        settings.write_text('[policy]\nmemory = "1GiB"\n')
        process.send_signal(signal.SIGHUP)
        said = next(line for line in process.stderr if "settings.reload" in line)
        process.terminate()
        process.communicate(timeout=60)
        self.assertIn("policy.memory: the kernel would not keep to it", said)

    def test_a_directory_that_is_closed(self):
        directory = self.user.home / "run" / "open"
        directory.mkdir(mode=0o755)
        os.chown(directory, self.user.uid, self.user.gid)
        self.assertIn(f"chmod 700 {directory}", refusal(self.user, "--run-dir", str(directory)))

    def test_power_to_map_ids(self):
        said = self.user.popen(["setpriv", "--no-new-privs", PROGRAM, "serve", "--listen", "off"], stderr=subprocess.PIPE, text=True)
        self.assertIn("no_new_privs", said.communicate(timeout=60)[1])

    def test_a_store(self):
        self.assertIn("a store of disks needs root", refusal(self.user, "--disks", "store"))

    def test_layers_that_the_policy_asks_for(self):
        said = refusal(self.user, env={"LM_SANDBOX_POLICY__REFUSE_WEAKER": "true"})
        self.assertIn("sandboxes would be weaker here than [policy] refuse_weaker allows", said)
        self.assertIn("no root between", said)

    def root_inside(self, ready, image):
        me = (self.user.uid, self.user.gid)
        self.assertEqual(ask(ready, me, "POST", "/v1/run", {"cmd": "id -u", "image": image})[1]["stdout"], "1000\n")
        status, answer = ask(ready, me, "POST", "/v1/run", {"cmd": "id -u", "profile": "root", "image": image})
        return (status, answer["stdout"]) if status == 200 else (status, answer["error"]["code"])

    # Where ids are shared, commands of root would be of the guests' ids.
    def test_own_ids_for_root_inside(self):
        with serving(self.user) as ready:
            self.assertEqual(self.root_inside(ready, "host"), (501, "profile_not_possible"))
        has_base = self.user.lend_image("base")
        first = as_user.FIRST_ID + 2 * 65536
        more = f"{first}-{first + 64 * 65536 - 1}"
        as_user.run("usermod", "--add-subuids", more, "--add-subgids", more, self.user.name)
        with serving(self.user, "--data-dir", str(self.user.home / "data")) as ready:
            self.assertEqual(self.root_inside(ready, "host"), (200, "0\n"))
            info = ask(ready, (self.user.uid, self.user.gid), "GET", "/v1/info")[1]
            self.assertIn("stored images share one range of ids", " ".join(info["weaker"]))
            made = ask(ready, (self.user.uid, self.user.gid), "POST", "/v1/sandboxes", {"image": "host"})[1]
            self.assertIn("own_ids", made["isolation"])
            me = (self.user.uid, self.user.gid)
            if has_base and ask(ready, me, "POST", "/v1/run", {"cmd": "true", "image": "base"})[0] != 501:  # before Linux 6.6
                self.assertEqual(self.root_inside(ready, "base"), (501, "profile_not_possible"))


if __name__ == "__main__":
    lmsb.main()

#!/usr/bin/python3
"""Terminals: over a WebSocket, and through the command line."""
import fcntl
import hashlib
import os
import pathlib
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import threading

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import lmsb
from websocket import Refused, WebSocket


class PtyTest(lmsb.SystemTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.sandbox = cls.daemon.post("/v1/sandboxes", {"name": "box"}).json()["id"]

    def open(self, query="", **more):
        socket = WebSocket(self.daemon.host, self.daemon.port, f"/v1/sandboxes/{self.sandbox}/pty?{query}", **more)
        self.addCleanup(socket.drop)
        return socket

    def begin(self, query="cmd=exec%20sh"):
        """A terminal whose process has said that it is there; returns it and the process."""
        terminal = self.open(query)
        started = terminal.read()
        self.assertEqual(started["type"], "started")
        return terminal, started["process"]


class Terminals(PtyTest):
    def test_show_what_is_typed_and_what_it_does(self):
        terminal, process = self.begin()
        self.assertTrue(process["pty"])
        terminal.type("echo $((6*7))\n")
        self.assertRegex(terminal.read_until("42\r\n"), r"echo \$\(\(6\*7\)\)\r\n.*42\r\n")
        terminal.type("exit 3\n")
        self.assertEqual(terminal.read_result()["exit_code"], 3)
        self.assertIsNone(terminal.read())
        self.assertEqual(terminal.close_code, 1000)

    def test_are_login_shells_when_nothing_is_asked_for(self):
        terminal, _ = self.begin("")
        terminal.type("shopt -q login_shell && echo $TERM yes\n")
        terminal.read_until("xterm-256color yes\r\n")
        terminal.type("exit\n")
        self.assertEqual(terminal.read_result()["outcome"], "exited")

    def test_are_the_controlling_terminal(self):
        terminal, _ = self.begin()
        terminal.type("tty; sleep 1000\n")
        terminal.read_until("/dev/pts/")
        lmsb.wait_until(lambda: lmsb.sandbox_processes(b"sleep\0" + b"1000"), "a sleeping command")
        terminal.type("\x03")
        terminal.type("echo back=$?\n")
        terminal.read_until("back=130")

    def test_belong_to_the_user_and_can_be_opened_by_name(self):
        terminal, _ = self.begin()
        terminal.type("stat -c %U $(tty); echo opened >$(tty); echo again >/dev/tty\n")
        shown = terminal.read_until("again\r\n")
        self.assertIn("user\r\nopened\r\n", shown)

    def test_have_the_size_of_the_window_and_follow_it(self):
        terminal, _ = self.begin("cmd=exec%20sh&cols=100&rows=30")
        terminal.type("stty size\n")
        terminal.read_until("30 100")
        terminal.say({"type": "resize", "cols": 120, "rows": 40})
        terminal.type("stty size\n")
        terminal.read_until("40 120")

    def test_sizes_that_no_terminal_has_do_nothing_and_texts_that_are_no_resize_end_the_connection(self):
        terminal, process = self.begin()
        terminal.say({"type": "resize", "cols": 0, "rows": 70000})
        terminal.type("echo alive\n")
        terminal.read_until("alive\r\n")
        terminal.say(["what?"])
        while terminal.read() is not None:
            pass
        self.assertEqual(terminal.close_code, 1008)
        again = self.open(f"process={process['id']}")
        again.read_until("alive\r\n")

    def test_go_on_without_a_connection_and_show_everything_to_the_next(self):
        terminal, process = self.begin()
        terminal.type("echo before\n")
        terminal.read_until("before\r\n")
        terminal.drop()
        again = self.open(f"process={process['id']}")
        again.read_until("before\r\n")
        again.type("echo after\n")
        again.read_until("after\r\n")

    def test_are_taken_over_by_the_next_who_connects(self):
        first, process = self.begin()
        second = self.open(f"process={process['id']}&offset=0")
        while first.read() is not None:
            pass
        self.assertEqual(first.close_code, 4001)
        second.type("echo mine\n")
        second.read_until("mine\r\n")

    def test_go_on_at_their_end_for_who_says_that_he_has_seen_more(self):
        first, process = self.begin()
        first.type("echo be''fore\n")  # so that it is not its echo that is waited for
        first.read_until("before\r\n")
        again = self.open(f"process={process['id']}&offset=1000000")
        again.type("echo after\n")
        self.assertNotIn("before", again.read_until("after\r\n"))

    def test_keep_their_size_when_the_next_says_none(self):
        _, process = self.begin("cmd=exec%20sh&cols=100&rows=30")
        again = self.open(f"process={process['id']}")
        again.type("stty size\n")
        again.read_until("30 100")

    def test_say_that_there_is_no_such_program(self):
        process = self.daemon.post(f"/v1/sandboxes/{self.sandbox}/exec",
                                   {"cmd": ["no-such-program"], "detach": True, "pty": {"cols": 80, "rows": 24}}).json()
        terminal = self.open(f"process={process['id']}")
        terminal.read_until("no-such-program: command not found\r\n")
        self.assertEqual(terminal.read_result()["exit_code"], 127)

    def test_large_input_arrives_whole(self):
        terminal, _ = self.begin("cmd=stty%20raw%20-echo;%20echo%20ready;%20head%20-c%20200000%20%7C%20md5sum")
        terminal.read_until("ready")
        terminal.type(b"x" * 200000)
        terminal.read_until(hashlib.md5(b"x" * 200000).hexdigest())

    def test_nothing_is_started_for_who_speaks_no_websocket(self):
        before = len(self.daemon.request("GET", f"/v1/sandboxes/{self.sandbox}/processes").json()["data"])
        answer = self.daemon.request("GET", f"/v1/sandboxes/{self.sandbox}/pty")
        self.assertEqual((answer.status, answer.json()["error"]["code"]), (426, "upgrade_required"))
        after = len(self.daemon.request("GET", f"/v1/sandboxes/{self.sandbox}/processes").json()["data"])
        self.assertEqual(before, after)

    def test_a_page_of_another_site_gets_none(self):
        with self.assertRaises(Refused) as refused:
            self.open(headers={"Origin": "http://evil.example"})
        self.assertEqual(refused.exception.status, 403)

    def test_a_process_without_one_is_refused(self):
        plain = self.daemon.post(f"/v1/sandboxes/{self.sandbox}/exec", {"cmd": "sleep 1010", "detach": True}).json()
        with self.assertRaises(Refused) as refused:
            self.open(f"process={plain['id']}")
        self.assertEqual(refused.exception.status, 409)

    def test_sixty_four_at_once_with_resizes(self):
        sandbox = self.daemon.post("/v1/sandboxes", {}).json()["id"]
        failures, together = [], threading.Barrier(64, timeout=120)

        def use(number):
            try:
                socket = WebSocket(self.daemon.host, self.daemon.port, f"/v1/sandboxes/{sandbox}/pty?cmd=exec%20sh")
                if socket.read()["type"] != "started":
                    failures.append(number)
                for size in range(5):
                    together.wait()  # all are open, and all change their size now
                    columns = 40 + number + size
                    socket.say({"type": "resize", "cols": columns, "rows": 24 + size})
                    socket.type("stty size\n")
                    socket.read_until(f"{24 + size} {columns}\r\n")
                together.wait()
                socket.type(f"exit {number}\n")
                if socket.read_result()["exit_code"] != number:
                    failures.append(number)
                socket.drop()
            except (AssertionError, OSError, EOFError, threading.BrokenBarrierError) as error:
                together.abort()  # nobody waits for it
                failures.append((number, repr(error)))

        threads = [threading.Thread(target=use, args=(i,)) for i in range(64)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])
        self.daemon.request("DELETE", f"/v1/sandboxes/{sandbox}")


class CommandLine(PtyTest):
    """lm-sandbox shell and exec -it on a terminal of their own."""

    def start(self, *words, columns=90, rows=33):
        master, slave = pty.openpty()
        self.addCleanup(os.close, master)
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.before = termios.tcgetattr(slave)
        process = subprocess.Popen([str(lmsb.BIN / "lm-sandbox"), *words], stdin=slave, stdout=slave, stderr=slave,
                                   env={**os.environ, "LM_SANDBOX_HOST": f"unix:{self.daemon.run_dir}/api.sock"},
                                   start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        self.addCleanup(process.kill)
        return process, master, slave

    def read_until(self, master, text):
        seen = b""
        while text.encode() not in seen:
            if not select.select([master], [], [], 30)[0]:
                raise AssertionError(f"{text!r} was never shown: {seen!r}")
            seen += os.read(master, 65536)
        return seen.decode(errors="replace")

    def test_a_shell_is_as_if_one_sat_there(self):
        process, master, slave = self.start("shell", "box")
        os.write(master, b"stty size; echo home=$HOME\n")
        self.assertIn("33 90", self.read_until(master, "home=/home/user\r\n"))
        os.write(master, b"exit 9\n")
        self.assertEqual(process.wait(timeout=30), 9)
        self.assertEqual(termios.tcgetattr(slave), self.before)
        os.close(slave)

    def test_exec_with_a_terminal_ends_as_the_command_does(self):
        process, master, slave = self.start("exec", "-it", "box", "sh", "-c", "test -t 0 && test -t 1 && echo both; exit 4")
        self.read_until(master, "both\r\n")
        self.assertEqual(process.wait(timeout=30), 4)
        os.close(slave)

    def test_run_is_a_fresh_sandbox_that_is_gone_when_its_shell_ends(self):
        before = self.sandboxes()
        process, master, slave = self.start("run", "-it", "-w", "/tmp", "-e", "A=7", "--name", "fresh", "host", "sh")
        os.write(master, b"tty -s && echo in=$PWD=$A\n")
        self.read_until(master, "in=/tmp=7\r\n")
        self.assertEqual(len(self.sandboxes() - before), 1)
        os.write(master, b"exit 6\n")
        self.assertEqual(process.wait(timeout=30), 6)
        self.assertEqual(self.sandboxes(), before)
        os.close(slave)

    def test_run_leaves_nothing_when_its_terminal_is_closed(self):
        before = self.sandboxes()
        process, master, slave = self.start("run", "-it", "host", "sh")
        os.write(master, b"echo $((40+2))x\n")
        self.read_until(master, "42x\r\n")
        os.close(slave)
        with open("/dev/null", "rb+") as nothing:
            os.dup2(nothing.fileno(), master)  # closes it
        self.assertIn(process.wait(timeout=30), (128 + signal.SIGHUP, -signal.SIGHUP))
        self.assertEqual(self.sandboxes(), before)

    def test_run_is_given_up_by_the_daemon_when_nobody_is_left_to_remove_it(self):
        before = self.sandboxes()
        process, master, slave = self.start("run", "-it", "host", "sh")
        os.write(master, b"echo $((40+2))x\n")
        self.read_until(master, "42x\r\n")
        process.kill()
        process.wait(timeout=30)
        left, = self.sandboxes() - before
        told = self.daemon.request("GET", f"/v1/sandboxes/{left}").json()
        self.assertEqual(told["on_timeout"], "delete")
        self.assertIsNotNone(told["expires_at"], "ten minutes, unless it is renewed")
        self.daemon.request("DELETE", f"/v1/sandboxes/{left}")
        os.close(slave)

    def sandboxes(self):
        return {sandbox["id"] for sandbox in self.daemon.request("GET", "/v1/sandboxes").json()["data"]}

    def test_keys_go_through_raw(self):
        process, master, slave = self.start("exec", "-it", "box", "sh", "-c",
                                            "trap 'echo caught; exit 5' INT; echo ready; while :; do sleep 0.05; done")
        self.read_until(master, "ready\r\n")
        os.write(master, b"\x03")
        self.read_until(master, "caught\r\n")
        self.assertEqual(process.wait(timeout=30), 5)
        os.close(slave)

    def test_output_that_is_read_late_is_all_there(self):
        process, master, slave = self.start("exec", "-it", "box", "sh", "-c", "seq 200000; echo done")
        lmsb.wait_until(lambda: select.select([master], [], [], 0)[0], "output")
        os.set_blocking(slave, True)  # what our own end is must not matter
        seen = self.read_until(master, "done\r\n")
        self.assertIn("199999\r\n200000\r\n", seen)
        self.assertEqual(len(seen.splitlines()), 200001)
        self.assertEqual(process.wait(timeout=30), 0)
        self.assertTrue(os.get_blocking(slave), "the terminal is as it was for whoever started us")
        os.close(slave)

    def test_the_window_is_followed(self):
        process, master, slave = self.start("exec", "-it", "box", "sh", "-c",
                                            "trap 'stty size; exit' WINCH; echo ready; while :; do sleep 0.05; done")
        self.read_until(master, "ready\r\n")
        fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 130, 0, 0))
        self.read_until(master, "50 130")
        process.wait(timeout=30)
        os.close(slave)

    def test_the_terminal_is_put_back_whatever_ends_the_session(self):
        for number in (signal.SIGKILL, signal.SIGTERM):
            process, master, slave = self.start("shell", "box")
            os.write(master, b"echo $((40+2))x\n")
            self.read_until(master, "42x\r\n")  # not what this terminal echoes before it is raw
            self.assertNotEqual(termios.tcgetattr(slave), self.before, "not raw")
            children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            self.assertEqual(len(children), 1)
            os.kill(int(children[0]), number)
            self.assertEqual(process.wait(timeout=30), 128 + signal.SIGTERM if number == signal.SIGTERM else 125)
            self.assertEqual(termios.tcgetattr(slave), self.before)
            os.close(slave)

    def test_the_terminal_is_put_back_when_nobody_is_left_to_wait_for_the_session(self):
        process, master, slave = self.start("shell", "box")
        os.write(master, b"echo $((40+2))x\n")
        self.read_until(master, "42x\r\n")
        process.kill()
        process.wait(timeout=30)
        lmsb.wait_until(lambda: termios.tcgetattr(slave) == self.before, "the terminal as it was")
        os.close(slave)

    def test_without_a_terminal_it_says_so(self):
        done = subprocess.run([str(lmsb.BIN / "lm-sandbox"), "exec", "-it", "box", "true"], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 125)
        self.assertIn("no terminal", done.stderr)


if __name__ == "__main__":
    lmsb.main()

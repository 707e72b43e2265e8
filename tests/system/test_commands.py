#!/usr/bin/python3
"""The exec contract of interfaces.md, through the doors that users have."""
import base64
import os
import pathlib
import signal
import socket
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import lmsb


class RunBash(lmsb.SystemTest):
    def post(self, cmd):
        return self.daemon.post("/run-bash/", {"cmd": cmd})

    def test_answers_as_the_original_did(self):
        answer = self.post("whoami").json()
        self.assertEqual((answer["output"], answer["error"]), ("user\n", ""))
        self.assertEqual((answer["exit_code"], answer["outcome"]), (0, "exited"))

    def test_keeps_both_streams_and_the_exit_status(self):
        answer = self.post("echo out; echo err >&2; exit 3").json()
        self.assertEqual((answer["output"], answer["error"], answer["exit_code"]), ("out\n", "err\n", 3))

    def test_works_without_the_last_slash(self):
        self.assertEqual(self.daemon.post("/run-bash", {"cmd": "echo x"}).json()["output"], "x\n")

    def test_an_empty_command_does_nothing(self):
        self.assertEqual(self.post("").json()["exit_code"], 0)

    def test_refuses_a_nul_and_ten_megabytes(self):
        self.assertEqual(self.post("echo a\0b").status, 422)
        self.assertEqual(self.post("x" * 10_000_000).status, 422)

    def test_each_call_has_its_own_sandbox(self):
        self.post("echo secret > /tmp/f; echo secret > /dev/shm/f")
        self.assertIn("No such file", self.post("cat /tmp/f /dev/shm/f").json()["error"])


class Verdicts(lmsb.SystemTest):
    def test_an_exit_status_is_exact(self):
        for status in (0, 1, 3, 126, 127, 255):
            result = self.daemon.run(f"exit {status}")
            self.assertEqual((result["outcome"], result["exit_code"]), ("exited", status))

    def test_a_signal_is_named(self):
        result = self.daemon.run("kill -SEGV $$")
        self.assertEqual((result["outcome"], result["exit_code"], result["signal"]), ("signaled", 139, "SIGSEGV"))

    def test_a_missing_program_is_127_and_one_that_cannot_run_126(self):
        self.assertEqual(self.daemon.run(["no-such-program"])["exit_code"], 127)
        self.assertEqual(self.daemon.run(["/etc/passwd"])["exit_code"], 126)

    def test_an_argument_list_is_not_read_by_a_shell(self):
        self.assertEqual(self.daemon.run(["echo", "$HOME", "a  b"])["stdout"], "$HOME a  b\n")

    def test_the_time_limit_kills_the_whole_tree_and_returns_what_was_written(self):
        script = ("echo before; trap '' TERM; (setsid sh -c 'trap \"\" TERM; sleep 1000' & ) ; "
                  "python3 -c 'import os,time\nif os.fork()==0:\n os.setsid()\n if os.fork()==0: time.sleep(1000)\n"
                  " os._exit(0)' ; sleep 1000")
        result = self.daemon.run(script, timeout_ms=3000)
        self.assertEqual((result["outcome"], result["timed_out"], result["stdout"]), ("timed_out", True, "before\n"))
        lmsb.wait_until(lambda: not any("sleep" in command(p) for p in lmsb.sandbox_processes()), "an empty tree")

    def test_a_memory_bomb_is_named(self):
        result = self.daemon.run("python3 -c 'x=bytearray(10**9)'", limits={"memory_bytes": 64 << 20})
        self.assertEqual((result["outcome"], result["oom_killed"]), ("oom_killed", True))

    def test_a_memory_bomb_inside_a_script_ends_the_script(self):
        result = self.daemon.run("python3 -c 'x=bytearray(10**9)'; sleep 100; echo survived", limits={"memory_bytes": 64 << 20})
        self.assertEqual(result["outcome"], "oom_killed")
        self.assertNotIn("survived", result["stdout"])

    def test_want_of_memory_inside_a_script_that_goes_on_is_named(self):
        sandbox = self.daemon.post("/v1/sandboxes", {"limits": {"memory_bytes": 128 << 20}}).json()["id"]
        result = self.daemon.post(f"/v1/sandboxes/{sandbox}/exec",
                                  {"cmd": "python3 -c 'x=bytearray(10**9)'; echo rc=$?"}).json()
        self.assertEqual((result["outcome"], result["exit_code"], result["stdout"]), ("exited", 0, "rc=137\n"), result)
        self.assertTrue(result["oom_killed"], result)
        self.assertIn("want of memory", result["hint"])
        result = self.daemon.post(f"/v1/sandboxes/{sandbox}/exec", {"cmd": "true"}).json()
        self.assertEqual((result["oom_killed"], result["hint"]), (False, None), result)

    def test_a_signal_that_names_a_limit_is_no_limit(self):
        for name, number in (("XCPU", 24), ("XFSZ", 25)):
            result = self.daemon.run(f"kill -{name} $$")
            self.assertEqual((result["outcome"], result["signal"], result["exit_code"]), ("signaled", "SIG" + name, 128 + number))

    def test_arguments_of_a_quarter_megabyte_arrive(self):
        long = "x" * 120_000
        result = self.daemon.run(["sh", "-c", "printf %s \"$1$2\" | wc -c", "sh", long, long])
        self.assertEqual(result["stdout"], "240000\n")

    def test_a_mount_whose_token_nobody_gave_is_refused_with_what_to_do(self):
        answer = self.daemon.post("/v1/run", {"cmd": "true", "mounts": [{"token": "0" * 32, "target": "/workspace"}]})
        self.assertEqual((answer.status, answer.json()["error"]["code"]), (400, "invalid_mount_token"))
        self.assertIn("hand the directory over again", answer.json()["error"]["hint"])

    def test_a_fork_bomb_is_stopped(self):
        result = self.daemon.run("f(){ f|f& f; }; f; sleep 100", timeout_ms=2000)
        self.assertEqual(result["outcome"], "timed_out")

    def test_a_full_disk_is_named(self):
        result = self.daemon.run("head -c 100000000 /dev/zero > /tmp/x", limits={"disk_bytes": 8 << 20})
        self.assertEqual(result["outcome"], "disk_full")

    def test_shared_memory_has_the_size_that_was_asked_for(self):
        size = "df -B1 --output=size /dev/shm | tail -1; stat -fc %T /dev/shm"
        self.assertEqual(self.daemon.run(size)["stdout"].split(), [str(64 << 20), "tmpfs"])
        self.assertEqual(self.daemon.run(size, limits={"shm_bytes": 96 << 20})["stdout"].split(), [str(96 << 20), "tmpfs"])

    def test_shared_memory_counts_as_memory_up_to_its_size(self):
        asked = {"memory_bytes": 128 << 20, "shm_bytes": 96 << 20}
        full = self.daemon.run("head -c 100m /dev/zero >/dev/shm/x 2>/tmp/why; stat -c %s /dev/shm/x; cat /tmp/why", limits=asked)
        self.assertAlmostEqual(int(full["stdout"].split()[0]), 96 << 20, delta=1 << 16)
        self.assertIn("No space left", full["stdout"])
        self.assertGreater(full["usage"]["max_memory_bytes"], 90 << 20)
        refused = self.daemon.post("/v1/run", {"cmd": "true", "limits": {"memory_bytes": 64 << 20, "shm_bytes": 65 << 20}})
        self.assertEqual((refused.status, refused.json()["error"]["code"]), (400, "limit_out_of_bounds"))

    def test_an_output_flood_is_cut_and_counted(self):
        result = self.daemon.run("head -c 5000000 /dev/zero | tr '\\0' a; echo END; exit 7")
        self.assertEqual((result["outcome"], result["exit_code"]), ("exited", 7))
        self.assertEqual(result["truncated"]["stdout_bytes"], 5000004 - (1 << 20))
        self.assertTrue(result["stdout"].startswith("aaa") and result["stdout"].endswith("END\n"))

    def test_a_background_child_that_holds_the_pipe_is_not_waited_for(self):
        begin = time.monotonic()
        result = self.daemon.run("sleep 60 & echo done")
        self.assertEqual((result["outcome"], result["stdout"]), ("exited", "done\n"))
        self.assertIn("background", result["hint"])
        self.assertLess(time.monotonic() - begin, 30)

    def test_bytes_that_are_no_text_come_as_base64_too(self):
        result = self.daemon.run("printf '\\377\\376a'")
        self.assertEqual(result["stdout"], "\ufffd\ufffda")
        self.assertEqual(base64.b64decode(result["stdout_base64"]), b"\xff\xfea")

    def test_stdin_env_cwd_arrive(self):
        result = self.daemon.run("cat; echo $A; pwd", stdin="in\n", env={"A": "b c"}, cwd="/tmp")
        self.assertEqual(result["stdout"], "in\nb c\n/tmp\n")

    def test_files_go_in_and_come_out(self):
        result = self.daemon.run("cat a/b.txt; echo out > result; printf '\\0' > bin", files={"a/b.txt": "hello\n"},
                                 collect=["result", "bin", "missing"])
        self.assertEqual(result["stdout"], "hello\n")
        self.assertEqual(result["files"]["result"], "out\n")
        self.assertNotIn("missing", result["files"])
        self.assertEqual(result["left_out"]["missing"]["code"], "file_not_found")

    def test_a_command_has_its_result_whatever_becomes_of_its_files(self):
        result = self.daemon.run("mkdir d; head -c 30M /dev/zero > a; cp a b; echo c > c; echo done", collect=["d", "a", "b", "c"])
        self.assertEqual((result["stdout"], len(result["files"]["a"])), ("done\n", 30 << 20))
        codes = {path: why["code"] for path, why in result["left_out"].items()}
        self.assertEqual((codes, result["files"]["c"]), ({"d": "is_a_directory", "b": "files_too_large"}, "c\n"))
        killed = self.daemon.run("kill -9 -1; head -c 3G /dev/zero | tail", limits={"memory_bytes": 64 << 20}, collect=["a"])
        self.assertEqual((killed["files"], list(killed["left_out"])), ({}, ["a"]))
        refused = self.daemon.post("/v1/run", {"cmd": "echo x", "collect": [""]})
        self.assertEqual((refused.status, refused.json()["error"]["code"]), (400, "invalid_path"))

    def test_a_large_file_takes_no_small_ones_with_it(self):
        result = self.daemon.run("mkfifo ff; head -c 40M /dev/zero > big; mkdir d; printf x > small; ln -s loop loop",
                                 collect=["ff", "nope", "big", "small", "d", "small/x", "loop", "nope2", "/dev/null"])
        self.assertEqual(result["files"], {"small": "x"})
        codes = {path: why["code"] for path, why in result["left_out"].items()}
        self.assertEqual(codes, {"ff": "not_a_regular_file", "nope": "file_not_found", "big": "files_too_large",
                                 "d": "is_a_directory", "small/x": "file_not_found", "loop": "file_operation_failed",
                                 "nope2": "file_not_found", "/dev/null": "not_a_regular_file"})

    def bugs(self):
        text = self.daemon.request("GET", "/metrics").body.decode()
        return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith("lmsb_bugs_total"))

    def test_what_a_user_gets_wrong_is_not_a_bug_of_ours(self):
        before = self.bugs()
        for files in ({"a/": "1"}, {"a": "1", "a/b": "2"}, {"/workspace": "1"}, {"/dev/null/x": "1"}, {"x" * 300: "1"}, {"/proc/1/x": "1"}):
            answer = self.daemon.post("/v1/run", {"cmd": "true", "files": files})
            self.assertIn(answer.status, (400, 403, 404, 409), (files, answer.body))
            self.assertEqual(answer.json()["error"]["code"], "file_not_written", files)
        box = self.daemon.post("/v1/sandboxes", {}).json()["id"]
        self.addCleanup(self.daemon.request, "DELETE", "/v1/sandboxes/" + box)
        self.daemon.post(f"/v1/sandboxes/{box}/exec", {"cmd": "cd /workspace; touch f; ln -s circle circle"})
        for cwd in ("/workspace/f", "/dev/null", "/workspace/f/x", "/workspace/circle", "/workspace/" + "x" * 300):
            for path, body in (("/v1/run", {"cmd": "true", "files": {"f": "1"}, "cwd": cwd}), ("/v1/run", {"cmd": "true", "cwd": cwd}),
                               (f"/v1/sandboxes/{box}/exec", {"cmd": "true", "cwd": cwd})):
                answer = self.daemon.post(path, body)
                self.assertIn(answer.status, (400, 404, 409), (cwd, answer.body))
                self.assertEqual(answer.json()["error"]["code"], "invalid_cwd", (cwd, answer.body))
        self.assertEqual(self.bugs(), before)

    def test_usage_is_counted(self):
        # The command itself counts what it used: how long some work takes depends on the machine. The sum is
        # exact; how it falls into user and system time is what the kernel saw at its ticks, so about half is asked.
        usage = self.daemon.run("python3 -c 'import time; x = bytearray(50 << 20)\nwhile time.process_time() < 0.3: sum(range(10**5))'")["usage"]
        self.assertGreater(usage["max_memory_bytes"], 50 << 20)
        self.assertGreaterEqual(usage["cpu_user_ms"] + usage["cpu_system_ms"], 300)
        self.assertGreater(usage["cpu_user_ms"], 150)

    def test_processes_are_counted_where_the_kernel_does(self):
        usage = self.daemon.run("for i in 1 2 3 4 5; do sleep 100 & all=\"$all $!\"; done; kill $all; wait")["usage"]
        self.assertIn(usage["max_processes"], (6, None))

    def test_a_client_that_goes_away_ends_its_command(self):
        with socket.create_connection((self.daemon.host, self.daemon.port)) as client:
            body = b'{"cmd":"sleep 1234"}'
            client.sendall(b"POST /run-bash/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                           b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
            lmsb.wait_until(lambda: any("1234" in command(p) for p in lmsb.sandbox_processes()), "the command")
        lmsb.wait_until(lambda: not any("1234" in command(p) for p in lmsb.sandbox_processes()), "its end")


class Kept(lmsb.SystemTest):
    def test_a_sandbox_keeps_its_files_until_it_is_deleted(self):
        created = self.daemon.post("/v1/sandboxes", {}).json()
        path = "/v1/sandboxes/" + created["id"]
        self.assertEqual(created["state"], "running")
        self.daemon.post(path + "/exec", {"cmd": "echo kept > f; sleep 300 &"})
        result = self.daemon.post(path + "/exec", {"cmd": "cat f; exit 4"}).json()
        self.assertEqual((result["stdout"], result["exit_code"]), ("kept\n", 4))
        self.assertIn(created["id"], [s["id"] for s in self.daemon.request("GET", "/v1/sandboxes").json()["data"]])
        self.assertLess(self.daemon.request("DELETE", path).status, 300)
        self.assertEqual(self.daemon.request("GET", path).status, 404)
        self.assertEqual([c for c in lmsb.our_cgroups() if created["id"] in c], [])

    def test_a_timeout_ends_one_command_and_not_its_sandbox(self):
        path = "/v1/sandboxes/" + self.daemon.post("/v1/sandboxes", {}).json()["id"]
        slow = self.daemon.post(path + "/exec", {"cmd": "sleep 100", "timeout_ms": 300}).json()
        self.assertEqual(slow["outcome"], "timed_out")
        self.assertEqual(self.daemon.post(path + "/exec", {"cmd": "echo still"}).json()["stdout"], "still\n")
        self.daemon.request("DELETE", path)

    def test_memory_that_ran_out_is_the_verdict_of_the_command_that_died_by_it_each_time(self):
        created = self.daemon.post("/v1/sandboxes", {"limits": {"memory_bytes": 96 << 20}}).json()
        path = "/v1/sandboxes/" + created["id"]
        answers = {}

        def ask(name, cmd):
            answers[name] = self.daemon.post(path + "/exec", {"cmd": cmd}).json()

        bystander = threading.Thread(target=ask, args=("bystander", "read -t 60 < <(sleep 3); exit 5"))
        bystander.start()
        for turn in ("first", "second"):
            ask(turn, "python3 -c 'x=bytearray(10**9)'")
        bystander.join()
        for turn in ("first", "second"):
            self.assertEqual((answers[turn]["outcome"], answers[turn]["exit_code"]), ("oom_killed", 137))
        self.assertEqual((answers["bystander"]["outcome"], answers["bystander"]["exit_code"]), ("exited", 5))
        self.daemon.request("DELETE", path)

    def test_output_above_the_cap_is_whole_in_a_file_of_the_sandbox(self):
        path = "/v1/sandboxes/" + self.daemon.post("/v1/sandboxes", {}).json()["id"]
        self.assertIsNone(self.daemon.post(path + "/exec", {"cmd": "echo short"}).json()["truncated"]["spill_path"])
        cut = self.daemon.post(path + "/exec", {"cmd": "seq 400000; seq 300000 >&2"}).json()
        self.assertGreater(cut["truncated"]["stdout_bytes"], 1 << 20)
        where = cut["truncated"]["spill_path"]
        seen = self.daemon.post(path + "/exec", {"cmd": f"seq 400000 | cmp - {where} && seq 300000 | cmp - {where[:-6]}stderr && stat -c %U {where}"}).json()
        self.assertEqual((seen["stdout"], seen["stderr"], seen["exit_code"]), ("user\n", "", 0))
        self.daemon.request("DELETE", path)

    def test_output_that_does_not_fit_on_the_disk_either_keeps_its_beginning_and_says_so(self):
        created = self.daemon.post("/v1/sandboxes", {"limits": {"disk_bytes": 4 << 20}}).json()
        path = "/v1/sandboxes/" + created["id"]
        cut = self.daemon.post(path + "/exec", {"cmd": "head -c 20000000 /dev/zero; echo END"}).json()
        self.assertEqual((cut["outcome"], cut["exit_code"], cut["truncated"]["stdout_bytes"]), ("exited", 0, 20000004 - (1 << 20)))
        self.assertIn("beginning", cut["hint"])
        self.assertTrue(cut["stdout"].endswith("END\n"))
        self.daemon.request("DELETE", path)

    def test_deleting_a_sandbox_cancels_its_commands(self):
        path = "/v1/sandboxes/" + self.daemon.post("/v1/sandboxes", {}).json()["id"]
        answers = []
        caller = threading.Thread(target=lambda: answers.append(self.daemon.post(path + "/exec", {"cmd": "sleep 4321"})))
        caller.start()
        lmsb.wait_until(lambda: any("4321" in command(p) for p in lmsb.sandbox_processes()), "the command")
        lmsb.wait_until(lambda: [one["state"] for one in self.daemon.request("GET", path + "/processes").json()["data"]] == ["running"],
                        "the daemon's knowing of it")
        self.daemon.request("DELETE", path)
        caller.join(60)
        self.assertEqual(answers[0].json()["outcome"], "cancelled", answers[0].body)

    def test_the_time_limit_begins_when_the_command_does(self):
        created = self.daemon.post("/v1/sandboxes", {}).json()
        guest = lmsb.guest_of(created["id"])
        os.kill(guest, signal.SIGSTOP)
        resume = threading.Timer(4, os.kill, (guest, signal.SIGCONT))  # a machine too busy to start it sooner
        resume.start()
        result = self.daemon.post(f"/v1/sandboxes/{created['id']}/exec", {"cmd": "echo on", "timeout_ms": 3500}).json()
        resume.join()
        self.assertEqual((result["outcome"], result["stdout"]), ("exited", "on\n"))
        self.daemon.request("DELETE", "/v1/sandboxes/" + created["id"])


def command(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


if __name__ == "__main__":
    lmsb.main()

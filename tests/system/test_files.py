#!/usr/bin/python3
"""The file API on kept sandboxes, and what hostile trees make of it."""
import base64
import concurrent.futures
import http.client
import io
import json
import pathlib
import socket
import sys
import tarfile
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import lmsb


class FilesTest(lmsb.SystemTest):
    limits = {}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        created = cls.daemon.post("/v1/sandboxes", {"limits": cls.limits} if cls.limits else {})
        assert created.status == 201, created.body
        cls.base = "/v1/sandboxes/" + created.json()["id"]

    def call(self, method, what, body=None, headers=None, **query):
        path = f"{self.base}/{what}?{urllib.parse.urlencode(query)}" if query else f"{self.base}/{what}"
        return self.daemon.request(method, path, body, headers)

    def put(self, path, content, **query):
        headers = {"Content-Type": "application/octet-stream"}
        return self.call("PUT", "files", content, headers, path=path, **query)

    def get(self, path, **headers):
        return self.call("GET", "files", headers={k.replace("_", "-"): v for k, v in headers.items()}, path=path)

    def do(self, operation, **body):
        return self.call("POST", "files/" + operation, body)

    def sh(self, cmd):
        result = self.daemon.post(self.base + "/exec", {"cmd": cmd}).json()
        self.assertEqual(result["exit_code"], 0, result)
        return result["stdout"]

    def refused(self, answer, status, code):
        self.assertEqual((answer.status, answer.json()["error"]["code"]), (status, code), answer.body)


class Content(FilesTest):
    def test_a_file_goes_in_and_comes_out(self):
        self.assertEqual(self.put("a/b/c.bin", bytes(range(256)), mode="600").status, 200)
        answer = self.get("/workspace/a/b/c.bin")
        self.assertEqual((answer.status, answer.body), (200, bytes(range(256))))
        self.assertEqual(answer.headers["X-File-Owner"], "user")
        self.assertEqual(answer.headers["X-File-Mode"], "0600")
        self.assertEqual(self.get("a/b/c.bin", Range="bytes=10-12").body, b"\x0a\x0b\x0c")
        self.assertEqual(self.call("HEAD", "files", path="a/b/c.bin").headers["Content-Length"], "256")
        self.refused(self.get("a/b/c.bin", Range="bytes=256-"), 416, "range_not_satisfiable")

    def test_an_entity_tag_is_weak_at_first_and_strong_later(self):
        def is_weak_at_first():  # a busy machine may ask too late
            self.put("tag", b"x")
            return self.get("tag").headers["ETag"].startswith('W/"')

        lmsb.wait_until(is_weak_at_first, "a weak entity tag")
        tag = lambda: self.get("tag").headers["ETag"]
        lmsb.wait_until(lambda: tag().startswith('"'), "a strong entity tag")
        self.assertEqual(self.get("tag", If_None_Match=tag()).status, 304)
        self.put("tag", b"y")
        self.assertEqual(self.get("tag", If_None_Match=tag().replace("W/", "") + "x").status, 200)

    def test_create_does_not_replace_and_append_appends(self):
        self.put("one", b"1")
        self.refused(self.call("PUT", "files", b"2", {"If-None-Match": "*"}, path="one"), 409, "file_exists")
        self.put("one", b"2", append="true")
        self.assertEqual(self.get("one").body, b"12")

    def test_a_part_does_not_replace_the_whole(self):
        self.put("whole", b"0123456789")
        for headers in ({"Content-Range": "bytes 8-9/10"}, {"If-Unmodified-Since": "Wed, 25 Nov 2026 15:23:29 GMT"}):
            self.refused(self.call("PUT", "files", b"89", headers, path="whole"), 400, "invalid_request")
        for path in ("whole/", "whole/.", "/"):
            self.refused(self.put(path, b"89"), 400, "invalid_path")
        self.refused(self.put("whole", b"89", mode="4755"), 400, "invalid_request")
        self.assertEqual(self.get("whole").body, b"0123456789")

    def test_a_write_follows_a_link_and_keeps_permissions(self):
        self.sh("echo old > target; chmod 640 target; ln -s target link")
        self.put("link", b"new")
        self.assertEqual(self.sh("cat target; stat -c %a target; readlink link"), "new640\ntarget\n")

    def test_what_is_no_file_is_never_waited_for(self):
        self.sh("mkfifo fifo; mkdir -p dir; python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"sock\")'")
        for path, code in (("fifo", "not_a_regular_file"), ("dir", "is_a_directory"), ("/dev/zero", "not_a_regular_file")):
            self.refused(self.get(path), 409, code)
            self.assertIn(self.put(path, b"x").status, (403, 409))
        self.assertGreaterEqual(self.get("sock").status, 400)

    def test_files_that_the_kernel_writes_as_they_are_read_have_all_of_their_content(self):
        for path in ("/proc/cpuinfo", "/proc/self/status", "/proc/self/maps"):
            answer = self.get(path)
            self.assertEqual(answer.status, 200)
            self.assertGreater(len(answer.body), 300, path)
            self.assertEqual(answer.headers["Content-Length"], str(len(answer.body)))
        self.assertEqual(self.get("/proc/cpuinfo", Range="bytes=0-8").body, b"processor")
        self.assertGreater(self.do("copy", path="/proc/cpuinfo", to="cpuinfo").json()["file"]["size"], 300)
        self.put("empty", b"")
        self.assertEqual(self.get("empty").headers["Content-Length"], "0")

    def test_rights_are_those_of_the_user(self):
        self.refused(self.put("/etc/x", b"x"), 403, "file_access_denied")
        self.assertEqual(self.put("mine", b"x", owner="user:1000").status, 200)
        for owner in ("root", "0", "user:root", "65534"):
            self.refused(self.put("mine", b"y", owner=owner), 403, "file_access_denied")
        for owner in ("nosuch", "user:nosuch", "65535"):
            self.refused(self.put("mine", b"y", owner=owner), 400, "unknown_owner")
        for owner in ("", ":", "user:", ":user", "a b", "-", "#0", "a:b:c"):
            self.refused(self.put("mine", b"y", owner=owner), 400, "invalid_request")
        self.assertEqual(self.sh("cat mine; ls -A | grep lmsb || true"), "x")
        self.refused(self.get("/no/such"), 404, "file_not_found")

    def test_a_client_that_goes_away_leaves_the_old_file(self):
        self.put("kept", b"old")
        connection = http.client.HTTPConnection(self.daemon.host, self.daemon.port)
        connection.putrequest("PUT", f"{self.base}/files?path=kept")
        connection.putheader("Content-Length", "1000000")
        connection.endheaders()
        connection.send(b"new" * 1000)
        connection.close()
        self.assertEqual(self.get("kept").body, b"old")
        self.assertEqual(self.sh("ls -a | grep -c lmsb- || true"), "0\n")

    def test_a_gigabyte_streams_in_constant_memory(self):
        memory = lambda: int(next(line.split()[1] for line in open(f"/proc/{self.daemon.daemon_pid()}/status")
                                  if line.startswith("VmRSS")))
        self.sh("truncate -s 1200M large")
        before = memory()
        connection = http.client.HTTPConnection(self.daemon.host, self.daemon.port)
        connection.request("GET", f"{self.base}/files?path=large")
        response, total, most = connection.getresponse(), 0, 0
        while part := response.read(1 << 20):
            total += len(part)
            most = max(most, memory())
        self.assertEqual(total, 1200 << 20)
        self.assertLess(most - before, 32 << 10)
        self.sh("rm large")


class Conditions(FilesTest):
    """If-Match and If-None-Match."""

    def tag(self, path):
        return self.call("HEAD", "files", path=path).headers["ETag"]

    def put_if(self, path, content, field, tag, **query):
        return self.call("PUT", "files", content, {"Content-Type": "application/octet-stream", field: tag}, path=path, **query)

    def test_a_file_is_written_and_removed_only_as_the_one_that_was_read(self):
        first = self.put("one", b"1").json()["etag"]
        self.assertEqual(self.put_if("one", b"2", "If-Match", first).status, 200)
        for answer in (self.put_if("one", b"3", "If-Match", first), self.put_if("one", b"3", "If-Match", first, append="true"),
                       self.call("DELETE", "files", headers={"If-Match": first}, path="one"),
                       self.put_if("one", b"3", "If-None-Match", self.tag("one")),
                       self.call("GET", "files", headers={"If-Match": first}, path="one"),
                       self.call("DELETE", "files", headers={"If-None-Match": "*"}, path="one")):
            self.refused(answer, 412, "precondition_failed")
        self.assertEqual(self.get("one").body, b"2")
        self.assertEqual(self.put_if("one", b"3", "If-Match", f'"other", {self.tag("one")}', append="true").status, 200)
        self.assertEqual(self.get("one", If_Match=self.tag("one")).body, b"23")
        self.assertEqual(self.call("DELETE", "files", headers={"If-Match": self.tag("one")}, path="one").status, 204)

    def test_where_nothing_is_nothing_is_made(self):
        for path in ("none", "no/such/none"):
            self.refused(self.put_if(path, b"x", "If-Match", "*"), 412, "precondition_failed")
        self.assertEqual(self.sh("ls -A | grep -x -e none -e no || true"), "")

    def test_of_several_writers_with_one_tag_one_gets_through(self):
        tag = self.put("race", b"0").json()["etag"]
        with concurrent.futures.ThreadPoolExecutor(8) as writers:
            answers = list(writers.map(lambda n: self.put_if("race", bytes([n]) * 300_000, "If-Match", tag).status, range(1, 9)))
        self.assertEqual(sorted(answers), [200] + [412] * 7)
        self.assertEqual(self.get("race").body, bytes([answers.index(200) + 1]) * 300_000)

    def test_what_a_program_changes_in_place_is_another_file(self):
        tag = self.put("place", b"abc").json()["etag"]
        self.sh("printf x | dd of=place conv=notrunc status=none")
        self.refused(self.put_if("place", b"2", "If-Match", tag), 412, "precondition_failed")

    def test_they_hold_where_the_directory_cannot_be_read(self):
        tag = self.put("blind/one", b"1").json()["etag"]
        self.sh("chmod 311 blind")
        self.assertEqual(self.put_if("blind/one", b"2", "If-Match", tag).status, 200)
        self.refused(self.put_if("blind/one", b"3", "If-Match", tag), 412, "precondition_failed")

    def test_a_body_that_hardly_comes_holds_up_nobody(self):
        tag = self.put("slow/one", b"abc").json()["etag"]
        with socket.create_connection((self.daemon.host, self.daemon.port), timeout=60) as slow:
            slow.sendall((f"PUT {self.base}/files?path=slow/one&append=true HTTP/1.1\r\nHost: localhost\r\nIf-Match: {tag}\r\n"
                          "Expect: 100-continue\r\nContent-Type: application/octet-stream\r\nContent-Length: 6\r\n\r\n").encode())
            self.assertIn(b" 100 ", slow.recv(100))
            slow.sendall(b"def")
            self.assertEqual(self.put_if("slow/one", b"2", "If-Match", tag).status, 200)
            self.assertEqual(self.put_if("slow/other", b"3", "If-None-Match", "*").status, 200)
            slow.sendall(b"ghi")
            answer = http.client.HTTPResponse(slow)
            answer.begin()
            self.assertEqual(answer.status, 412, "what it wanted to append to is another one by now")
        self.assertEqual(self.get("slow/one").body, b"2")

    def test_a_file_is_appended_to_where_none_may_be_made_beside_it(self):
        tag = self.put("closed/one", b"1").json()["etag"]
        self.sh("chmod 555 closed")
        self.assertEqual(self.put_if("closed/one", b"2", "If-Match", tag, append="true").status, 200)
        self.refused(self.put_if("closed/one", b"3", "If-Match", tag, append="true"), 412, "precondition_failed")
        self.assertEqual(self.get("closed/one").body, b"12")
        self.refused(self.put_if("closed/two", b"2", "If-None-Match", "*", append="true"), 403, "file_access_denied")
        self.assertEqual(self.sh("ls -A closed; find /tmp -name '.lmsb-*'"), "one\n")

    def test_what_cannot_be_appended_to_is_said_before_the_body_has_come(self):
        self.sh("mkdir kind; mkfifo kind/fifo")
        for path, status, code in (("kind", 409, "is_a_directory"), ("kind/fifo", 409, "not_a_regular_file")):
            with self.subTest(path), socket.create_connection((self.daemon.host, self.daemon.port), timeout=60) as asked:
                asked.sendall((f"PUT {self.base}/files?path={path}&append=true HTTP/1.1\r\nHost: localhost\r\nIf-Match: *\r\n"
                               f"Content-Type: application/octet-stream\r\nContent-Length: {1 << 30}\r\n\r\n").encode())
                asked.sendall(b"x" * 65536)  # of a body that never comes whole
                answer = http.client.HTTPResponse(asked)
                answer.begin()
                self.assertEqual((answer.status, json.loads(answer.read())["error"]["code"]), (status, code))

    def test_nobody_waits_for_long_for_a_lock_that_a_program_keeps(self):
        tag = self.put("kept/one", b"abc").json()["etag"]
        locked = self.call("POST", "exec", {
            "detach": True, "cmd": ["python3", "-c", "import fcntl, os, time; fd = os.open('kept', os.O_RDONLY)\n"
                                    "fcntl.flock(fd, fcntl.LOCK_EX); print('held', flush=True); time.sleep(1000)"]}).json()
        process = "processes/" + locked["id"]
        lmsb.wait_until(lambda: b"held" in self.call("GET", process + "/output").body, "the lock")
        self.refused(self.put_if("kept/one", b"2", "If-Match", tag), 409, "file_busy")
        self.assertEqual(self.get("kept/one").body, b"abc")
        self.call("POST", process + "/signal", {"signal": "KILL"})
        self.call("GET", process, wait_ms=30000)
        self.assertEqual(self.put_if("kept/one", b"2", "If-Match", tag).status, 200)


class Trees(FilesTest):
    def test_names_are_octets(self):
        self.sh("mkdir -p names; cd names; touch 'new\nline'; python3 -c \"open(b'\\xff\\xfe','w').write('o')\"")
        data = self.call("GET", "files/list", path="names").json()["data"]
        self.assertEqual([base64.b64decode(e["name_base64"]) if "name_base64" in e else e["name"].encode() for e in data],
                         [b"new\nline", b"\xff\xfe"])
        self.assertEqual(self.call("GET", "files", path_base64=data[1]["path_base64"]).body, b"o")

    def test_paths_of_4095_octets_work(self):
        path = "/workspace" + "/" + "/".join(["p" * 200] * 20)
        path += "/" + "q" * (4095 - len(path) - 1)
        self.assertEqual(self.put(path, b"far").status, 200)
        self.assertEqual(self.get(path).body, b"far")
        self.refused(self.put(path + "q", b"x"), 400, "invalid_path")

    def test_a_hundred_thousand_entries_come_in_pages(self):
        self.sh("mkdir many; cd many; seq -w 1 100000 | xargs touch")
        names, cursor = [], ""
        while cursor is not None:
            page = self.call("GET", "files/list", path="many", limit=10000, cursor=cursor).json()
            names += [entry["name"] for entry in page["data"]]
            cursor = page["next_cursor"]
        self.assertEqual(names, [f"{n:06d}" for n in range(1, 100001)])
        self.assertEqual(self.call("DELETE", "files", path="many", recursive="true").status, 204)

    def test_long_names_make_smaller_pages(self):
        self.sh("mkdir long; cd long; seq -f $(printf %200s | tr ' ' n)%06g 12000 | xargs touch")
        first = self.call("GET", "files/list", path="long", limit=10000).json()
        self.assertTrue(first["truncated"])
        self.assertLess(len(first["data"]), 10000)
        rest = self.call("GET", "files/list", path="long", limit=10000, cursor=first["next_cursor"]).json()
        self.assertEqual(len(first["data"]) + len(rest["data"]), 12000)

    def test_a_racing_renamer_leads_nothing_astray(self):
        self.sh("mkdir -p safe race/d; echo keep > safe/keep; touch race/d/{1..200}")
        renamer = self.call("POST", "exec", {"cmd": "while :; do mv race/d race/e; ln -s ../safe race/d; rm race/d; "
                                                    "mv race/e race/d; done >/dev/null 2>&1", "detach": True}).json()
        self.addCleanup(self.call, "DELETE", "processes/" + renamer["id"])
        for _ in range(20):
            self.call("DELETE", "files", path="race/d", recursive="true")
            self.sh("mkdir -p race/d; touch race/d/{1..200} || true")
        self.assertEqual(self.sh("cat safe/keep"), "keep\n")

    def test_move_copy_and_replace(self):
        self.sh("mkdir -p m/x; echo colour > m/x/a; ln -s a m/x/l; ln m/x/a m/x/h")
        self.assertEqual(self.do("copy", path="m", to="m2").status, 200)
        self.refused(self.do("copy", path="m", to="m/inside"), 400, "invalid_path")
        self.refused(self.do("move", path="m", to="m2"), 409, "file_exists")
        self.assertEqual(self.do("replace", path="m2", old="colour", new="color").json()["replacements"], 2)
        self.assertEqual(self.sh("cat m/x/a m2/x/a; readlink m2/x/l"), "colour\ncolor\na\n")
        self.assertEqual(self.do("grep", path="m2", pattern="^col[o]r$", regex=True).json()["matches"][0]["line"], 1)
        self.assertEqual(len(self.do("glob", path="m2", pattern="**/a").json()["data"]), 1)
        self.refused(self.do("grep", path="m2", pattern="(", regex=True), 400, "invalid_pattern")
        empty = self.do("grep", path="m2", pattern="")
        self.refused(empty, 400, "invalid_pattern")
        self.assertIn("what lines have", empty.json()["error"]["hint"])

    def test_a_copy_that_fails_in_the_middle_leaves_nothing_or_says_what(self):
        self.sh("mkdir -p half/ro; echo 1 > half/ro/f; chmod 555 half/ro; echo 2 > half/zz; chmod 0 half/zz; mkdir there")
        whole = self.do("copy", path="half", to="half2")
        self.refused(whole, 403, "file_access_denied")
        self.assertIn("nothing of the copy is there", whole.json()["error"]["hint"])
        merged = self.do("copy", path="half", to="there", overwrite=True)
        self.refused(merged, 403, "file_access_denied")
        self.assertIn("what was copied before is there", merged.json()["error"]["hint"])
        self.assertEqual(self.sh("ls -A . | grep -e half2 -e lmsb || true; ls there"), "ro\n")
        self.sh("chmod 644 half/zz")
        self.assertEqual(self.do("copy", path="half", to="half2").json()["files"], 4)
        self.assertEqual(self.sh("cat half2/ro/f half2/zz; stat -c %a half2/ro"), "1\n2\n555\n")

    def test_nothing_is_half_moved_to_another_file_system(self):
        self.sh("mkdir -p /dev/shm/m/d; echo 1 > /dev/shm/m/d/f; python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"/dev/shm/m/s\")'")
        self.refused(self.do("move", path="/dev/shm/m", to="moved"), 409, "not_a_regular_file")
        self.assertEqual(self.sh("ls -A . | grep -e moved -e lmsb || true; rm /dev/shm/m/s"), "")
        self.assertEqual(self.do("move", path="/dev/shm/m", to="moved").status, 200)
        self.assertEqual(self.sh("cat moved/d/f; ls /dev/shm"), "1\n")

    def test_archives_go_there_and_back(self):
        self.sh("mkdir -p t/d; echo 1 > t/d/f; ln -s nowhere t/l; mkfifo t/fifo")
        packed = self.call("GET", "archive", path="t")
        self.assertEqual(sorted(tarfile.open(fileobj=io.BytesIO(packed.body)).getnames()), ["d", "d/f", "l"])
        self.assertEqual(self.call("PUT", "archive", packed.body, {"Content-Type": "application/x-tar"}, path="t2").status, 200)
        self.assertEqual(self.sh("cat t2/d/f; readlink t2/l"), "1\nnowhere\n")

    def test_an_archive_that_is_cut_off_is_said_to_be(self):
        self.sh("mkdir -p cut; echo 1 > cut/a; echo 2 > cut/b")
        whole = self.call("GET", "archive", path="cut").body
        for size in (1024, 700):
            answer = self.call("PUT", "archive", whole[:size], {"Content-Type": "application/x-tar"}, path="cut2")
            self.refused(answer, 400, "invalid_archive")

    def test_an_archive_does_not_escape(self):
        for name, kind, target in (("../evil", tarfile.REGTYPE, ""), ("l/evil", tarfile.REGTYPE, ""),
                                   ("h", tarfile.LNKTYPE, "../../etc/passwd"), ("h", tarfile.LNKTYPE, "/etc/passwd")):
            archive = io.BytesIO()
            with tarfile.open(fileobj=archive, mode="w") as out:
                for member_name, member_kind, link in (("l", tarfile.SYMTYPE, "/tmp"), (name, kind, target)):
                    member = tarfile.TarInfo(member_name)
                    member.type, member.linkname = member_kind, link
                    out.addfile(member)
            answer = self.call("PUT", "archive", archive.getvalue(), {"Content-Type": "application/x-tar"}, path="esc")
            self.refused(answer, 400, "archive_escapes")
        self.assertEqual(self.sh("ls evil /tmp/evil 2>/dev/null | wc -l"), "0\n")


class Watching(FilesTest):
    def watch(self, path, **query):
        text = urllib.parse.urlencode({"path": path, **query})
        connection = http.client.HTTPConnection(self.daemon.host, self.daemon.port, timeout=60)
        self.addCleanup(connection.close)
        connection.request("GET", f"{self.base}/files/watch?{text}", headers={"Accept": "application/x-ndjson"})
        response = connection.getresponse()
        self.assertEqual(response.status, 200)
        events = (json.loads(line) for line in response)
        self.assertEqual(next(events), {"type": "armed"})
        return events

    def until(self, events, kind, path):
        """What comes up to this event."""
        seen = []
        for event in events:
            seen.append((event["type"], event.get("path")))
            if seen[-1] == (kind, path):
                return seen
        self.fail(f"{kind} {path} never came: {seen}")

    def test_tells_of_everything_from_the_moment_it_is_armed(self):
        self.sh("mkdir -p w/deep")
        events = self.watch("w")
        self.sh("echo x > w/a; echo y > w/deep/b; chmod 600 w/a; mv w/a w/c; rm w/deep/b; touch w/end")
        seen = self.until(events, "created", "/workspace/w/end")
        for expected in (("created", "/workspace/w/a"), ("written", "/workspace/w/a"), ("written", "/workspace/w/deep/b"),
                         ("changed", "/workspace/w/a"), ("renamed", "/workspace/w/a"), ("created", "/workspace/w/c"),
                         ("removed", "/workspace/w/deep/b")):
            self.assertIn(expected, seen)

    def test_what_the_api_writes_is_told_by_its_name_alone(self):
        self.sh("mkdir -p p")
        events = self.watch("p")
        for content in (b"one", b"two"):
            self.put("p/n", content)
        self.assertEqual(self.do("copy", path="p/n", to="p/m").status, 200)
        self.assertEqual(self.do("replace", path="p/n", old="two", new="six").status, 200)
        self.sh("touch p/end")
        seen = self.until(events, "created", "/workspace/p/end")
        self.assertEqual({path for _, path in seen}, {"/workspace/p/n", "/workspace/p/m", "/workspace/p/end"}, seen)
        self.assertEqual(seen[:2], [("created", "/workspace/p/n"), ("written", "/workspace/p/n")])
        self.assertEqual(seen.count(("written", "/workspace/p/n")), 3, seen)
        self.assertIn(("written", "/workspace/p/m"), seen)

    def test_new_directories_are_watched_too_and_moved_ones_by_their_new_name(self):
        self.sh("mkdir -p n")
        events = self.watch("n")
        self.sh("mkdir -p n/x/y/z; echo 1 > n/x/y/z/f")
        self.until(events, "created", "/workspace/n/x/y/z/f")
        self.sh("mv n/x n/moved")
        self.until(events, "created", "/workspace/n/moved/y/z/f")  # told of what came along, so watched
        self.sh("echo 2 > n/moved/y/z/g")
        self.until(events, "created", "/workspace/n/moved/y/z/g")

    def test_without_recursion_only_the_directory_itself(self):
        self.sh("mkdir -p r/sub")
        events = self.watch("r", recursive="false")
        self.sh("echo 1 > r/sub/f; touch r/end")
        self.assertNotIn(("created", "/workspace/r/sub/f"), self.until(events, "created", "/workspace/r/end"))

    def test_ends_with_its_directory(self):
        self.sh("mkdir g")
        events = self.watch("g")
        self.sh("rmdir g")
        self.assertEqual([event["type"] for event in events][-1], "gone")

    def test_more_than_can_be_watched_is_said(self):
        self.sh("mkdir many; cd many; seq 9000 | xargs mkdir")
        self.refused(self.call("GET", "files/watch", path="many"), 429, "too_many_watches")
        # It still has all that there is until it has ended, and other tests watch in the same sandbox.
        lmsb.wait_until(lambda: not lmsb.watching_processes(), "the end of the helper")

    def test_what_is_no_directory_is_refused(self):
        self.sh("touch plain")
        self.refused(self.call("GET", "files/watch", path="plain"), 409, "not_a_directory")
        self.refused(self.call("GET", "files/watch", path="none"), 404, "file_not_found")

    def test_a_reader_that_goes_leaves_no_process(self):
        self.sh("mkdir q")
        self.watch("q")
        self.assertEqual(len(lmsb.watching_processes()), 1)
        self.doCleanups()
        lmsb.wait_until(lambda: not lmsb.watching_processes(), "no helper left")


class FullDisk(FilesTest):
    limits = {"disk_bytes": 16 << 20}

    def test_a_copy_that_does_not_fit_leaves_nothing(self):
        self.sh("mkdir -p /dev/shm/tree/d; head -c 1M /dev/urandom > /dev/shm/tree/d/a; head -c 12M /dev/urandom > /dev/shm/tree/y; cp /dev/shm/tree/y /dev/shm/tree/z")
        self.refused(self.do("copy", path="/dev/shm/tree", to="tree"), 507, "disk_full")
        self.refused(self.do("move", path="/dev/shm/tree", to="tree"), 507, "disk_full")
        self.assertEqual(self.sh("ls -A . | grep -e tree -e lmsb || true; ls /dev/shm/tree; rm -r /dev/shm/tree"), "d\ny\nz\n")
        self.assertEqual(self.put("fits", b"x" * (4 << 20)).status, 200)
        self.sh("rm fits")

    def test_a_full_disk_leaves_the_old_file(self):
        self.put("kept", b"old")
        self.refused(self.put("kept", b"x" * (24 << 20)), 507, "disk_full")
        self.assertEqual(self.get("kept").body, b"old")


if __name__ == "__main__":
    lmsb.main()

#!/usr/bin/python3
"""`sudo` in sandboxes with the profile root: their user runs commands as anybody there, through the guest, without any setuid
program. Whoever does what it likes at that door disturbs nobody but who stands there, too."""
import errno
import os
import pathlib
import re
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
sys.path.insert(0, str(pathlib.Path(__file__).parent))
import lmsb
from test_root import AS_ROOT, AS_USER, STATUS
from test_staying import StayingTest, kill_all_of_ours

REFUSED, EPROTO, EPERM = 1, errno.EPROTO, errno.EPERM
BURST, A_SECOND = 100, 2  # of who is let in

# What a hostile caller has to say: a request with whatever it likes, and what it hears.
KNOCK = r"""
import os, signal, socket, struct
def knock():
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.connect("\0lm-sandbox/sudo")
    s.settimeout(60)
    return s
def request(words=("true",), **other):
    body = b"".join(word.encode() + b"\0" for word in words)
    fields = dict(version=VERSION, umask=0, argc=len(words), envc=0, size=len(body)) | other
    return struct.pack("5I", *fields.values()) + body
def ask(message, fds):
    s = knock()
    socket.send_fds(s, [message], fds)
    return s
def say(message, fds):
    return hear(ask(message, fds))
def hear(s):
    try: heard = s.recv(64)
    except ConnectionResetError: heard = s.recv(64)  # it has not read all; what it has said is there yet
    return struct.unpack("Ii", heard) if heard else "closed"
def course(s):
    begin, number = hear(s)
    return begin, hear(s)
good = [0, 1, 2, os.open(".", os.O_PATH)]
"""

NONSENSE = r"""
for name, message in {"nothing": b"\0", "half": request()[:9], "cut": request()[:-1], "more": request() + b"x", "version": request(version=1),
        "argc": request(argc=1 << 31), "envc": request(envc=5), "counts": request(argc=0), "size": request(size=1 << 30),
        "negative": request(argc=0xFFFFFFFF)}.items():
    print(name, *say(message, good))
for count in (0, 1, 3, 5, 30, 200):
    print(count, *say(request(), [0] * count))
print("directory", *course(ask(request(("touch", "/tmp/ran")), [0, 1, 2, 0])))
print("streams", *course(ask(request(), [good[3]] * 4)))
for cut in range(3):
    s = knock()
    if cut: s.send(request()[:cut * 8])
    s.close()
s = knock(); s.shutdown(socket.SHUT_RDWR); s.close()
s = knock(); s.shutdown(socket.SHUT_WR); print("mute", *hear(s))
s = ask(request(("sleep", "3010")), good); hear(s); s.send(struct.pack("i", 9)); print("signal", hear(s))
s = ask(request(("sleep", "3010")), good); hear(s); s.send(b"x" * 1000); print("words", hear(s))
s = ask(request(("sleep", "3010")), good); hear(s); socket.send_fds(s, [struct.pack("i", 15)], [0] * 30); print("descriptors", hear(s))
"""

MANY = r"""
held = []
while len(held) < 1000:
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
    try: s.connect("\0lm-sandbox/sudo")
    except BlockingIOError: pass
    held.append(s)
print("held", flush=True)
signal.pause()
"""

# Whoever lets go of such a socket last waits for an hour, as its owner has set: for a reader who never reads. That must not
# be this script, so it passes them while nobody takes them.
LINGERS = r"""
readers = []
def lingering():
    readers.append(socket.socket()); readers[-1].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    readers[-1].bind(("127.0.0.1", 0)); readers[-1].listen()
    s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096); s.connect(readers[-1].getsockname())
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 3600))
    s.setblocking(False)
    try:
        while True: s.send(bytes(1 << 16))
    except BlockingIOError: pass
    return s.detach()
def pass_lingering(s, message):
    fd = lingering()
    socket.send_fds(s, [message], [fd] * 4)
    os.close(fd)
    return s
"""

# As many as there are places.
ALL_LINGER = LINGERS + r"""
os.setuid(USER)
callers = [pass_lingering(knock(), b"nonsense") for _ in range(16)]
print("passed", flush=True)
for caller in callers: print(*hear(caller), flush=True)
signal.pause()
"""

SIGNAL_LINGERS = LINGERS + r"""
s = pass_lingering(ask(request(("sleep", "3013")), good), struct.pack("i", signal.SIGWINCH))
print("passed", flush=True)
print(*hear(s), flush=True)
signal.pause()
"""

# The connection is the command's own stdin, or another's: its end does not tell that of who asked.
HOLDS_ITS_OWN_END = r"""
s = knock()
socket.send_fds(s, [request(("sleep", "3011"))], [s.fileno(), 1, 2, good[3]])
print(*hear(s), flush=True)
signal.pause()
"""

LEAVES_ITS_END_TO_ANOTHER = r"""
if os.fork() == 0:
    s = ask(request(("sleep", "3012")), good)
    print(*hear(s), flush=True)
    if os.fork() == 0: signal.pause()
    os._exit(0)
os.wait()
print("left", flush=True)
signal.pause()
"""

# Whom nobody lets in asks as fast as it can.
KNOCKS = r"""
os.setuid(33)
import time
end = time.monotonic() + 6
count = 0
while time.monotonic() < end:
    knock().close()
    count += 1
print(count)
"""

# Serves in place of the guest's own program: takes O_NONBLOCK from what the guest reads next, and says nothing there.
SERVES_NOBODY = r"""
import os
os.rename("/run", "/r")
os.makedirs("/run/lm-sandbox/bin")
with open("/run/lm-sandbox/bin/sudo", "w") as program:
    program.write("#!/usr/bin/python3\nimport fcntl\nfcntl.fcntl(1, fcntl.F_SETFL, 0)\n")
os.chmod("/run/lm-sandbox/bin/sudo", 0o755)
"""

NEVER_READS = r"""
s = knock()
socket.send_fds(s, [request(("sh", "-c", "trap 'echo more' USR1; echo ready; while :; do sleep 0.01; done"))], good)
s.setblocking(False)
sent = 0
try:
    while sent < 100000: s.send(struct.pack("i", 10)); sent += 1
except OSError: pass  # no room is left, or who serves it has had enough
print("told", flush=True)
"""

LOCKED_OUT = r"""
import os, subprocess
for number in (33, 65534, 1001) * 5:
    done = subprocess.run(["sudo", "id", "-u"], user=number, capture_output=True, text=True)
    print(number, done.returncode, repr(done.stdout), "only root and the user" in done.stderr)
"""


def sleeping(number):
    return lmsb.sandbox_processes(b"sleep\0" + str(number).encode())


def serving():
    """Who serves callers. They are closed to whoever looks, so that the machine's root owns their entries of /proc."""
    return lmsb.processes(lambda entry: b"--serve-caller" in (entry / "cmdline").read_bytes())


class SudoTest(lmsb.SystemTest):
    data_dir = lmsb.TEST_DATA  # for its images

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.version = re.search(r"kVersion = (\d+)", (pathlib.Path(__file__).parents[2] / "src/guest_protocol/setup.h").read_text())[1]

    def box(self, **fields):
        return "/v1/sandboxes/" + self.make_sandbox(**{"image": "host", "profile": "root", **fields})

    def exec(self, path, cmd, **fields):
        done = self.daemon.post(path + "/exec", {"cmd": cmd, "user": "user", **fields})
        self.assertEqual(done.status, 200, done.body)
        return done.json()

    def output(self, path, cmd, **fields):
        done = self.exec(path, cmd, **fields)
        self.assertEqual((done["exit_code"], done["stderr"]), (0, ""), done)
        return done["stdout"]

    def start(self, path, cmd, **fields):
        started = self.daemon.post(path + "/exec", {"cmd": cmd, "user": "user", "detach": True, **fields})
        self.assertEqual(started.status, 201, started.body)
        return f"{path}/processes/{started.json()['id']}"

    def ended(self, process):
        return self.daemon.request("GET", process + "?wait_ms=60000").json()["result"]

    def wait_for(self, process, text, stream="stdout"):
        lmsb.wait_until(lambda: text in self.daemon.request("GET", f"{process}/output?stream={stream}").json()["text"], text)

    def script(self, text):
        return ["python3", "-c", KNOCK.replace("VERSION", self.version) + text]

    def hostile(self, path, text, **fields):
        return self.output(path, self.script(text), timeout_ms=60000, **fields)

    def take_all_places(self, path):
        process = self.start(path, "for i in $(seq 16); do sudo sh -c 'echo in; exec sleep 3006' & done; wait")
        self.wait_for(process, "in\n" * 16)
        return process


class Commands(SudoTest):
    def test_by_sudo_are_root_as_those_that_are_started_as_root(self):
        path = self.box()
        self.assertEqual(self.output(path, STATUS), AS_USER)
        self.assertEqual(self.output(path, ["sudo", "sh", "-c", STATUS]), AS_ROOT)
        self.assertEqual(self.output(path, ["sudo", "sh", "-c", STATUS], user="root"), AS_ROOT)
        self.assertEqual(self.output(path, ["sudo", "sudo", "sh", "-c", STATUS]), AS_ROOT)
        self.assertEqual(self.daemon.run(["sudo", "sh", "-c", STATUS], profile="root", image="host", user="user")["stdout"], AS_ROOT)
        self.assertEqual(self.output(path, "echo x | sudo tee /etc/by-sudo; stat -c %u:%a /etc/by-sudo"), "x\n0:644\n")

    def test_are_anybodys(self):
        path = self.box()
        self.output(path, "echo web:x:33:34:web:/srv:/bin/sh >> /etc/passwd; printf 'web:x:34:\\nadm:x:4:web,x\\n' >> /etc/group", user="root")
        for user in ("user", "root"):
            for how in ("-u web", "-uweb", "--user=web", "-n -u '#33'"):
                self.assertEqual(self.output(path, f"sudo {how} sh -c 'id -u; id -g; id -G; echo $HOME $USER $LOGNAME'", user=user),
                                 "33\n34\n34 4\n/srv web web\n")
        self.assertEqual(self.output(path, "sudo -u web grep -E ^Cap[IPEA] /proc/self/status").split()[1::2], ["0" * 16] * 4)
        self.assertEqual(self.output(path, "sudo -u web -g adm id -g; sudo -u '#77' id -u"), "4\n77\n")
        for how, why in (("-u nobodys", "there is no user nobodys"), ("-u '#65535'", "there is no user"), ("-g none", "there is no group none")):
            done = self.exec(path, f"sudo {how} id")
            self.assertEqual((done["exit_code"], done["stdout"]), (1, ""))
            self.assertIn("sudo: " + why, done["stderr"])

    def test_see_variables_as_with_any_sudo(self):
        path = self.box()
        seen = self.output(path, "sudo env | sort", env={"MINE": "1", "TERM": "dumb", "LC_ALL": "C"})
        self.assertEqual(seen, "HOME=/root\nLANG=C.UTF-8\nLC_ALL=C\nLOGNAME=root\n"
                               "PATH=/run/lm-sandbox/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nSHELL=/bin/bash\n"
                               "SUDO_COMMAND=env\nSUDO_GID=1000\nSUDO_UID=1000\nSUDO_USER=user\nTERM=dumb\nUSER=root\n")
        self.assertEqual(self.output(path, "sudo -E sh -c 'echo $MINE $USER $PATH'", env={"MINE": "1", "PATH": "/run/lm-sandbox/bin:/usr/bin"}),
                         "1 root /run/lm-sandbox/bin:/usr/bin\n")
        self.assertEqual(self.output(path, "sudo --preserve-env=B sh -c 'echo $A$B'", env={"A": "1", "B": "2"}), "2\n")
        self.assertEqual(self.output(path, "sudo A=1 -n B='2 3' sh -c 'echo $A$B'"), "12 3\n")
        self.assertEqual(self.output(path, "sudo -- env A=1 sh -c 'echo $A'"), "1\n")

    def test_have_the_callers_directory_streams_and_status(self):
        path = self.box()
        self.assertEqual(self.output(path, "mkdir -p /tmp/d; cd /tmp/d; sudo pwd; sudo -D /srv pwd"), "/tmp/d\n/srv\n")
        self.assertEqual(self.output(path, "echo in | sudo cat; sudo cat </dev/null; sudo sh -c 'echo e >&2' 2>&1"), "in\ne\n")
        self.assertEqual(self.output(path, "sudo sh -c 'echo x >/dev/stdout'; sudo sh -c 'cat /dev/stdout' 2>/dev/null; id -u"), "x\n1000\n")
        self.assertEqual(self.output(path, "sudo ls /proc/self/fd"), "0\n1\n2\n3\n", "and what ls opens")
        self.assertEqual(self.output(path, "head -c 5000000 /dev/zero | sudo cat | wc -c"), "5000000\n")
        self.assertEqual(self.output(path, "sudo sh -c 'exit 7'; echo $?; sudo false; echo $?; { sudo sh -c 'kill -9 $$'; } 2>/dev/null; echo $?"), "7\n1\n137\n")
        self.assertEqual(self.output(path, "sudo cat <&-; sudo echo x >&-; sudo sh -c 'echo y >&2' 2>&-; echo on"), "on\n", "closed is empty")
        missing = self.exec(path, "sudo no-such-program")
        self.assertEqual((missing["exit_code"], missing["stderr"]), (1, "sudo: no-such-program - command not found\n"))

    def test_have_the_callers_umask_and_none_that_lets_others_write(self):
        path = self.box()
        for user in ("user", "root"):
            for mask, mode in (("077", "600"), ("000", "644"), ("002", "644")):
                made = self.output(path, f"umask {mask}; sudo sh -c 'rm -f /etc/key; echo key > /etc/key'; stat -c %a /etc/key", user=user)
                self.assertEqual(made, mode + "\n", (user, mask))

    def test_may_have_as_many_words_as_programs_pass(self):
        path = self.box()
        for user in ("user", "root"):
            words, typed = self.output(path, "seq 20000 | xargs -n 20000 sudo sh -c 'echo $# ${#SUDO_COMMAND}' x", user=user).split()
            self.assertEqual((words, int(typed) in (4095, 4096)), ("20000", True), typed)

    def test_may_be_shells(self):
        path = self.box()
        self.assertEqual(self.output(path, "cd /tmp; sudo -i 'echo' 'a  b' '$HOME' 2>/dev/null; sudo -i pwd; sudo -s pwd; echo 'id -u' | sudo -s"),
                         "a  b /root\n/root\n/tmp\n0\n")

    def test_that_are_none_do_no_harm(self):
        path = self.box()
        for user in ("user", "root"):
            self.assertEqual(self.output(path, "sudo -v; sudo -k; sudo -K; sudo -n true", user=user), "")
            self.assertIn("NOPASSWD: ALL", self.output(path, "sudo -l", user=user))
            self.assertIn("usage: sudo", self.output(path, "sudo --help", user=user))
            for wrong in ("sudo", "sudo -e f", "sudo --what", "sudo -u", "sudo -i -s"):
                self.assertEqual(self.exec(path, wrong, user=user)["exit_code"], 1, wrong)

    def test_are_found_by_login_shells_too(self):
        path = self.box()
        self.assertEqual(self.output(path, ["bash", "-l", "-c", "command -v sudo; sudo id -u"]), "/run/lm-sandbox/bin/sudo\n0\n")
        self.assertEqual(self.output(path, ["bash", "-l", "-c", "command -v sudo; sudo id -u"], user="root"), "/run/lm-sandbox/bin/sudo\n0\n")

    def test_end_with_who_asked_for_them_and_hear_its_signals(self):
        path = self.box()
        trap = "trap 'echo got; exit 5' {}; echo ready; while :; do sleep 0.05; done"
        for name in ("TERM", "INT", "HUP", "USR1"):
            process = self.start(path, ["sudo", "sh", "-c", trap.format(name)])
            self.wait_for(process, "ready")
            self.assertEqual(self.daemon.post(process + "/signal", {"signal": "SIG" + name}).status, 204)
            self.assertEqual(self.ended(process)["exit_code"], 5, name)
        process = self.start(path, ["sudo", "sleep", "3001"])
        lmsb.wait_until(lambda: len(sleeping(3001)) == 2, "sudo and its command")
        self.daemon.post(process + "/signal", {"signal": "SIGTERM"})
        self.assertEqual(self.ended(process)["signal"], "SIGTERM")
        # Killed, sudo says nothing: all that it has started goes.
        process = self.start(path, ["sudo", "sh", "-c", "setsid sleep 3002 & setsid sleep 3002 & sleep 3002"])
        lmsb.wait_until(lambda: len(sleeping(3002)) == 3, "what it has started")
        self.daemon.post(process + "/signal", {"signal": "SIGKILL"})
        lmsb.wait_until(lambda: not lmsb.sandbox_processes(b"3002"), "the end of the tree")

    def test_hear_a_signal_that_their_first_step_brings(self):
        path = self.box()
        served = 'trap "exit 5" INT; kill -INT "$1"; while :; do sleep 0.02; done'
        self.exec(path, ["sh", "-c", f"cat >/tmp/served <<'END'\n{served}\nEND"])
        for _ in range(3):
            results = self.output(path, "for i in $(seq 30); do sh -c 'exec sudo sh /tmp/served $$'; echo $?; done")
            self.assertEqual(set(results.split()), {"5"}, results)

    def test_leave_what_they_leave_behind(self):
        path = self.box()
        self.output(path, "sudo sh -c 'sleep 3003 </dev/null >/dev/null 2>&1 & echo $! > /tmp/number'")
        self.assertEqual(len(sleeping(3003)), 1)
        self.assertEqual(self.output(path, "sudo kill $(cat /tmp/number); sudo id -u"), "0\n")
        lmsb.wait_until(lambda: not sleeping(3003), "its end")

    def test_of_a_request_that_times_out_end_with_it(self):
        path = self.box()
        for cmd in ("sudo sleep 3004", "sudo sh -c 'sleep 3004 </dev/null >/dev/null 2>&1 &'; exec sleep 60",
                    "sudo -u user sudo sh -c 'setsid sleep 3004 </dev/null >/dev/null 2>&1 &'; exec sleep 60"):
            done = self.exec(path, cmd, timeout_ms=2000)
            self.assertEqual(done["outcome"], "timed_out", done)
            lmsb.wait_until(lambda: not sleeping(3004), "the end of " + cmd)

    def test_are_of_the_tree_of_who_asked(self):
        path = self.box()
        background = "sudo sh -c 'sleep 3020 </dev/null >/dev/null 2>&1 & echo left'"
        for end in (lambda process: self.daemon.post(process + "/signal", {"signal": "TERM", "tree": True}),
                    lambda process: self.daemon.post(process + "/signal", {"signal": "KILL", "tree": True}),
                    lambda process: self.daemon.request("DELETE", process)):
            for rest in ("; exec sleep 60", ""):
                process = self.start(path, background + rest)
                self.wait_for(process, "left")
                if not rest:
                    self.assertTrue(self.ended(process)["background_left"])
                self.assertEqual(len(sleeping(3020)), 1)
                self.assertEqual(end(process).status, 204)
                lmsb.wait_until(lambda: not sleeping(3020), "the end of what it has left")
        for _ in range(20):
            self.assertFalse(self.ended(self.start(path, "sudo true; sudo sh -c 'true & wait'"))["background_left"])

    def test_hear_a_signal_to_the_tree_as_others_of_it(self):
        path = self.box()
        process = self.start(path, "sudo sh -c 'trap \"echo got; exit 5\" TERM; echo ready; while :; do sleep 0.05; done'; exit $?")
        self.wait_for(process, "ready")
        self.assertEqual(self.daemon.post(process + "/signal", {"signal": "TERM", "tree": True}).status, 204)
        self.wait_for(process, "got")
        lmsb.wait_until(lambda: not serving(), "its end")

    def test_hear_each_signal_to_the_tree_once(self):
        path = self.box()
        process = self.start(path, "sudo sh -c 'trap \"echo got\" USR1; echo ready; while :; do sleep 0.05; done'")
        self.wait_for(process, "ready")
        for number in range(1, 6):
            self.assertEqual(self.daemon.post(process + "/signal", {"signal": "USR1", "tree": True}).status, 204)
            self.wait_for(process, "ready\n" + "got\n" * number)
        time.sleep(0.5)
        text = self.daemon.request("GET", process + "/output?stream=stdout").json()["text"]
        self.assertEqual(text, "ready\n" + "got\n" * 5)
        self.assertEqual(self.daemon.request("DELETE", process).status, 204)

    def test_at_a_terminal_are_interrupted_stopped_and_resized(self):
        path = self.box()
        script = "trap 'echo interrupted; exit 6' INT; trap 'stty size' WINCH; test -t 0 && test -t 1 && echo ready; while :; do sleep 0.05; done"
        process = self.start(path, ["sudo", "sh", "-c", script], pty={"cols": 100, "rows": 30})
        self.wait_for(process, "ready")
        self.assertEqual(self.daemon.post(process + "/resize", {"pty": {"cols": 120, "rows": 40}}).status, 204)
        self.wait_for(process, "40 120")
        self.daemon.post(process + "/stdin", {"data": "\x03"})
        self.wait_for(process, "interrupted")
        self.assertEqual(self.ended(process)["exit_code"], 6)

    def test_of_a_shell_at_a_terminal_stop_and_go_on(self):
        path = self.box()

        def states(named):
            return [re.search(r"State:\t(.)", pathlib.Path(f"/proc/{pid}/status").read_text())[1] for pid in lmsb.sandbox_processes(named)]

        def type_in(text):
            self.assertEqual(self.daemon.post(shell + "/stdin", {"data": text}).status // 100, 2)

        shell = self.start(path, ["bash", "--norc", "--noprofile", "-i"], pty={"cols": 200, "rows": 30})
        for _ in range(2):
            type_in("sudo sleep 3007\n")
            lmsb.wait_until(lambda: len(sleeping(3007)) == 2, "sudo and its command")
            type_in("\x1a")
            lmsb.wait_until(lambda: states(b"sleep\0" + b"3007") == ["T", "T"], "both to stop")
            type_in("fg\n")
            lmsb.wait_until(lambda: states(b"sleep\0" + b"3007") == ["S", "S"], "both to go on")
            type_in("\x03")
            lmsb.wait_until(lambda: not sleeping(3007), "both to end")
        type_in("sudo readlink /proc/self/fd/0 &\n")
        self.wait_for(shell, "/dev/null\r")
        type_in("sudo readlink /proc/self/fd/0\n")
        self.wait_for(shell, "/dev/pts/0\r")
        type_in("exit\n")
        self.ended(shell)

    def test_in_sandboxes_without_root_there_is_nothing_of_it(self):
        path = self.box(profile="user")
        done = self.exec(path, "ls -A /run/lm-sandbox/bin; ls /etc/profile.d 2>/dev/null; echo $PATH; cat /proc/net/unix", user="")
        self.assertNotIn("sudo", done["stdout"])
        self.assertNotIn("/run/lm-sandbox", done["stdout"])
        script = "import socket\ns = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\nprint(s.connect_ex('\\0lm-sandbox/sudo'))"
        self.assertEqual(self.output(path, ["python3", "-c", script], user=""), f"{errno.ECONNREFUSED}\n")

    def test_are_found_by_login_shells_as_the_sandbox_has_it_and_need_no_room_on_its_disk(self):
        path = self.box(limits={"disk_bytes": 16 << 20})

        def again():
            for move in ("stop", "start"):
                answer = self.daemon.post(f"{path}/{move}", {})
                self.assertEqual(answer.status, 200, answer.body)
            return self.output(path, ["bash", "-l", "-c", "cat /etc/profile.d/lm-sandbox-sudo.sh; command -v sudo; true"])

        self.output(path, "echo '# off' > /etc/profile.d/lm-sandbox-sudo.sh", user="root")
        self.assertEqual(again(), "# off\n")
        full = self.output(path, "exec 2>/dev/null; rm /etc/profile.d/lm-sandbox-sudo.sh; cat /dev/zero > /full; echo x > /too-much; echo $?", user="root")
        self.assertEqual(full, "1\n")
        again()
        self.output(path, "rm -f /full /too-much /etc/profile.d/lm-sandbox-sudo.sh", user="root")
        self.assertIn("/run/lm-sandbox/bin/sudo\n", again())

    def test_work_in_an_image_and_after_a_start(self):
        lmsb.require_image("base")
        path = self.box(image="base")
        look = "command -v sudo; sudo id -u; sudo touch /usr/made; bash -lc 'sudo id -u'"
        self.assertEqual(self.output(path, look), "/run/lm-sandbox/bin/sudo\n0\n0\n")
        self.assertEqual(self.daemon.post(path + "/stop", {}).status, 200)
        self.assertEqual(self.daemon.post(path + "/start", {}).status, 200)
        self.assertEqual(self.output(path, look), "/run/lm-sandbox/bin/sudo\n0\n0\n")


class Door(SudoTest):
    def usable(self, path):
        self.assertEqual(self.daemon.post(path + "/exec", {"cmd": "echo on"}).json()["stdout"], "on\n")
        self.assertEqual(self.output(path, "sudo id -u", timeout_ms=60000), "0\n")

    def test_is_for_root_and_the_user_alone(self):
        path = self.box()
        self.assertEqual(self.output(path, ["python3", "-c", LOCKED_OUT], user="root"),
                         "".join(f"{number} 1 '' True\n" for number in (33, 65534, 1001) * 5))

    def test_refuses_what_is_no_request(self):
        path = self.box()
        heard = dict(line.split(" ", 1) for line in self.hostile(path, "os.dup2(1, 2)\n" + NONSENSE).splitlines())
        for name in ("nothing", "half", "cut", "more", "version", "argc", "envc", "counts", "size", "negative", "0", "1", "3", "5", "30", "200", "mute"):
            self.assertEqual(heard[name], f"{REFUSED} {EPROTO}", name)
        self.assertEqual((heard["directory"], heard["streams"]), ("0 (2, 256)", "0 (2, 0)"))
        self.assertEqual(self.exec(path, "ls /tmp/ran")["exit_code"], 2)
        self.assertEqual([heard[name] for name in ("signal", "words")], ["closed"] * 2)
        self.assertEqual(heard["descriptors"], "(2, 15)", "the signal is passed on, what came with it is let go")
        lmsb.wait_until(lambda: not lmsb.sandbox_processes(b"3010"), "the end of their commands")
        self.usable(path)

    def test_with_a_thousand_callers_holds_up_nobody_else(self):
        path = self.box()
        process = self.start(path, self.script(MANY))
        self.wait_for(process, "held")
        for _ in range(3):
            self.assertEqual(self.daemon.post(path + "/exec", {"cmd": "echo on"}).json()["stdout"], "on\n")
        self.assertIn(len(serving()), range(1, 17))
        self.daemon.request("DELETE", process)
        self.usable(path)

    def test_waits_for_no_descriptor_that_lingers(self):
        path = self.box()
        refused = lambda error: f"{REFUSED} {error}\n" * 16
        for user, script, heard in (("root", ALL_LINGER.replace("USER", "33"), refused(EPERM)),
                                    ("user", ALL_LINGER.replace("USER", "1000"), refused(EPROTO)), ("user", SIGNAL_LINGERS, "\n0 ")):
            many = self.take_all_places(path)
            process = self.start(path, self.script(script), user=user)
            self.wait_for(process, "passed")
            self.daemon.request("DELETE", many)
            self.wait_for(process, heard)
            self.daemon.post(process + "/signal", {"signal": "KILL"})
            lmsb.wait_until(lambda: not serving() and not sleeping(3013), "the end of who has taken it")
            self.usable(path)

    def test_lets_nobody_outlive_its_request(self):
        path = self.box()
        self.assertEqual(self.exec(path, self.script(HOLDS_ITS_OWN_END), timeout_ms=3000)["outcome"], "timed_out")
        lmsb.wait_until(lambda: not sleeping(3011), "the end of the command")
        process = self.start(path, self.script(HOLDS_ITS_OWN_END))
        self.wait_for(process, "\n")
        self.daemon.post(process + "/signal", {"signal": "KILL"})
        lmsb.wait_until(lambda: not sleeping(3011), "the end of the command, whose caller alone was killed")
        process = self.start(path, self.script(LEAVES_ITS_END_TO_ANOTHER))
        self.wait_for(process, "left")
        lmsb.wait_until(lambda: not sleeping(3012), "the end of the command")
        self.daemon.request("DELETE", process)
        stop = "sudo sh -c 'kill -STOP $PPID; exec sleep 3014'"
        self.assertEqual(self.exec(path, stop, timeout_ms=2000)["outcome"], "timed_out")
        lmsb.wait_until(lambda: not sleeping(3014), "the end of the command, whose server stands still")

    def test_starts_nothing_for_who_has_given_up(self):
        path = self.box()
        many = self.take_all_places(path)
        self.output(path, "exec 2>/dev/null; for i in $(seq 16); do timeout -s $([ $((i % 2)) = 0 ] && echo KILL || echo TERM) 1 sudo touch /tmp/late$i & done; wait")
        busy = self.start(path, "for i in $(seq 8); do while :; do :; done & done; wait")  # whoever may win a race does so once
        self.daemon.request("DELETE", many)
        self.output(path, "sudo true", timeout_ms=60000)
        lmsb.wait_until(lambda: not serving(), "everybody to be served")
        self.daemon.request("DELETE", busy)
        self.assertEqual(self.output(path, "ls /tmp"), "")

    def test_keeps_nobody_waiting_for_ever(self):
        path = self.box()
        many = self.take_all_places(path)
        waiting = self.output(path, "for i in $(seq 40); do sudo true 2>&1 & done; wait", timeout_ms=100000)
        self.assertEqual(waiting.count("nobody answers: too many commands"), 40, waiting)
        self.daemon.request("DELETE", many)
        self.usable(path)

    def test_stays_open_whatever_commands_without_sudo_leave_behind(self):
        path = self.box(limits={"processes": 1000, "memory_bytes": 1 << 30})
        for _ in range(520):
            self.output(path, ["sh", "-c", "sleep 3030 </dev/null >/dev/null 2>&1 &"])
        self.usable(path)

    def test_first_process_waits_for_nothing_that_root_has_changed(self):
        path = self.box()
        self.output(path, ["python3", "-c", SERVES_NOBODY], user="root")
        self.output(path, "timeout 1 /r/lm-sandbox/bin/sudo true; echo on", user="user")
        self.assertEqual(self.output(path, ["echo", "on"]), "on\n")

    def test_is_not_blocked_by_who_never_reads(self):
        path = self.box()
        self.assertIn("told", self.hostile(path, NEVER_READS))
        lmsb.wait_until(lambda: not lmsb.sandbox_processes(b"trap"), "the end of its command")
        self.usable(path)

    def test_makes_no_work_for_the_machine_by_who_asks_without_end(self):
        path = self.box()

        def number():
            return int(re.search(r"/c-(\d+)$", self.output(path, "cat /proc/self/cgroup"), re.M)[1])

        before = number()
        self.output(path, f"seq {BURST + 4} | xargs -n 1 -P 4 sudo true", timeout_ms=60000)
        self.assertGreaterEqual(number() - before, BURST + 4, "each has one of its own")
        for ask in (lambda: self.output(path, "for i in $(seq 12); do sudo true; done"), lambda: self.hostile(path, KNOCKS, user="root")):
            before, begin = number(), time.monotonic()
            ask()
            self.assertLess(number() - before, A_SECOND * (time.monotonic() - begin) + 8)
        self.usable(path)

    def test_opens_again_for_whom_root_has_spoiled_it(self):
        path = self.box()
        process = self.start(path, ["sudo", "sleep", "3005"])
        lmsb.wait_until(lambda: len(sleeping(3005)) == 2, "sudo and its command")
        number = re.search(r"^NSpid:.*\t(\d+)$", pathlib.Path(f"/proc/{serving()[0]}/status").read_text(), re.M)[1]
        self.output(path, f"kill -9 {number}", user="root")
        self.assertEqual(self.ended(process)["exit_code"], 1)
        lmsb.wait_until(lambda: not lmsb.sandbox_processes(b"3005"), "the end of what was served")
        self.output(path, "mv /run /r; mkdir /run; (sudo id -u || /r/lm-sandbox/bin/sudo id -u) 2>/dev/null & sleep 1; rmdir /run; mv /r /run; wait",
                    user="root", timeout_ms=60000)
        self.usable(path)

    def test_is_closed_for_who_asks_for_too_much(self):
        path = self.box()
        many = self.take_all_places(path)
        self.assertEqual(self.output(path, "timeout 1 sudo id -u; echo $?"), "124\n", "it waits, and can be interrupted")
        self.assertEqual(self.output(path, "id -u", user="root"), "0\n")
        self.daemon.request("DELETE", many)
        self.usable(path)


class Kept(StayingTest):
    def test_commands_of_sudo_go_on_without_a_daemon_when_their_callers_do(self):
        sandbox = self.create(profile="root")
        kept = self.detach(sandbox, "sudo sh -c 'echo in; exec sleep 3040'", user="user")
        lmsb.wait_until(lambda: len(sleeping(3040)) == 1, "the command")
        self.again(kill_all_of_ours)
        process = f"/v1/sandboxes/{sandbox}/processes/{kept['id']}"
        self.assertIsNone(self.daemon.request("GET", process).json()["result"])
        self.assertEqual(len(sleeping(3040)), 1)
        self.assertEqual(self.daemon.post(process + "/signal", {"signal": "TERM"}).status, 204)
        lmsb.wait_until(lambda: not sleeping(3040), "the command's end")


if __name__ == "__main__":
    lmsb.main()

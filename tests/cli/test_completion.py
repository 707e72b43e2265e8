#!/usr/bin/python3
"""What the shells offer while a user types, in the shells themselves; and the manual pages, as manual readers see them."""
import json
import os
import pathlib
import pty
import re
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import lmsb

PROGRAM = lmsb.BIN / "lm-sandbox"
BASH_COMPLETION = pathlib.Path("/usr/share/bash-completion/bash_completion")


def script(shell):
    return subprocess.run([PROGRAM, "completion", shell], stdout=subprocess.PIPE, check=True, text=True).stdout


def environment(home, host):
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("LM_SANDBOX_", "XDG_"))}
    return {**kept, "PATH": f"{lmsb.BIN}:/usr/bin:/bin", "HOME": str(home), "TERM": "dumb", "LM_SANDBOX_HOST": host,
            "LC_ALL": "C.UTF-8"}


class Typing:
    """A shell at a terminal, in a directory of its own."""

    def __init__(self, words, home, host, setup):
        pid, self.terminal = pty.fork()
        if pid == 0:
            os.chdir(home)
            os.execvpe(words[0], words, environment(home, host))
        self.pid = pid
        self.send(setup + "\n" + "echo re''ady\n")
        self.read_until(r"\nready")

    def send(self, text):
        os.write(self.terminal, text.encode())

    def read_until(self, pattern):
        """The match of `pattern` in what the shell shows from now on."""
        shown, end = "", time.monotonic() + 20
        while not (found := re.search(pattern, shown)):
            if not select.select([self.terminal], [], [], end - time.monotonic())[0]:
                raise AssertionError(f"waiting for {pattern}: {shown!r}")
            shown += os.read(self.terminal, 65536).decode(errors="replace").replace("\r", "")
        return found

    def typed(self, text, key="\t"):
        """What stands on the line when the key is pressed behind `text`: the line becomes one of echo, and is shown."""
        self.send(text + key + "\x05>'\x01echo '<\n")
        return self.read_until(r"\n<([^\n]*)>\n")[1]

    def end(self):
        os.close(self.terminal)
        os.waitpid(self.pid, 0)


class Completion(lmsb.SystemTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.home = pathlib.Path(tempfile.mkdtemp(prefix="lmsb-shell-"))
        cls.addClassCleanup(shutil.rmtree, cls.home)
        for shell, name in (("bash", "lm-sandbox"), ("zsh", "_lm-sandbox"), ("fish", "lm-sandbox.fish")):
            (cls.home / "installed" / shell).mkdir(parents=True)
            (cls.home / "installed" / shell / name).write_text(script(shell))
        (cls.home / "files").mkdir()
        (cls.home / "files" / "only-one.gguf").touch()
        cls.host = f"unix:{cls.daemon.run_dir}/api.sock"
        for name in ("box-one", "box-two"):
            made = cls.daemon.post("/v1/sandboxes", {"name": name})
            assert made.status == 201, made.body

    def shell(self, words, setup, host=None):
        if not shutil.which(words[0]):
            self.skipTest(f"{words[0]} is not installed: apt-get install {words[0]}")
        shell = Typing(words, self.home, host or self.host, setup)
        self.addCleanup(shell.end)
        return shell

    def bash(self, setup, **more):
        return self.shell(["bash", "--norc", "--noprofile"], "PS1=; bind 'set enable-bracketed-paste off'\n" + setup, **more)

    def assert_completes(self, shell):
        for typed, whole in {"lm-sandbox conf": "lm-sandbox config",
                             "lm-sandbox image bu": "lm-sandbox image build",
                             "lm-sandbox run --dry": "lm-sandbox run --dry-run",
                             "lm-sandbox create --on-idle de": "lm-sandbox create --on-idle delete",
                             "lm-sandbox create --on-idle=de": "lm-sandbox create --on-idle=delete",
                             "lm-sandbox exec box-o": "lm-sandbox exec box-one",
                             "lm-sandbox cp box-t": "lm-sandbox cp box-two:",
                             "lm-sandbox model pull files/onl": "lm-sandbox model pull files/only-one.gguf",
                             "lm-sandbox run --data-dir fil": "lm-sandbox run --data-dir files/",
                             f"{lmsb.BIN}/lm-sandbox doc": f"{lmsb.BIN}/lm-sandbox doctor"}.items():
            self.assertEqual(shell.typed(typed).rstrip(" "), whole)  # zsh takes the blank back

    def test_bash_completes(self):
        self.assert_completes(self.bash("source <(lm-sandbox completion bash)"))

    def test_bash_completes_with_bash_completion(self):
        if not BASH_COMPLETION.exists():
            self.skipTest("bash-completion is not installed: apt-get install bash-completion")
        target = self.home / ".local/share/bash-completion/completions"
        target.mkdir(parents=True)
        shutil.copy(self.home / "installed/bash/lm-sandbox", target)
        self.assert_completes(self.bash(f". {BASH_COMPLETION}"))

    def test_bash_shows_all_that_is_possible(self):
        shell = self.bash("source <(lm-sandbox completion bash)")
        self.assertEqual(shell.typed("lm-sandbox rm box-", key="\x1b*"), "lm-sandbox rm box-one box-two ")
        self.assertEqual(shell.typed("lm-sandbox cp fi"), "lm-sandbox cp files/")
        self.assertEqual(shell.typed("lm-sandbox cp box-t"), "lm-sandbox cp box-two:")
        self.assertEqual(shell.typed("lm-sandbox exec box-o"), "lm-sandbox exec box-one ")

    def test_zsh_completes(self):
        self.assert_completes(self.shell(["zsh", "-f"], "PS1=; unsetopt prompt_sp auto_remove_slash; autoload -Uz compinit; compinit -u -D\n"
                                                        "source <(lm-sandbox completion zsh)"))

    def test_zsh_finds_what_is_installed(self):
        self.assert_completes(self.shell(["zsh", "-f"], "PS1=; unsetopt prompt_sp auto_remove_slash; fpath=(~/installed/zsh $fpath)\n"
                                                        "autoload -Uz compinit; compinit -u -D"))

    def fish_offers(self, line):
        if not shutil.which("fish"):
            self.skipTest("fish is not installed: apt-get install fish")
        source = f"source {self.home}/installed/fish/lm-sandbox.fish; complete -C '{line}'"
        done = subprocess.run(["fish", "--no-config", "-c", source], cwd=self.home, env=environment(self.home, self.host),
                              stdout=subprocess.PIPE, check=True, text=True, timeout=60)
        return [offer.split("\t")[0] for offer in done.stdout.splitlines()]

    def test_fish_completes(self):
        self.assertEqual(self.fish_offers("lm-sandbox conf"), ["config"])
        self.assertEqual(self.fish_offers("lm-sandbox image bu"), ["build"])
        self.assertEqual(self.fish_offers("lm-sandbox run --dry"), ["--dry-run"])
        self.assertEqual(self.fish_offers("lm-sandbox create --on-idle de"), ["delete"])
        self.assertEqual(self.fish_offers("lm-sandbox create --on-idle=de"), ["--on-idle=delete"])
        self.assertEqual(self.fish_offers("lm-sandbox exec box-"), ["box-one", "box-two"])
        self.assertEqual(self.fish_offers("lm-sandbox cp box-t"), ["box-two:"])
        self.assertEqual(self.fish_offers("lm-sandbox model pull files/onl"), ["files/only-one.gguf"])

    def ask(self, *words, host=None):
        done = subprocess.run([PROGRAM, "__complete", "--", *words], env=environment(self.home, host or self.host),
                              capture_output=True, text=True, timeout=10)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return [line.split("\t")[0] for line in done.stdout.splitlines()]

    def test_names_images_models_and_processes(self):
        self.assertIn("host", self.ask("run", ""))
        for words in (("chat",), ("model", "show"), ("model", "rm")):
            self.assertEqual(self.ask(*words, "dem"), ["demonstration"])
        process = self.daemon.post("/v1/sandboxes/box-one/exec", {"cmd": "sleep 100", "detach": True}).json()["id"]
        self.assertEqual(self.ask("kill", "box-one", "prc"), [process])
        sandbox = self.daemon.request("GET", "/v1/sandboxes/box-one").json()["id"]
        self.assertEqual(self.ask("rm", sandbox[:10]), [sandbox])

    def test_snapshots_go_by_their_names_where_the_sandbox_is_known(self):
        taken = self.daemon.post("/v1/sandboxes/box-one/snapshot", {"name": "before"})
        self.assertEqual(taken.status, 201, taken.body)
        self.assertEqual(self.ask("rollback", "box-one", ""), ["before"])
        self.assertEqual(self.ask("rollback", "box-two", ""), [])
        self.assertEqual(self.ask("snapshot", "rm", ""), [taken.json()["id"]])

    def test_is_silent_and_starts_nothing_where_no_daemon_is(self):
        for host in (f"unix:{self.home}/no.sock", "http://127.0.0.1:1", "nonsense"):
            self.assertEqual(self.ask("rm", "", host=host), [])
        self.assertEqual(self.ask("--host", "http://127.0.0.1:1", "rm", ""), [])

    def test_waits_only_so_long_for_a_daemon_that_does_not_answer(self):
        with socket.create_server(("127.0.0.1", 0)) as deaf:
            begin = time.monotonic()
            self.assertEqual(self.ask("rm", "", host=f"http://127.0.0.1:{deaf.getsockname()[1]}"), [])
            self.assertLess(time.monotonic() - begin, 20)


class Pages(unittest.TestCase):
    def setUp(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="lmsb-man-"))
        self.addCleanup(shutil.rmtree, self.dir)
        subprocess.run([PROGRAM, "man", "--write", self.dir], check=True)
        self.pages = sorted(self.dir.glob("man[15]/*.[15]"))

    def read(self, page):
        if not shutil.which("mandoc"):
            self.skipTest("mandoc is not installed: apt-get install mandoc")
        done = subprocess.run(["mandoc", "-T", "ascii", page], stdout=subprocess.PIPE, check=True, text=True)
        return re.sub(".\b", "", done.stdout)

    def help(self, *words):
        return subprocess.run([PROGRAM, *words, "--help"], stdout=subprocess.PIPE, check=True, text=True).stdout

    def test_there_is_one_for_every_command(self):
        self.assertGreater(len(self.pages), 30)

    def test_have_no_warning_of_mandoc(self):
        if not shutil.which("mandoc"):
            self.skipTest("mandoc is not installed: apt-get install mandoc")
        for page in self.pages:
            said = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", page], stdout=subprocess.PIPE, text=True).stdout
            # A page is the same whenever it is made.
            self.assertEqual([line for line in said.splitlines() if "missing date" not in line], [])

    def test_have_no_warning_of_man(self):
        if not shutil.which("man"):
            self.skipTest("man is not installed: apt-get install man-db")
        for page in self.pages:
            done = subprocess.run(["man", "--warnings", "-l", page], env={**os.environ, "LC_ALL": "C.UTF-8", "MANPAGER": "cat"},
                                  capture_output=True, text=True)
            self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_say_all_that_the_help_says(self):
        program = self.read(self.dir / "man1/lm-sandbox.1")
        for command in re.findall(r"^  (\w+(?: \w+)?)  ", self.help(), re.MULTILINE):
            self.assertRegex(program, rf"(?m)^       {command}\b")
            if command == "bench":  # a program that is not installed knows its flags
                continue
            page = self.read(self.dir / f"man1/lm-sandbox-{command.replace(' ', '-')}.1")
            flags = re.findall(r"^  (?:-\w, |    )(--[\w-]+)", self.help(*command.split()), re.MULTILINE)
            self.assertIn("--help", flags)
            for flag in flags:
                self.assertRegex(page, rf"(?m)^       .*{flag}\b", command)

    def test_say_every_setting_with_its_variable(self):
        page = self.read(self.dir / "man5/lm-sandbox.toml.5")
        shown = subprocess.run([PROGRAM, "config", "show", "--json"], stdout=subprocess.PIPE, check=True).stdout
        for key in json.loads(shown)["origin"]:
            self.assertRegex(page, rf"(?m)^       {re.escape(key)}\b", key)
            self.assertIn("LM_SANDBOX_" + key.upper().replace(".", "__"), page)

    def test_know_what_the_tool_for_images_takes(self):
        tool = subprocess.run([lmsb.BIN / "lm-sandbox-tool", "--help"], stdout=subprocess.PIPE, check=True, text=True).stdout
        for flag in re.findall(r"--[\w-]+", self.help("image", "build")):
            self.assertTrue(flag == "--help" or flag in tool, flag)

    def test_are_printed_one_by_one(self):
        for topic, name in (("", "man1/lm-sandbox.1"), ("image-build", "man1/lm-sandbox-image-build.1"),
                            ("lm-sandbox.toml", "man5/lm-sandbox.toml.5")):
            words = [PROGRAM, "man", *([topic] if topic else [])]
            self.assertEqual(subprocess.run(words, stdout=subprocess.PIPE, check=True).stdout, (self.dir / name).read_bytes())
        self.assertEqual(subprocess.run([PROGRAM, "man", "frob"], stderr=subprocess.PIPE).returncode, 1)


if __name__ == "__main__":
    lmsb.main()

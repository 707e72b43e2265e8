#!/usr/bin/python3
"""clients/typescript against a daemon of the test's own: types from its /openapi.json, programs compiled with them.

Needs node and the packages that scripts/setup-npm.sh installs; without them it is skipped (exit status 77).
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import lmsb
import npm

CLIENT = lmsb.ROOT / "clients/typescript"
EXAMPLE_PRINTS = """\
wrote /workspace/numbers 6
ran exited 0
followed 0 1
followed 2 2
followed 4 3
read "1\\n2\\n3\\n"
gone 404 sandbox_not_found
"""
# What must not compile: a line below @ts-expect-error that has no error is one. It guards against types that allow all.
MISTAKES = """\
import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";

const api = createClient<paths, "application/json">();
// @ts-expect-error: no such field
export const body: components["schemas"]["OneShot"] = { cmd: "true", comand: "true" };
export async function mistakes() {
  // @ts-expect-error: no such path
  await api.GET("/v1/sandbox");
  // @ts-expect-error: no such method of the path
  await api.PUT("/v1/run");
  // @ts-expect-error: cmd is missing
  await api.POST("/v1/run", { body: {} });
  // @ts-expect-error: cmd is no number
  await api.POST("/v1/run", { body: { cmd: 5 } });
  // @ts-expect-error: the id is missing
  await api.GET("/v1/sandboxes/{id}");
  // @ts-expect-error: no such state
  await api.GET("/v1/sandboxes", { params: { query: { state: "sleeping" } } });
  const { data, error } = await api.GET("/v1/sandboxes/{id}", { params: { path: { id: "x" } } });
  // @ts-expect-error: there may be an error instead
  data.id;
  // @ts-expect-error: no such field
  error?.error.reason;
  // @ts-expect-error: no such field
  return data?.identity;
}
"""


def programs_of_readme():
    """Pairs of a program and what the page says that it prints."""
    page = (CLIENT / "README.md").read_text()
    blocks = re.findall(r"^```(ts|text)\n(.*?)^```$", page, re.M | re.S)
    assert [kind for kind, _ in blocks] == ["ts", "text"] * (len(blocks) // 2), "each program is followed by its output"
    return [(program, prints) for (_, program), (_, prints) in zip(blocks[::2], blocks[1::2])]


class TypescriptClient(lmsb.SystemTest):
    def setUp(self):
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="lmsb-typescript-"))
        self.addCleanup(shutil.rmtree, self.work)
        for name in ("package.json", "tsconfig.json", "example.ts"):
            shutil.copy(CLIENT / name, self.work)
        (self.work / "node_modules").symlink_to(npm.modules(CLIENT))
        self.env = {**os.environ, "LM_SANDBOX_HOST": f"http://{self.daemon.host}:{self.daemon.port}",
                    "npm_config_update_notifier": "false"}
        self.env.pop("LM_SANDBOX_API_KEY", None)

    def typed(self, *command):
        """What a command prints that is run in the client's folder."""
        done = subprocess.run(command, cwd=self.work, env=self.env, capture_output=True, text=True, timeout=300,
                              check=False)
        self.assertEqual(done.returncode, 0, f"{command}: {done.stdout[-3000:]}{done.stderr[-3000:]}")
        return done.stdout

    def test_programs_compile_with_the_types_of_the_served_document_and_print_what_is_said(self):
        prints = {"example": EXAMPLE_PRINTS}
        for number, (program, output) in enumerate(programs_of_readme(), 1):
            self.assertLessEqual(len(program.splitlines()), 20, "the README's programs are short")
            (self.work / f"readme_{number}.ts").write_text(program)
            prints[f"readme_{number}"] = output
        self.assertEqual(len(prints), 3)
        (self.work / "mistakes.ts").write_text(MISTAKES)

        self.typed("npm", "run", "generate")
        self.typed("npm", "run", "build")
        for name, output in prints.items():
            with self.subTest(name):
                self.assertEqual(self.typed("node", f"dist/{name}.js"), output)
        self.assertEqual(self.daemon.request("GET", "/v1/sandboxes").json()["data"], [], "each deletes its sandbox")


if __name__ == "__main__":
    npm.main(CLIENT, oldest_node=(18, 17))

#!/usr/bin/python3
"""A page of a sandbox in a real browser: what it can do, and what it cannot. Needs chromium; skipped without it."""
import json
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import browser
import lmsb

STRANGER = 65534  # runs the browser: a user of the machine whom the daemon's doors turn away
PORT = 3000
PAGE = """<!doctype html><title>ours</title><h1 id=title>waiting</h1>
<script>
document.getElementById('title').textContent = 'it runs';
const asked = {};
async function ask(url, options) {
  try { const answer = await fetch(url, options); return answer.type === 'opaque' ? 'opaque' : await answer.text(); }
  catch (error) { return 'refused: ' + error.name; }
}
</script>
"""


class Pages(lmsb.SystemTest):
    @classmethod
    def setUpClass(cls):
        if not browser.PROGRAM:
            raise unittest.SkipTest("chromium is not installed: apt-get install chromium")
        super().setUpClass()
        cls.sandbox = cls.daemon.post("/v1/sandboxes", {}).json()["id"]
        at = f"/v1/sandboxes/{cls.sandbox}"
        kind = {"Content-Type": "application/octet-stream"}
        for name, content in (("index.html", PAGE), ("data.txt", "from the sandbox")):
            answer = cls.daemon.request("PUT", f"{at}/files?path=/workspace/site/{name}", content, kind)
            assert answer.status == 200, answer.body
        server = ["python3", "-m", "http.server", str(PORT), "--directory", "/workspace/site"]
        cls.daemon.post(f"{at}/exec", {"cmd": server, "detach": True})
        lmsb.wait_until(lambda: any(entry["port"] == PORT for entry in
                                    cls.daemon.request("GET", f"{at}/ports").json()["data"]), "a server")
        cls.host = f"{PORT}-{cls.sandbox}.localhost:{cls.daemon.port}"
        cls.by_path = f"http://127.0.0.1:{cls.daemon.port}{at}/ports/{PORT}/"

    def preview(self):
        answer = self.daemon.post(f"/v1/sandboxes/{self.sandbox}/previews", {"port": PORT})
        self.assertEqual(answer.status, 201, answer.body)
        return answer.json()

    def sandboxes(self):
        return {entry["id"] for entry in self.daemon.request("GET", "/v1/sandboxes").json()["data"]}

    def test_are_shown_by_a_preview_url_and_ask_what_stands_beside_them(self):
        link = self.preview()
        with browser.Browser(STRANGER) as window:
            window.open(link["url"])
            self.assertEqual(window.evaluate("document.getElementById('title').textContent"), "it runs")
            self.assertEqual(window.evaluate("location.href"), f"http://{self.host}/")  # without the token
            self.assertEqual(window.evaluate("ask('data.txt')"), "from the sandbox")
            self.assertEqual(window.evaluate("document.cookie"), "")
            self.assertNotIn(link["token"], window.evaluate("document.documentElement.outerHTML"))

    def test_are_not_shown_to_who_has_no_preview_url(self):
        with browser.Browser(STRANGER) as window:
            window.open(f"http://{self.host}/")
            self.assertIn("key_required", window.evaluate("document.body.textContent"))
            self.assertEqual(window.evaluate("typeof ask"), "undefined")

    def test_do_not_reach_the_api(self):
        before = self.sandboxes()
        with browser.Browser(0) as window:  # whom the API would serve
            window.open(self.preview()["url"])
            for host in ("127.0.0.1", "localhost"):
                api = f"http://{host}:{self.daemon.port}"
                for path in ("/v1/sandboxes", "/v1/info", "/healthz"):
                    self.assertEqual(window.evaluate(f"ask('{api}{path}')"), "refused: TypeError", api + path)
                create = json.dumps({"method": "POST", "body": "{}", "headers": {"Content-Type": "application/json"}})
                self.assertEqual(window.evaluate(f"ask('{api}/v1/sandboxes', {create})"), "refused: TypeError")
                # What a browser sends without asking first has no effect either.
                blind = json.dumps({"method": "POST", "body": '{"cmd":"true"}', "mode": "no-cors"})
                for path in ("/v1/sandboxes", "/run-bash/", f"/v1/sandboxes/{self.sandbox}/exec"):
                    self.assertEqual(window.evaluate(f"ask('{api}{path}', {blind})"), "opaque")
        self.assertEqual(self.sandboxes(), before)

    def test_are_not_shown_by_the_path_that_is_for_programs(self):
        with browser.Browser(0) as window:
            window.open(self.by_path)
            self.assertIn("browser_refused", window.evaluate("document.body.textContent"))
            self.assertEqual(window.evaluate("typeof ask"), "undefined")
            window.open(f"http://127.0.0.1:{self.daemon.port}/healthz")
            # A page of the API's own origin may read it as a program would, but not run it.
            text = window.evaluate(f"fetch('{self.by_path}data.txt').then(answer => answer.text())")
            self.assertEqual(text, "from the sandbox")
            script = ("new Promise(done => { const script = document.createElement('script'); script.onload = () => "
                      f"done('ran'); script.onerror = () => done('refused'); script.src = '{self.by_path}data.txt';"
                      " document.documentElement.append(script); })")
            self.assertEqual(window.evaluate(script), "refused")


if __name__ == "__main__":
    lmsb.main()

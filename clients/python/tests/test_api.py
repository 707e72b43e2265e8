"""The whole API has a place in the client: what the document gains, the client gains, or this says why not."""
import functools
import pathlib
import re
import unittest

import support  # noqa: F401, it says where the client is
import lm_sandbox

DOCUMENT = pathlib.Path(__file__).parents[3] / "api/openapi.yaml"

PLACES = {
    "POST /v1/run": "run",
    "POST /v1/sandboxes": "Sandbox.create",
    "GET /v1/sandboxes": "Sandbox.list",
    "GET /v1/sandboxes/{id}": "Sandbox.connect",
    "DELETE /v1/sandboxes/{id}": "Sandbox.delete",
    "PATCH /v1/sandboxes/{id}": "Sandbox.update",
    "POST /v1/sandboxes/{id}/pause": "Sandbox.pause",
    "POST /v1/sandboxes/{id}/resume": "Sandbox.resume",
    "POST /v1/sandboxes/{id}/stop": "Sandbox.stop",
    "POST /v1/sandboxes/{id}/start": "Sandbox.start_again",
    "POST /v1/sandboxes/{id}/snapshot": "Sandbox.snapshot",
    "POST /v1/sandboxes/{id}/fork": "Sandbox.fork",
    "POST /v1/sandboxes/{id}/rollback": "Sandbox.rollback",
    "GET /v1/sandboxes/{id}/stats": "Sandbox.stats",
    "GET /v1/sandboxes/{id}/egress": "Sandbox.egress",
    "POST /v1/sandboxes/{id}/exec": "Sandbox.exec",
    "GET /v1/sandboxes/{id}/processes": "Sandbox.processes",
    "GET /v1/sandboxes/{id}/processes/{process}": "Sandbox.process",
    "DELETE /v1/sandboxes/{id}/processes/{process}": "Process.delete",
    "POST /v1/sandboxes/{id}/processes/{process}/stdin": "Process.write",
    "POST /v1/sandboxes/{id}/processes/{process}/signal": "Process.signal",
    "POST /v1/sandboxes/{id}/processes/{process}/resize": "Process.resize",
    "GET /v1/sandboxes/{id}/processes/{process}/output": "Process.output",
    "GET /v1/sandboxes/{id}/logs": "Sandbox.logs",
    "GET /v1/sandboxes/{id}/pty": "Process.terminal",
    "DELETE /v1/sandboxes/{id}/sessions/{session}": "Session.end",
    "GET /v1/sandboxes/{id}/sessions": "Sandbox.sessions",
    "GET /v1/sandboxes/{id}/sessions/{session}": "Session.refresh",
    "GET /v1/sandboxes/{id}/ports": "Sandbox.ports",
    "GET /v1/sandboxes/{id}/ports/{port}/{path}": "Sandbox.port_url",
    "POST /v1/sandboxes/{id}/previews": "Sandbox.preview",
    "GET /v1/sandboxes/{id}/tunnel": "Sandbox.connect_port",
    "GET /v1/sandboxes/{id}/files": "Files.read",
    "HEAD /v1/sandboxes/{id}/files": "Files.stat",
    "PUT /v1/sandboxes/{id}/files": "Files.write",
    "DELETE /v1/sandboxes/{id}/files": "Files.remove",
    "GET /v1/sandboxes/{id}/files/list": "Files.list",
    "GET /v1/sandboxes/{id}/files/stat": "Files.stat",
    "POST /v1/sandboxes/{id}/files/mkdir": "Files.mkdir",
    "POST /v1/sandboxes/{id}/files/move": "Files.move",
    "POST /v1/sandboxes/{id}/files/copy": "Files.copy",
    "POST /v1/sandboxes/{id}/files/chmod": "Files.chmod",
    "POST /v1/sandboxes/{id}/files/glob": "Files.glob",
    "POST /v1/sandboxes/{id}/files/grep": "Files.grep",
    "POST /v1/sandboxes/{id}/files/replace": "Files.replace",
    "GET /v1/sandboxes/{id}/files/watch": "Files.watch",
    "GET /v1/sandboxes/{id}/archive": "Files.download_archive",
    "PUT /v1/sandboxes/{id}/archive": "Files.upload_archive",
    "GET /v1/snapshots": "Snapshot.list",
    "POST /v1/snapshots/import": "Snapshot.load",
    "GET /v1/snapshots/{id}": "Snapshot.connect",
    "DELETE /v1/snapshots/{id}": "Snapshot.delete",
    "GET /v1/snapshots/{id}/export": "Snapshot.export",
    "POST /v1/volumes": "Volume.create",
    "GET /v1/volumes": "Volume.list",
    "GET /v1/volumes/{id}": "Volume.connect",
    "PATCH /v1/volumes/{id}": "Volume.update",
    "DELETE /v1/volumes/{id}": "Volume.delete",
    "GET /v1/events": "SandboxEvents",
    "POST /v1/keys": "Key.create",
    "GET /v1/keys": "Key.list",
    "DELETE /v1/keys/{id}": "Key.delete",
    "GET /v1/images": "Image.list",
    "GET /v1/models": "Model.list",
    "POST /v1/models/{id}/load": "Model.load",
    "POST /v1/models/{id}/unload": "Model.unload",
    "GET /v1/info": "Client.info",
}
# Clients of OpenAI's API ask models; operators add and remove models and look at the ledger by the command line.
LEFT_OUT = {"GET /v1/models/{id}", "GET /v1/models/{id}/details", "DELETE /v1/models/{id}", "POST /v1/models/pull",
            "POST /v1/chat/completions", "POST /v1/completions", "POST /v1/embeddings", "POST /v1/responses",
            "POST /v1/responses/input_tokens", "POST /v1/messages", "POST /v1/messages/count_tokens", "GET /v1/ledger"}


def documented():
    path = ""
    for line in DOCUMENT.read_text().split("\ncomponents:")[0].splitlines():
        path = found[1] if (found := re.fullmatch(r"  (/\S*):", line)) else path
        found = re.fullmatch(r"    (get|put|post|patch|delete|head|options):", line)
        if found and path.startswith("/v1/"):
            yield f"{found[1].upper()} {path}"


class WholeApi(unittest.TestCase):
    def test_every_route_has_its_place(self):
        of_a_port = "/v1/sandboxes/{id}/ports/{port}/{path}"  # one place for all methods
        routes = {route for route in documented() if not route.endswith(of_a_port) or route.startswith("GET ")}
        self.assertEqual(routes - set(PLACES) - LEFT_OUT, set(), "say where the client has these")
        self.assertEqual((set(PLACES) | LEFT_OUT) - routes, set(), "these are not in the document any more")

    def test_every_place_is_there_and_says_what_it_is(self):
        for place in PLACES.values():
            found = functools.reduce(getattr, place.split("."), lm_sandbox)
            self.assertTrue(callable(found), place)

    def test_every_public_name_has_a_docstring(self):
        for name in lm_sandbox.__all__:
            value = getattr(lm_sandbox, name)
            if isinstance(value, type) or callable(value) and hasattr(value, "__code__"):
                self.assertTrue(value.__doc__, name)


if __name__ == "__main__":
    unittest.main()

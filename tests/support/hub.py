"""A server of ours that speaks as Hugging Face and as Ollama's registry do, as far as pulls ask them, and fails as they do."""
import hashlib
import http.server
import json
import re
import threading

TOKEN = "hf_secret"
PIECE = 65536


class Hub:
    """One repository, org/small-GGUF, with the models that it is given, and the same as small:3b of a registry. What is
    asked is kept. Files are at another origin, as at Hugging Face; `cut` is how much of one is sent before the connection
    breaks; `hold` lets nothing more go out behind that much until it is set."""

    def __init__(self, files):
        self.files = files
        self.asked = []
        self.cut = self.hold_behind = None
        self.hold = threading.Event()
        self.changed = {}
        self.needs_token = False
        self.front, self.storage = self.serve(self.answer_front), self.serve(self.answer_storage)

    def serve(self, answer):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(handler):
                self.asked.append((answer.__name__, handler.path, dict(handler.headers)))
                answer(handler)

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.hold.set()
        for server in (self.front, self.storage):
            server.shutdown()
            server.server_close()

    @property
    def environment(self):
        url = f"http://127.0.0.1:{self.front.server_port}"
        return {"LM_SANDBOX_MODEL__HUGGING_FACE": url, "LM_SANDBOX_MODEL__REGISTRY": url + "/"}

    def send(self, handler, status, body, **headers):
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def answer_front(self, handler):
        path = handler.path.split("?")[0]
        if self.needs_token and handler.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self.send(handler, 401, b"")
        if path == "/api/models/org/small-GGUF/tree/main":
            return self.send_list(handler, "page=2" in handler.path)
        if path == "/v2/library/small/manifests/3b":
            layers = [{"mediaType": "application/vnd.ollama.image.template", "digest": "sha256:" + "0" * 64, "size": 1},
                      {"mediaType": "application/vnd.ollama.image.model", **self.layer("small-Q4_K_M.gguf")}]
            return self.send(handler, 200, json.dumps({"schemaVersion": 2, "layers": layers}).encode())
        if found := re.fullmatch(r"/v2/library/small/blobs/sha256:(\w+)", path):
            name = next(name for name, octets in self.files.items() if hashlib.sha256(octets).hexdigest() == found[1])
            return self.lead(handler, name, 307)
        if found := re.fullmatch(r"/org/small-GGUF/resolve/main/(.*)", path):
            return self.lead(handler, found[1], 302)
        return self.send(handler, 404, b"")

    def layer(self, name):
        return {"digest": "sha256:" + hashlib.sha256(self.files[name]).hexdigest(), "size": len(self.files[name])}

    def lead(self, handler, name, status):
        self.send(handler, status, b"", Location=f"http://127.0.0.1:{self.storage.server_port}/stored/{name}?signed=1")

    def send_list(self, handler, is_second):
        """In two pages: the first has none of the models."""
        listed = [{"type": "file", "path": "README.md", "size": 3, "oid": "1"}]
        if is_second:
            listed = [{"type": "file", "path": name, "size": len(octets), "oid": "1",
                       "lfs": {"oid": hashlib.sha256(octets).hexdigest(), "size": len(octets)}}
                      for name, octets in self.files.items()]
        more = {} if is_second else {
            "Link": f'<http://127.0.0.1:{self.front.server_port}/api/models/org/small-GGUF/tree/main?page=2>; rel="next"'}
        self.send(handler, 200, json.dumps(listed).encode(), **more)

    def answer_storage(self, handler):
        name = handler.path.split("?")[0].removeprefix("/stored/")
        octets = self.changed.get(name, self.files[name])
        begin = 0
        if found := re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", "")):
            begin = int(found[1])
        handler.send_response(206 if begin else 200)
        if begin:
            handler.send_header("Content-Range", f"bytes {begin}-{len(octets) - 1}/{len(octets)}")
        handler.send_header("Content-Length", str(len(octets) - begin))
        handler.end_headers()
        for at in range(begin, len(octets), PIECE):
            if self.cut is not None and at - begin >= self.cut:
                handler.close_connection = True
                return None
            if self.hold_behind is not None and at >= self.hold_behind:
                handler.wfile.flush()
                self.hold.wait(60)
            try:
                handler.wfile.write(octets[at:at + PIECE])
            except OSError:
                return None
        return None

    def ranges(self):
        """Of what was asked of the storage, in its order."""
        return [headers.get("Range") for who, _, headers in self.asked if who == "answer_storage"]

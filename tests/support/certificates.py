"""Certificates for tests, made by the openssl program in a directory of their own."""
import pathlib
import ssl
import subprocess

KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]


class Authority:
    """`pem` is what clients trust."""

    def __init__(self, directory, name="ca"):
        self.directory = pathlib.Path(directory)
        self.pem, self.key = self.directory / f"{name}.pem", self.directory / f"{name}.key"
        self._openssl("req", "-x509", *KEY, "-nodes", "-days", "2", "-subj", f"/CN={name}", "-keyout", self.key, "-out", self.pem)

    def _openssl(self, *words):
        subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True, timeout=60)

    def make(self, certificate, key, names="DNS:localhost,IP:127.0.0.1", days=2, passphrase=None):
        """Puts a certificate and its key there, each by renaming; the key for its owner alone."""
        drafts = [self.directory / "draft.csr", self.directory / "draft.names", self.directory / "draft.pem", self.directory / "draft.key"]
        request, extension, made, private = drafts
        lock = ["-passout", f"pass:{passphrase}"] if passphrase else ["-nodes"]
        self._openssl("req", *KEY, *lock, "-subj", "/CN=sandbox", "-keyout", private, "-out", request)
        extension.write_text(f"subjectAltName={names}")
        self._openssl("x509", "-req", "-in", request, "-CA", self.pem, "-CAkey", self.key, "-CAcreateserial", "-days", days,
                      "-extfile", extension, "-out", made)
        private.chmod(0o600)
        made.rename(certificate)
        private.rename(key)

    def context(self):
        """What a client of Python's needs."""
        return ssl.create_default_context(cafile=self.pem)

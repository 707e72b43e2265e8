#!/usr/bin/python3
"""The HTTP contract (tests/clients/http_contract.py) against a daemon of the test's own."""
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import lmsb


class HttpContract(lmsb.SystemTest):
    def test_every_check_of_the_contract_passes(self):
        script = lmsb.ROOT / "tests/clients/http_contract.py"
        done = subprocess.run(["/usr/bin/python3", script, f"http://{self.daemon.host}:{self.daemon.port}"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout[-3000:] + done.stderr[-1000:])


if __name__ == "__main__":
    lmsb.main()

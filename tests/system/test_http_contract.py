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

    def test_the_originals_first_line_typed_as_it_stands_answers_as_the_original_did(self):
        answer = self.daemon.typed("""curl -X POST "http://localhost:8000/run-bash/" -H "Content-Type: application/json" -d '{"cmd":"whoami"}'""")
        self.assertEqual((answer["output"], answer["error"]), ("user\n", ""))


if __name__ == "__main__":
    lmsb.main()

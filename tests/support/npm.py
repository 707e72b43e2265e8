"""What the tests share that run programs with npm's packages."""
import os
import shutil
import subprocess
import sys

import lmsb


def modules(folder):
    """Where scripts/setup-npm.sh puts what the folder's package-lock.json pins."""
    return lmsb.ROOT / "build/npm" / folder.name / "node_modules"


def what_is_missing(folder, oldest_node):
    """The reason for which such a test cannot run, or None."""
    if os.geteuid() != 0:
        return "root is needed: sandboxes are launched by a privileged launcher"
    if not shutil.which("node") or not shutil.which("npm"):
        return "node and npm are needed"
    version = subprocess.run(["node", "--version"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    if tuple(int(part) for part in version[1:].split(".")[:2]) < oldest_node:
        return f"node is {version}, older than {'.'.join(map(str, oldest_node))}"
    pinned, installed = folder / "package-lock.json", modules(folder) / ".installed"
    if not installed.exists() or installed.read_bytes() != pinned.read_bytes():
        return f"npm's packages are not installed: scripts/setup-npm.sh {folder.relative_to(lmsb.ROOT)}"
    return None


def main(folder, oldest_node):
    """Runs the tests of the calling program, or says why it cannot."""
    reason = what_is_missing(folder, oldest_node)
    if reason:
        print(f"{folder.name}: Skipped\n{reason}")
        sys.exit(77)
    lmsb.main()

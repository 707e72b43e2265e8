"""nginx for the peers' figures: the one that is installed, else the distribution's package, fetched and unpacked for us."""
import contextlib
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time

CONFIGURATION = """daemon off;
user root;
worker_processes 1;
pid {directory}/pid;
error_log {directory}/log;
events {{}}
http {{
  access_log off;
  sendfile on;
  tcp_nopush on;
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  server {{ listen 127.0.0.1:{port}; root {root}; }}
}}
"""


def program(directory):
    """Where nginx is. What an installation would start at once is not installed: its package is unpacked."""
    installed = shutil.which("nginx", path="/usr/sbin:/usr/bin:" + os.environ.get("PATH", ""))
    if installed:
        return installed
    if not shutil.which("apt-get"):
        raise RuntimeError("nginx is not installed, and there is no apt-get to fetch it")
    os.chmod(directory, 0o755)
    fetched = subprocess.run(["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", "nginx"], cwd=directory,
                             capture_output=True, text=True)
    packages = list(pathlib.Path(directory).glob("nginx_*.deb"))
    if fetched.returncode != 0 or not packages:
        raise RuntimeError("nginx is not installed, and cannot be fetched: " + (fetched.stderr.strip() or "no package"))
    unpacked = subprocess.run(["dpkg-deb", "-x", packages[0], f"{directory}/package"], capture_output=True, text=True)
    if unpacked.returncode != 0:
        raise RuntimeError("nginx is not installed, and its package cannot be unpacked: " + unpacked.stderr.strip())
    return f"{directory}/package/usr/sbin/nginx"


@contextlib.contextmanager
def nginx(root):
    """Serves the files of `root` on loopback; gives its port. Raises RuntimeError when there is none to be had."""
    directory = tempfile.mkdtemp(prefix="lmsb-nginx-", dir="/var/tmp")
    process = None
    try:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        configuration = pathlib.Path(directory) / "configuration"
        configuration.write_text(CONFIGURATION.format(directory=directory, port=port, root=root))
        process = subprocess.Popen([program(directory), "-c", configuration], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        wait_until_it_listens(process, port, directory)
        yield port
    finally:
        if process:
            process.terminate()
            process.wait(60)
        shutil.rmtree(directory, ignore_errors=True)


def wait_until_it_listens(process, port, directory):
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if process.poll() is not None:
            break
        time.sleep(0.05)
    log = pathlib.Path(directory, "log")
    said = log.read_text().strip()[-300:] if log.exists() else "it says nothing"
    raise RuntimeError("nginx does not start here: " + said)

"""Runs the contract of vector stores on a real Milvus server: ``python -m tests.retrieval.milvus_run``.

Server and client come from PyPI, each into an environment of its own, since they need other versions than we
do. The server listens on all interfaces, so that it and the tests run in a network namespace of their own.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
import venv
from pathlib import Path
from typing import Final

_HOME: Final = Path(sys.prefix) / "engines" / "milvus"
_ROOT: Final = Path(__file__).parents[2]
_SERVER: Final = ("setuptools<70", "milvus==2.3.5")  # the last one for Linux; it imports pkg_resources
_CLIENT: Final = ("pymilvus>=2.6",)
_PORT: Final = 19530  # of a namespace where nothing else is
_PATIENCE_S: Final = 120.0


def main() -> int:
    """Install what is missing and run the tests apart; returns their exit status."""
    for name, packages in (("server", _SERVER), ("client", _CLIENT)):
        _installed(_HOME / name, packages)
    unshare = shutil.which("unshare")
    if unshare is None:
        sys.exit("Milvus runs in a network namespace of its own; unshare (util-linux) is not here")
    inside = f"ip link set lo up && exec {sys.executable} -m tests.retrieval.milvus_run inside"
    apart = [unshare, "--net"] if os.geteuid() == 0 else [unshare, "--map-root-user", "--net"]
    return subprocess.run([*apart, "sh", "-c", inside], cwd=_ROOT, check=False).returncode


def inside() -> int:
    """Start the server, run the tests, stop the server."""
    with tempfile.TemporaryDirectory() as folder:
        command = [str(_HOME / "server/bin/milvus-server"), "--data", folder, "--proxy-port", str(_PORT)]
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            _wait_for(server)
            # Our packages first: of those that both environments have, ours are tested.
            path = os.pathsep.join([str(_ROOT), sysconfig.get_path("purelib")])
            environment = os.environ | {"PYTHONPATH": path, "MILVUS_URL": f"milvus://127.0.0.1:{_PORT}"}
            tests = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "milvus"]
            python = _HOME / "client/bin/python"
            return subprocess.run(
                [python, *tests, "tests/retrieval/test_vector_stores.py"],
                cwd=_ROOT,
                env=environment,
                check=False,
            ).returncode
        finally:
            server.terminate()
            server.wait(_PATIENCE_S)


def _installed(folder: Path, packages: tuple[str, ...]) -> None:
    done = folder / ".installed"
    if not done.exists():
        venv.create(folder, clear=True, with_pip=True)
        subprocess.run([folder / "bin/python", "-m", "pip", "install", "--quiet", *packages], check=True)
        done.touch()


def _wait_for(server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", _PORT), timeout=1):
                return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError(f"the Milvus server must listen on port {_PORT} within {_PATIENCE_S} s, and does not")


if __name__ == "__main__":
    sys.exit(inside() if sys.argv[1:] == ["inside"] else main())

"""Real programs that tests need and no Python package carries, without root.

What is on the path is used. Anything else comes from Debian's packages, which are unpacked into the virtual
environment once; the machine's own packages stay as they are.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple

import pytest

_HOME: Final = Path(sys.prefix) / "engines"
_ROOT: Final = _HOME / "root"
_PATIENCE_S: Final = 300


class _Program(NamedTuple):
    """What a program comes with.

    Attributes:
        packages: Debian packages: its own, and libraries that a small system lacks.
        suite: Suite of those packages, beside the ones of this machine, or ``""``.
    """

    packages: tuple[str, ...]
    suite: str = ""


_REDIS: Final = ("redis-server", "redis-tools", "liblzf1", "libjemalloc2", "libatomic1")
_PROGRAMS: Final[Mapping[str, _Program]] = MappingProxyType(
    {
        "redis-server": _Program(_REDIS),
        "redis-cli": _Program(_REDIS),
        "valkey-server": _Program(
            ("valkey-server", "valkey-tools", "liblzf1", "libjemalloc2", "libatomic1"), "bookworm-backports"
        ),
        "haproxy": _Program(
            ("haproxy", "liblua5.3-0", "libopentracing-c-wrapper0", "libopentracing1", "libatomic1")
        ),
        "nginx": _Program(("nginx", "nginx-common")),
    }
)


def engine(name: str) -> Path:
    """Return the path of a program; start it with `environment`.

    Skips the test where the program cannot be had, and fails it on machines that set ``CI``.
    """
    on_path = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"]))
    if on_path is not None:
        return Path(on_path)
    try:
        return _unpacked(name)
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", None) or error
        reason = f"{name} is neither on the path nor in Debian's packages here: {said}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)


def environment() -> dict[str, str]:
    """Return the environment in which programs find the libraries that came with them."""
    return os.environ | {"LD_LIBRARY_PATH": str(_ROOT / "usr/lib" / f"{os.uname().machine}-linux-gnu")}


def _unpacked(name: str) -> Path:
    _HOME.mkdir(exist_ok=True)
    with (_HOME / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of tests that run side by side, one fetches
        if (found := _found(name)) is None:
            _fetch(_PROGRAMS[name])
            found = _found(name)
    if found is None:
        raise FileNotFoundError(f"the packages {_PROGRAMS[name].packages} hold no {name}")
    return found


def _found(name: str) -> Path | None:
    places = (_ROOT / folder / name for folder in ("usr/sbin", "usr/bin"))
    return next((place for place in places if place.is_file()), None)


def _fetch(program: _Program) -> None:
    """Download packages and unpack them, with lists and a cache of our own: nobody has to be root."""
    state, packages = _HOME / "state", _HOME / "packages"
    for folder in (state / "lists" / "partial", packages, _ROOT):
        folder.mkdir(parents=True, exist_ok=True)
    options = [f"-o=Dir::State={state}", f"-o=Dir::Cache={_HOME / 'cache'}", "-o=APT::Sandbox::User="]
    if program.suite:
        options.append(f"-o=Dir::Etc::SourceParts={_sources(program.suite)}")
    _run(["apt-get", *options, "-qq", "update"], packages)
    _run(["apt-get", *options, "-qq", "download", *program.packages], packages)
    for package in packages.glob("*.deb"):
        _run(["dpkg-deb", "-x", str(package), str(_ROOT)], packages)
        package.unlink()


def _sources(suite: str) -> Path:
    """Return a folder that names this machine's sources of packages, and another suite of the same."""
    folder = _HOME / f"sources-{suite}"
    folder.mkdir(exist_ok=True)
    for source in Path("/etc/apt/sources.list.d").glob("*.sources"):
        text = source.read_text()
        (folder / source.name).write_text(text)
        if "Suites: bookworm " in text:
            first = text.split("\n\n", 1)[0].replace("Suites: bookworm ", f"Suites: {suite} #")
            lines = [
                line.partition(" #")[0] if line.startswith("Suites:") else line for line in first.splitlines()
            ]
            (folder / f"{suite}.sources").write_text("\n".join(lines) + "\n")
    return folder


def _run(command: list[str], folder: Path) -> None:
    subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=_PATIENCE_S)

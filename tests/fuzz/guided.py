"""One target under atheris, in a process of its own: ``python -m tests.fuzz.guided TARGET FOLDER [options]``.

libFuzzer keeps inputs that reach new lines, changes them further, and ends the process at the first that
finds something.
"""

from __future__ import annotations

import logging
import random
import sys

import atheris

# What is imported here counts its branches; the standard library's parsers are part of ours.
with atheris.instrument_imports(include=["scopedtools", "urllib.parse", "mcp.client", "mcp.shared"]):
    from tests.fuzz.changes import changed
    from tests.fuzz.targets import TARGETS


def main(name: str, options: list[str]) -> None:
    """Fuzz a target until libFuzzer's options say that it is enough."""
    target = TARGETS[name]
    logging.disable(logging.CRITICAL)

    def change(data: bytes, max_size: int, seed: int) -> bytes:
        rng = random.Random(seed)  # noqa: S311 - to be made again, not to be secret
        if rng.random() < 0.4:
            return bytes(atheris.Mutate(data, max_size))
        return changed(data, target.words, max_size, rng)

    atheris.Setup([sys.argv[0], *options], target.run, custom_mutator=change)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])

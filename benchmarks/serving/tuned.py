"""The server of this package with a real encoder and settings of the interpreter.

Run: python -m benchmarks.serving.tuned [--encoder NAME] [--switch-ms MS] TOOLS PORT

SIGUSR1 takes all that is there out of Python's searches for cycles, as `gc.freeze` does.
"""

from __future__ import annotations

import argparse
import gc
import signal
import sys
from pathlib import Path

from benchmarks.serving.ours import Ours, serve
from benchmarks.serving.rows import read
from scopedtools.retrieval.encoders import default_encoder


def main() -> None:
    """Serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--encoder", choices=("minilm", "hashing"), default="minilm")
    parser.add_argument("--switch-ms", type=float, help="longest time that a thread keeps others waiting")
    parser.add_argument("tools", type=Path)
    parser.add_argument("port", type=int)
    given = parser.parse_args()
    if given.switch_ms is not None:
        sys.setswitchinterval(given.switch_ms / 1000)
    signal.signal(signal.SIGUSR1, lambda *_: gc.freeze())
    tools = read(given.tools)
    serve(Ours(tools, encoder=default_encoder()) if given.encoder == "minilm" else Ours(tools), given.port)


if __name__ == "__main__":
    main()

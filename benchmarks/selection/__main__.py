"""The command: runs every system on every set, and writes results, report and plots."""

from __future__ import annotations

import logging
import os
import sys


def _run() -> int:
    # Before numpy is imported: times are of one thread, and threads of BLAS would fight over the cores.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # The system without an encoder says so for every set; here that is no news.
    logging.getLogger("scopedtools.retrieval.selector").setLevel(logging.CRITICAL)
    from benchmarks.selection.command import main  # noqa: PLC0415 - see above

    return main()


if __name__ == "__main__":
    sys.exit(_run())

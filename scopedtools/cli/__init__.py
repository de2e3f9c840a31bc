"""The command ``scopedtools``."""

from scopedtools.cli.app import main

__all__ = ["main"]

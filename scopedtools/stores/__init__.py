"""Stores of contexts that several processes share, each engine behind the same protocol."""

from scopedtools.stores.guarded import GuardedStore
from scopedtools.stores.urls import open_store

__all__ = ["GuardedStore", "open_store"]

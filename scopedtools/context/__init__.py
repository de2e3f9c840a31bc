"""Which unit of work is asking, and what it is shown: carriers, contexts, their store, the view policy."""

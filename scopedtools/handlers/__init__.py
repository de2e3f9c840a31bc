"""What each method of the protocol does."""

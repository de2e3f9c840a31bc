"""What there is: primitives, how authors declare them, and catalogs of them as ready bytes."""

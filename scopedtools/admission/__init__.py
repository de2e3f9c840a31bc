"""Room for requests: what lets them in, and what counts them."""

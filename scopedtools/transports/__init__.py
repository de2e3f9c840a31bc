"""How messages come in and go out: Streamable HTTP and stdio."""

"""One host: the connection to it, and what is applied over it."""

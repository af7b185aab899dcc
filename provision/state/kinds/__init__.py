"""One kind of resource a module."""

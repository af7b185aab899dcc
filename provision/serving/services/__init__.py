"""The services of a host: as an inventory asks for them, and with everything decided."""

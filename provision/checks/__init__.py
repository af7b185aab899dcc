"""Checks: what is wrong with a host and what to do about it; they change nothing."""

"""What all tests share: parts of slow matrices, runs that go on after an abort, and hypothesis."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

pytest_plugins = ("shard", "resume")

# Other strings each time, for a law that holds for the same ones alone is none. What failed is
# printed as a line that brings it back, and kept in .hypothesis, which is tried first.
settings.register_profile(
    "provision",
    deadline=None,  # a machine is slow at times
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("provision")

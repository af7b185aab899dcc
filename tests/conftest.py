"""What all tests share: parts of slow matrices, and runs that go on after an abort."""

from __future__ import annotations

pytest_plugins = ("shard", "resume")

"""What a host is: one POSIX sh script, and its answer as typed facts."""

from provision.facts.model import GPU, OS, Disk, Docker, Driver, Facts
from provision.facts.read import facts_script, parse_facts

__all__ = ["GPU", "OS", "Disk", "Docker", "Driver", "Facts", "facts_script", "parse_facts"]

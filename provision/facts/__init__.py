"""What a host is and how it is: two POSIX sh scripts, and their answers as typed values."""

from provision.facts.health import Health
from provision.facts.model import GPU, OS, Disk, Docker, Driver, Facts, Image
from provision.facts.read import facts_script, parse_facts
from provision.facts.read_health import Ask, health_script, parse_health, sweep_script

__all__ = [
    "GPU",
    "OS",
    "Ask",
    "Disk",
    "Docker",
    "Driver",
    "Facts",
    "Health",
    "Image",
    "facts_script",
    "health_script",
    "parse_facts",
    "parse_health",
    "sweep_script",
]

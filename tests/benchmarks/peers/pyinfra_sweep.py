"""A sweep with pyinfra: its own facts."""

from pyinfra import host
from pyinfra.facts.deb import DebPackage
from pyinfra.facts.hardware import Memory
from pyinfra.facts.server import Command, Kernel, LinuxDistribution, Mounts

host.get_fact(Kernel)
host.get_fact(LinuxDistribution)
host.get_fact(Command, "cat /proc/uptime")
host.get_fact(Memory)
host.get_fact(Mounts)
for name in ("bash", "coreutils", "tar"):
    host.get_fact(DebPackage, name)
host.get_fact(Command, f"{host.data.root}/bin/svc is-active docker")
host.get_fact(Command, f"cat {host.data.root}/bin/gpus.csv")

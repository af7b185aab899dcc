"""What the Xids of NVIDIA's driver mean, and what is to be done about each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

SOURCE: Final = "https://docs.nvidia.com/deploy/xid-errors/analyzing-xid-catalog.html"
"""NVIDIA's catalogue for Ampere and newer, as of September 2026: meaning and immediate action."""
OLDER: Final = "https://docs.nvidia.com/deploy/xid-errors/index.html"
"""NVIDIA's list for Volta and older, where newer GPUs do not use a code."""

Action = Literal["nothing", "restart", "watch", "reset later", "reset", "reboot", "link", "power"]
"""What NVIDIA wants done at once; a `link` is fatal or not, as the line of the log says."""


class Meaning(NamedTuple):
    """One Xid."""

    what: str
    action: Action
    source: str = SOURCE


_VIDEO: Final = Meaning("a video or image engine failed", "restart")
_COPY: Final = Meaning("a copy engine failed", "restart")
_STORAGE: Final = Meaning("its own flash could not be read or written", "watch", OLDER)

XIDS: Final[Mapping[int, Meaning]] = {
    8: Meaning("it stopped processing", "restart"),
    11: Meaning("a program sent commands that make no sense", "restart"),
    13: Meaning("a program failed in a computation, mostly by its own fault", "restart"),
    25: Meaning("a program sent commands that are not allowed", "restart"),
    31: Meaning("a program used memory that it does not have", "restart"),
    32: Meaning("commands were damaged on their way over PCI Express", "restart"),
    37: Meaning("the driver's firmware met an unknown command", "watch"),
    38: Meaning("the driver's firmware took too long", "watch"),
    **dict.fromkeys((39, 40, 41, 70, 71, 72, 75, 76, 77, 85), _COPY),
    43: Meaning("a program was stopped by its own fault; the GPU is well", "restart"),
    44: Meaning("it failed while it changed between programs", "watch"),
    45: Meaning("a program was ended, and what it had was cleaned up", "nothing"),
    46: Meaning("it stopped processing", "reset"),
    48: Meaning("two bits of its memory were wrong, which cannot be corrected", "reset"),
    54: Meaning("its power cable is not connected", "power"),
    56: Meaning("its display engine failed", "watch", OLDER),
    57: Meaning("the link to its memory could not be set up", "reset", OLDER),
    58: Meaning("the link to its memory is unstable", "reset", OLDER),
    60: Meaning("a video engine failed", "restart"),
    61: Meaning("its micro-controller stopped for a moment", "watch", OLDER),
    62: Meaning("its micro-controller halted", "reset"),
    63: Meaning("a faulty row of memory was noted for repair", "nothing"),
    64: Meaning("a faulty row of memory could not be noted for repair", "reset"),
    66: Meaning("the driver used what it may not", "watch"),
    67: Meaning("the driver used what it may not", "watch"),
    68: Meaning("a video decoder failed", "restart"),
    69: Meaning("a program sent a command of the wrong kind", "restart"),
    74: Meaning("an NVLink to another GPU or a switch failed", "reset"),
    78: Meaning("a virtual GPU did not start: guest and host driver differ", "watch"),
    79: Meaning("it has fallen off the bus", "reboot"),
    80: Meaning("data were damaged on their way to it", "restart"),
    **dict.fromkeys((65, 82, 83, 84, 86, 88, 89, *range(96, 106)), _VIDEO),
    92: Meaning("very many single bits of its memory had to be corrected", "watch"),
    93: Meaning("its flash has been written more often than allowed", "watch"),
    94: Meaning("a memory error stopped one program; others are unharmed", "reset later"),
    95: Meaning("a memory error harmed several programs", "reset"),
    106: Meaning("a test message", "nothing"),
    107: Meaning("a test message", "nothing"),
    109: Meaning("it could not change between programs in time", "reset"),
    110: Meaning("a security fault, mostly of the hardware", "power"),
    119: Meaning("its firmware (GSP) does not answer", "reset"),
    120: Meaning("its firmware (GSP) failed", "reset"),
    121: Meaning("errors of the link to the CPU were corrected", "nothing"),
    **dict.fromkeys((122, 123, 124, 125), _STORAGE),
    **dict.fromkeys(range(126, 136), _COPY),
    136: Meaning("a link could not be trained", "reset"),
    137: Meaning("a program used memory of another GPU that it may not", "restart"),
    139: Meaning("an image engine failed", "restart"),
    140: Meaning("a memory error could not be dealt with", "reset"),
    141: Meaning("a short cut of CUDA failed", "watch"),
    142: _VIDEO,
    143: Meaning("it could not be started", "reset"),
    **dict.fromkeys(range(144, 151), Meaning("an error of NVLink", "link")),
    151: Meaning("the keys of confidential computing could not be changed", "reboot"),
    154: Meaning("another error changed what it asks for", "nothing"),  # gpu.recovery tells it
    155: Meaning("software took an NVLink down", "watch"),
    156: Meaning("a faulty part of it waits to be taken out of use", "reset later"),
    157: Meaning("a faulty part of it could not be taken out of use", "watch"),
    158: Meaning("it did not answer in time, and will not", "reset"),
    160: Meaning("a faulty channel of its memory was taken out of use", "watch"),
    161: Meaning("a faulty channel of its memory could not be taken out of use", "watch"),
    167: Meaning("PCI Express did not answer in time", "reboot"),
    168: Meaning("it starts with less memory: ECC is off and a cell is faulty", "watch"),
    169: Meaning("a micro-controller of it halted", "reset"),
    171: Meaning("an error of its memory that cannot be corrected", "reset"),
    172: Meaning("an error of its caches that cannot be corrected", "reset"),
}
"""By code. Codes without a row are said by their number."""

"""A stand-in for vLLM in the lab: no model, recorded answers, and the fault that its image carries."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any, Final

from stand_in_server import StandIn

ANSWERS: Final = Path(__file__).parent / "answers"
RECORDED: Final = "gpt-4"  # the served name in the recorded answers
TASKS: Final = {"embed": "vllm-embed.json", "classify": "vllm-rerank.json", "": "vllm-chat.json"}
MEMORY: Final = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB."
ARGUMENT: Final = "vllm: error: unrecognized arguments: --task embed"
WRONG: Final[dict[str, dict[str, Any]]] = {
    "silent": {"does": "hang"},
    "shape": {"body": {}},
    "wedged": {"does": "hang"},
}
HANG: Final = {"silent": 2.0, "wedged": 3600.0}  # seconds until it hangs up


def main() -> None:
    """Serve as the command line and the fault ask for, until a signal ends it."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # pid 1 has no default for it
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--served-model-name", default=RECORDED)
    parser.add_argument("--convert", default="", choices=TASKS)
    parser.add_argument("--port", type=int, default=8000)
    asked, _ = parser.parse_known_args()
    fault = os.environ.get("FAULT", "")
    say(f"stand-in engine for {asked.convert or 'chat'}, fault: {fault or 'none'}")
    if fault == "crash":
        time.sleep(1)
        say(MEMORY)
        sys.exit(1)
    if fault == "argument":
        say(ARGUMENT)
        sys.exit(2)
    key = os.environ.get("VLLM_API_KEY", "")
    found = answers(TASKS[asked.convert], asked.served_model_name, fault)
    hang = HANG.get(fault, 0)
    StandIn(found, key, address=("", asked.port), hang=hang).serve_forever()


def answers(file: str, name: str, fault: str) -> list[dict[str, Any]]:
    """Return what it answers under its name: nothing where it is silent, nonsense in bad shape.

    A wedged one is well by its own account, and answers nothing else.
    """
    text = (ANSWERS / file).read_text(encoding="utf-8").replace(f'"{RECORDED}"', json.dumps(name))
    found: list[dict[str, Any]] = json.loads(text)["answers"]
    for answer in found:
        wedged = fault == "wedged" and not answer["request"].endswith("/health")
        if wedged or answer["request"].startswith("POST /v1/"):
            answer.update(WRONG.get(fault, {}))
    return found


def say(text: str) -> None:
    """Write a line of the log at once."""
    print(text, flush=True)  # noqa: T201  the log of a container is what it prints


main()

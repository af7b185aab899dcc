"""A developer's tool: writes anew what the engines make of the services of the goldens.

python write.py        (then read the difference, line by line)
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from provision.errors import ServiceError
from provision.serving.engines import engine_of
from provision.serving.service import Service

HERE: Final = Path(__file__).parent


def outcome(wish: dict[str, Any]) -> dict[str, Any]:
    """Return what the engine of a service makes of it."""
    service = Service.model_validate(wish)
    try:
        launch = engine_of(service.engine).launch(service)
    except ServiceError as error:
        return {"service": wish, "error": str(error)}
    return {
        "service": wish,
        "command": list(launch.command),
        "environment": dict(launch.environment),
        "secrets": {name: secret.reference for name, secret in launch.secrets.items()},
        "notes": list(launch.notes),
    }


def main() -> None:
    """Write all goldens again."""
    for path in sorted(HERE.glob("*.json")):
        content = outcome(json.loads(path.read_text(encoding="utf-8"))["service"])
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

"""The names of the roles about services: who only asks for a name need not load what they do."""

from __future__ import annotations

from typing import Final

MODELS: Final = "models"
SERVICES: Final = "services"
DEPLOY: Final = "deploy"
"""Not in `roles/`: what `inv deploy` makes of a host's services."""
ROLLBACK: Final = "rollback"
"""Not in `roles/`: the way back to a release before."""

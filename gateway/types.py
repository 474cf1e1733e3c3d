"""Names for the shapes that strangers send us."""

from __future__ import annotations

from typing import Any

JSON = dict[str, Any]
"""A JSON object of a foreign body. The one place where `Any` is welcome."""

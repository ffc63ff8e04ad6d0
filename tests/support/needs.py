"""What a test needs of the machine, and the rule that CI skips nothing."""

from __future__ import annotations

import os

import pytest

REQUIRED = os.environ.get("CI") == "true"


def absent(reason: str) -> None:
    """Skip with the reason; where everything is required (CI), fail with it."""
    if REQUIRED:
        pytest.fail(f"required here, but {reason}", pytrace=False)
    pytest.skip(reason)

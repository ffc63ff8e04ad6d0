"""What all tests share: the sample files, and the rule that CI skips nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REQUIRED = os.environ.get("CI") == "true"


def absent(reason: str) -> None:
    """Skip with the reason; where everything is required (CI), fail with it."""
    if REQUIRED:
        pytest.fail(f"required here, but {reason}", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def samples() -> Path:
    """Folder of real input files, named by MAPEX_TEST_SAMPLES."""
    folder = os.environ.get("MAPEX_TEST_SAMPLES", "")
    if not folder or not Path(folder).is_dir():
        absent("MAPEX_TEST_SAMPLES names no folder of sample files")
    return Path(folder)

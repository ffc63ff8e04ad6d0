"""Where the log of the operators goes."""

from __future__ import annotations

import logging
import sys


def log_to_stderr(level: str) -> None:
    """Send the operators' log to standard error; sqlalchemy and friends only from WARNING on."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    for name in ("mapex", "tiles", "web", "ingest"):
        logging.getLogger(name).setLevel(level)
    logging.getLogger("web.access").setLevel(logging.INFO)  # whoever asks for it gets it at any level

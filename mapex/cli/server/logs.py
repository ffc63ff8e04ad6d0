"""Where the log of the operators goes."""

from __future__ import annotations

import logging
import sys

from mapex.texts import shown


class _Plain(logging.Formatter):
    """Lines in which nothing steers the terminal that the log is read on: some hold names of files, or what a caged child wrote."""

    def format(self, record: logging.LogRecord) -> str:
        return shown(super().format(record))


def log_to_stderr(level: str) -> None:
    """Send the operators' log to standard error; sqlalchemy and friends only from WARNING on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Plain("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    for name in ("mapex", "tiles", "web", "ingest"):
        logging.getLogger(name).setLevel(level)
    logging.getLogger("web.access").setLevel(logging.INFO)  # whoever asks for it gets it at any level

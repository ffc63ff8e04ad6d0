"""Help."""

from __future__ import annotations

from flask import Blueprint

blueprint = Blueprint("front_help", __name__)

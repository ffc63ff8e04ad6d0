"""Tables for spreadsheet programs: CSV that opens with Korean text, and in which nothing is run."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from flask import Response


def csv_answer(filename: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> Response:
    """A CSV file to be saved; integers stay numbers, and a text that would be a formula is quoted."""
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(head)
    for row in rows:
        table.writerow([value if isinstance(value, int | float) else harmless(str(value)) for value in row])
    # The mark makes spreadsheet programs read UTF-8; Korean names are wrong without it.
    return Response("\ufeff" + text.getvalue(), mimetype="text/csv", headers={"Content-Disposition": f'attachment; filename="{filename}"'})


def harmless(value: str) -> str:
    """A cell that a spreadsheet does not run as a formula."""
    return f"'{value}" if value[:1] in ("=", "+", "-", "@", "\t", "\r") else value

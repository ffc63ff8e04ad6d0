"""Which files of an order are wanted: those of some layers, of a dataset, of some tiles."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from mapex.errors import Invalid

MOST_NAMED = 12


@dataclass(frozen=True, slots=True)
class Selection:
    """What is wanted; what is empty selects all.

    Attributes:
        layers: names or kinds. dataset: SLUG or FIRM/SLUG. tiles: quadkeys; a shorter one stands for all tiles below it.
    """

    layers: tuple[str, ...] = ()
    dataset: str = ""
    tiles: tuple[str, ...] = ()

    def split(self, files: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """The files that are wanted, and the others.

        Raises: Invalid: `get.layers`, `get.dataset`, `get.tiles`: no file of the order is of that name; `get.nothing`: all names are
        there, but no file is of all of them.
        """
        for layer in self.layers:
            _known(any(layer in (f["layer"], f["kind"]) for f in files), "layers", layer, (f["layer"] for f in files))
        if self.dataset:
            _known(any(self._is_of(f) for f in files), "dataset", self.dataset, (f["dataset"] for f in files))
        for quadkey in self.tiles:
            _known(any(f["tile"].startswith(quadkey) for f in files), "tiles", quadkey, (f["tile"] for f in files))
        wanted = [f for f in files if self._takes(f)]
        if files and not wanted:
            raise Invalid("get.nothing", "No file of the order is in all of these layers, datasets and tiles; name fewer of them.")
        taken = {f["id"] for f in wanted}
        return wanted, [f for f in files if f["id"] not in taken]

    def _takes(self, file: dict[str, Any]) -> bool:
        return (
            (not self.layers or file["layer"] in self.layers or file["kind"] in self.layers)
            and (not self.dataset or self._is_of(file))
            and (not self.tiles or file["tile"].startswith(self.tiles))
        )

    def _is_of(self, file: dict[str, Any]) -> bool:
        return self.dataset in (file["dataset"], f"{file['org']}/{file['dataset']}")


def _known(is_there: bool, option: str, name: str, there: Iterable[str]) -> None:
    if is_there:
        return
    names = sorted(set(there))
    more = f" and {len(names) - MOST_NAMED:,} more" if len(names) > MOST_NAMED else ""
    raise Invalid(f"get.{option}", f"`--{option} {name}`: the order has none of that name; it has {', '.join(names[:MOST_NAMED])}{more}.")

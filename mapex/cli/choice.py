"""The options by which buyers choose among offers, as the API takes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

import click

from mapex.errors import Invalid

_OPTIONS = (
    click.option("--dataset", help="Leave out all other datasets (SLUG or FIRM/SLUG)."),
    click.option(
        "--offer",
        "offers",
        multiple=True,
        metavar="FIRM/DATASET[/LAYER]",
        help="Take exactly this, whatever else sells the same; repeat. Original footage only comes with its LAYER.",
    ),
    click.option("--cheapest", is_flag=True, help="Of several that sell the same take the cheapest for each tile, not the best."),
    click.option("--newest", is_flag=True, help="Of several that sell the same take the newest, not the best."),
)


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the options name."""

    dataset: str | None
    offers: tuple[str, ...]
    cheapest: bool
    newest: bool

    @property
    def is_given(self) -> bool:
        """Whether anything was chosen at all."""
        return bool(self.dataset or self.offers or self.cheapest or self.newest)

    def as_json(self) -> dict[str, Any]:
        """The fields `dataset` and `choice` of a request, as far as they were given.

        Raises: Invalid: `cli.choice`.
        """
        if self.cheapest + self.newest + bool(self.offers) > 1:
            raise Invalid("cli.choice", "Give one of --offer, --cheapest and --newest.")
        choice: dict[str, Any] = {}
        if self.offers:
            choice = {"take": list(self.offers), "only": True}
        elif self.cheapest or self.newest:
            choice = {"prefer": "cheapest" if self.cheapest else "newest"}
        return {**({"dataset": self.dataset} if self.dataset else {}), **({"choice": choice} if choice else {})}


def with_choice(command: Callable[..., Any]) -> Callable[..., Any]:
    """The command with these options; it takes them as one argument, `chosen`."""

    @wraps(command)
    def run(dataset: str | None, offers: tuple[str, ...], cheapest: bool, newest: bool, **rest: Any) -> Any:
        return command(chosen=Chosen(dataset, offers, cheapest, newest), **rest)

    for option in reversed(_OPTIONS):
        run = option(run)
    return run

"""The command line: `mapex COMMAND`. Commands are imported when they are called, so that `--help` is instant.

A module beside this one holds the commands of one kind of user (operate, people, money, run; sell, catalogue, buy, orders,
notices, convert; audit) and is named in `COMMANDS`. Two are for all of them: `options` (what comes in) and `output` (what goes out).
Everything else is in a room: `demo`, `server`.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

import click

from mapex.cli.output import EXIT_CODES, fail

COMMANDS = {
    # the exchange itself (acts on MAPEX_DIR or MAPEX_* settings)
    "init": ("mapex.cli.operate:init", "Make a new exchange in a folder: settings, secrets, database, store."),
    "org": ("mapex.cli.people:org", "Organisations: add, list."),
    "person": ("mapex.cli.people:person", "Persons: add, list, password, role, suspend, sessions, factors."),
    "applications": ("mapex.cli.operate:applications", "Registrations of organisations: list, show, accept, refuse, clear."),
    "token": ("mapex.cli.people:token", "API tokens: create, list, revoke."),
    "permit": ("mapex.cli.operate:permit", "Permits of the regulator: add, list, suspend."),
    "settlement": ("mapex.cli.money:settlement", "What sellers are paid, month by month: close, list, pay."),
    "ledger": ("mapex.cli.money:ledger", "The books of the exchange: sheet, vat, export, vat-paid, fee-drawn."),
    "footage": ("mapex.cli.footage:footage", "Reviews of footage, and a second look at what was released."),
    "serve": ("mapex.cli.run:serve", "Serve pages and API over HTTP."),
    "worker": ("mapex.cli.run:worker", "Turn uploads into tiles until stopped."),
    "fsck": ("mapex.cli.run:fsck", "Check every invariant of the exchange."),
    "doctor": ("mapex.cli.run:doctor", "Show what is present, what is missing, and how to get it."),
    "demo": ("mapex.cli.demo.command:demo", "Run an exchange with a made-up district, ready to try."),
    # the seller's and buyer's side (speaks HTTP to MAPEX_URL with MAPEX_TOKEN)
    "inspect": ("mapex.cli.sell:inspect", "Dry run: what a file is, where it lands, what is wrong with it."),
    "tile": ("mapex.cli.sell:tile", "Cut a file into tiles in a folder, without an exchange."),
    "push": ("mapex.cli.sell:push", "Upload files as a new version of a dataset."),
    "leave-out": ("mapex.cli.sell:leave_out", "Go on with a version without its bad files."),
    "remove": ("mapex.cli.sell:remove", "Remove a version that was never on sale."),
    "publish": ("mapex.cli.sell:publish", "Put the newest version on sale."),
    "withdraw": ("mapex.cli.sell:withdraw", "Take a dataset off the market."),
    "recall": ("mapex.cli.sell:recall", "Take a version back for good."),
    "dataset": ("mapex.cli.catalogue:dataset", "Datasets that you may see: list, describe."),
    "version": ("mapex.cli.catalogue:version", "Versions of a dataset, their state and findings: list, show."),
    "question": ("mapex.cli.catalogue:question", "Questions to sellers: list, show, ask, answer."),
    "search": ("mapex.cli.buy:search", "What is on sale: by words and filters, or in a region."),
    "sample": ("mapex.cli.buy:sample", "Download the free sample tiles of a dataset."),
    "estimate": ("mapex.cli.buy:estimate", "What a region costs now, and the offers to choose from."),
    "quote": ("mapex.cli.buy:quote", "The exact price of a region, held for 15 minutes."),
    "buy": ("mapex.cli.buy:buy", "Order what a quote offers."),
    "approvals": ("mapex.cli.orders:approvals", "Requests to pay for who may not; refuse or withdraw one."),
    "invoice": ("mapex.cli.orders:invoice", "The data of a tax invoice."),
    "get": ("mapex.cli.buy:get", "Download an order; run again to go on."),
    "order": ("mapex.cli.orders:order", "Orders of your organisation: list, show, progress."),
    "wallet": ("mapex.cli.orders:wallet", "Prepaid money of your organisation: balance, statement."),
    "notices": ("mapex.cli.notices:notices", "What happened that concerns you: orders, new versions, permits, areas."),
    "join": ("mapex.cli.convert:join", "The tiles of a download as one file of another format."),
    "convert": ("mapex.cli.convert:convert", "A file in another format, without an exchange."),
    "audit": ("mapex.cli.audit:audit", "Who read what, when, for what purpose, under which permit."),
}


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports one when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All command names, in the order of `COMMANDS`."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now, or None."""
        from mapex.cli.server import guard

        if cmd_name not in COMMANDS:
            return None
        guard.check(guard.shadowed())  # now: the command imports the packages that may be a stranger's
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command = getattr(importlib.import_module(module), name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """One line per command, from the table, importing none of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_line) for name, (_, help_line) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="mapex", message="mapex %(version)s")
def cli() -> None:
    """mapex: an exchange for HD maps and raw sensor data."""


def main(arguments: list[str] | None = None) -> Any:
    """Run the command line; errors become one sentence on standard error and an exit status."""
    argv = sys.argv[1:] if arguments is None else arguments
    try:
        result = cli.main(argv, prog_name="mapex", standalone_mode=False)
    except Exception as error:  # the outermost loop of the command line: everything is reported, nothing hidden
        sys.exit(fail(error, as_json="--json" in argv))
    except KeyboardInterrupt:
        click.echo("Stopped.", err=True)
        sys.exit(EXIT_CODES["interrupted"])
    sys.exit(result if isinstance(result, int) else 0)

"""`mapex fsck`: the invariants of the exchange, each looked for in the stored rows and objects.

A check is some questions (`mapex.operation.invariants`) that name what breaks it; an intact exchange answers all of them with nothing.
docs/threats.md lists under Known gaps what it cannot find.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from mapex.audit import checkpoints
from mapex.database import db, guards
from mapex.exchange import Exchange
from mapex.operation import objects
from mapex.operation.invariants import access, deeds, halves, listing, manifests, money, orders, settlements, sources, sums
from mapex.operation.invariants.asking import Offender, asked
from mapex.operation.replay.history import replay
from mapex.operation.replay.roots import Head, Root, Roots, heads
from mapex.times import iso_from_ns

EXAMPLES = 5
"""How many offenders a message names."""


@dataclass(frozen=True, slots=True)
class Check:
    """One invariant, and all that breaks it; the message names the first ones."""

    name: str
    ok: bool
    message: str
    offenders: Sequence[Offender] = ()

    @property
    def count(self) -> int:
        """How many offenders there are."""
        return len(self.offenders)


def check(ex: Exchange, *, deep: bool = False, kept: Sequence[Root] = ()) -> list[Check]:
    """All invariants, in one consistent view of the database.

    Args:
        deep: read every object of a published version and compare its sha256; else sizes only.
        kept: checkpoints of the log that somebody kept elsewhere.
    """
    with db.read(ex) as conn:
        signed = checkpoints.stored(ex, conn)
        forged = [f"checkpoint over {one.size} entries is not what was signed" for one, genuine in signed if not genuine]
        head = heads(conn)
        forged += _unmatched(len(signed), head.get("log_checkpoint"))
        history = replay(ex, conn, Roots([*(_root(one) for one, genuine in signed if genuine), *kept], head.get("audit_event")))
        compared = objects.compare(ex, conn, deep=deep)
        questions: dict[str, tuple[str, Callable[[], Iterable[Offender]]]] = {
            "I1": ("what was acknowledged in the log is stored", partial(deeds.lost, conn)),
            "I2": ("one key had one effect", partial(deeds.repeated, conn)),
            "I3": ("money sums to zero, balances are the sums of their entries, no wallet is negative", partial(money.unbalanced, conn)),
            "I4": ("orders, quotes, entitlements, money and log agree; grants and log agree", partial(orders.disagreeing, ex, conn)),
            "I5": ("every published tile has its object" + (" with its sha256" if deep else ""), lambda: compared.wrong),
            "I6": ("nothing unpublished is listed, sold or granted", partial(listing.leaked, conn)),
            "I7": ("no object is unreferenced for more than a day", lambda: compared.unnamed),
            "I8": (_log_sentence(head.get("audit_event")), lambda: [*forged, *history.log]),
            "I10": ("no grant outside its permit, its period or its version's life", partial(access.overdue, conn)),
            "I11": ("nothing is half done", partial(halves.halves, conn)),
            "I12": ("sales, refunds and settlements are those of the orders, each settled once", partial(settlements.wrong, conn)),
            "replay": ("the log, read again, makes the present state", lambda: [*history.state, *manifests.different(conn)]),
            "schema": ("triggers, tables and views are those that are declared", partial(guards.deviations, conn)),
            "files": ("every file that was sent is in the manifest of its version", partial(sources.missing, conn)),
            "pyramid": ("sums for estimates are those of the tiles", partial(sums.wrong_sums, conn)),
        }
        found = {name: (sentence, asked(conn, question)) for name, (sentence, question) in questions.items()}
    return [_check(name, sentence, offenders) for name, (sentence, offenders) in found.items()]


def _unmatched(checkpoints_there: int, head: Head | None) -> Iterator[Offender]:
    """Whether as many checkpoints are there as were kept."""
    if head is None:
        yield "the count of checkpoints is gone"
    elif head.newest != checkpoints_there:
        yield f"{head.newest} checkpoints were kept, and {checkpoints_there} are there"


def _log_sentence(head: Head | None) -> str:
    sentence = "each entry of the log is what was committed to, none is missing, and every checkpoint holds"
    if head and head.gaps:
        sentence += f" ({head.gaps} numbers up to {head.gaps_until} were never used: they came from a sequence then)"
    return sentence


def _root(checkpoint: checkpoints.Checkpoint) -> Root:
    kept = f"the checkpoint of {iso_from_ns(checkpoint.at_ns)}"
    return Root(checkpoint.size, checkpoint.seq, checkpoint.root, kept)


def _check(name: str, sentence: str, offenders: Sequence[Offender]) -> Check:
    if not offenders:
        return Check(name, True, sentence)
    shown = "; ".join(offenders[:EXAMPLES]) + (f"; and {len(offenders) - EXAMPLES} more" if len(offenders) > EXAMPLES else "")
    return Check(name, False, f"broken: {sentence}. {shown}", offenders)

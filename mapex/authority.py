"""Who may do what, as far as the role decides it; what belongs to whom is decided where it is read (foreign = absent)."""

from __future__ import annotations

from mapex.errors import Denied
from mapex.exchange import Actor, Exchange, Presence
from mapex.times import MINUTE_NS

ROLES = ("member", "auditor", "operator")

FRESH_MINUTES = 15
"""A second factor that was used longer ago says nothing of who sits at the browser now."""

NOBODY = ""
"""No organisation has this id: it owns and sells nothing and holds no permit. Prices for it are those that everybody may see."""


def member(by: Actor) -> str:
    """Id of the organisation that `by` acts for.

    Raises: Denied: auditors and operators own, sell and buy nothing.
    """
    if by.role != "member" or by.org_id is None:
        raise Denied("role.member", f"Only members of an organisation can do this; {by.email} is {by.role}.")
    return by.org_id


def buyer(by: Actor | None) -> str:
    """Id of the organisation for which `by` asks prices: the own one, or `NOBODY` for visitors (None), auditors and operators."""
    return by.org_id if by is not None and by.role == "member" and by.org_id is not None else NOBODY


def operator(by: Actor | None) -> None:
    """Pass for operators, and for the person at the machine (`None`: the command line on the exchange itself).

    Raises: Denied: anybody else.
    """
    if by is not None and by.role != "operator":
        raise Denied("role.operator", "Only the operator of the exchange can do this.")


def sees_all(by: Actor) -> bool:
    """Whether `by` reads across organisations (auditor, operator)."""
    return by.role in ("auditor", "operator")


def present(by: Actor) -> Presence:
    """The presence of a person at a browser: what concerns sessions, passwords and factors is for nobody else.

    Raises: Denied: `session.only`: a token.
    """
    if by.presence is None:
        raise Denied("session.only", "This is for a person signed in at a browser; an API token cannot do it.")
    return by.presence


def confirmed(ex: Exchange, by: Actor) -> Presence:
    """Pass when the person at the browser has shown not long ago who it is: by a second factor, or the password where it has none.

    Raises: Denied: `session.only`; `session.stale`.
    """
    mine = present(by)
    if ex.now() - mine.proven_ns > FRESH_MINUTES * MINUTE_NS:
        raise Denied("session.stale", f"Confirm that it is you; you did more than {FRESH_MINUTES} minutes ago.")
    return mine


def confirmed_by_factor(ex: Exchange, by: Actor | None) -> None:
    """As `confirmed`, of persons with a second factor only: what a stolen browser must not do (money, permits, original footage).

    Passes tokens, which have scopes instead, the person at the machine, and who has no second factor.

    Raises: Denied: `session.stale`.
    """
    if by is not None and by.presence is not None and by.presence.has_factor:
        confirmed(ex, by)

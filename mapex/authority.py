"""Who may do what, as far as the role decides it; what belongs to whom is decided where it is read (foreign = absent)."""

from __future__ import annotations

from mapex.errors import Denied
from mapex.exchange import Actor

ROLES = ("member", "auditor", "operator")

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

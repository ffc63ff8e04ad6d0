"""Who may call a route: every route names one policy, and one function decides.

What belongs to whom is decided by the services (foreign = absent); here only who may ask at all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from flask import Flask

from mapex import authority
from mapex.errors import Denied, MapexError
from mapex.exchange import Actor

View = TypeVar("View", bound=Callable[..., Any])

EVERYONE = frozenset({"member", "auditor", "operator"})
MEMBERS = frozenset({"member"})
OPERATORS = frozenset({"operator"})
INSPECTORS = frozenset({"auditor", "operator"})
ANY_SCOPE = frozenset({"read", "sell", "buy", "audit", "operate"})
LOOKING = frozenset({"read", "audit"})
"""Scopes with which nothing can be changed."""
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class NotSignedIn(MapexError):
    """Nobody is signed in, or the token is unknown, expired or revoked (HTTP 401)."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Who may ask: the roles, and the token scopes of which one is needed (a session has all)."""

    name: str
    roles: frozenset[str]
    scopes: frozenset[str] = frozenset()
    present: bool = False  # only persons at a browser: no token, whatever its scopes
    confirmed: bool = False  # a change asks for a fresh second factor, of persons at a browser who have one
    visitors: bool = False  # whether those who are not signed in may ask too, within the limits of `web.edge.limits.visitors`
    only_asks: bool = False  # every route of it changes nothing, whatever its method: a question that is too long for an address

    @property
    def is_public(self) -> bool:
        """Whether anybody may ask, signed in or not; the guard then looks at no cookie and no token."""
        return not self.roles


POLICIES: dict[str, Policy] = {
    policy.name: policy
    for policy in (
        Policy("public", frozenset()),  # pages before sign-in; addresses that carry their own signature
        Policy("read", EVERYONE, ANY_SCOPE),  # what every signed-in person may see
        Policy("browse", EVERYONE, ANY_SCOPE, visitors=True, only_asks=True),  # what is on offer and what it costs: stores nothing
        Policy("own", MEMBERS, frozenset({"read", "sell", "buy"})),  # things of the own organisation
        Policy("price", MEMBERS, frozenset({"buy"})),  # quotes and saved areas: made, changed, removed; commits to nothing
        Policy("talk", MEMBERS, frozenset({"sell", "buy"})),  # messages between buyers and sellers
        Policy("sell", MEMBERS, frozenset({"sell"})),  # upload, convert, publish, withdraw
        Policy("buy", MEMBERS, frozenset({"buy"})),  # order, download
        Policy("audit", EVERYONE, frozenset({"audit", "read"})),  # the log; the service shows members their own part
        Policy("inspect", INSPECTORS, frozenset({"audit"})),  # the whole log: auditors' pages, and what proves it
        Policy("account", EVERYONE, frozenset({"*"})),  # own tokens and settings: never with a limited token
        Policy("operate", OPERATORS, frozenset({"operate"}), confirmed=True),  # credits, permits, participants
        Policy("security", EVERYONE, present=True),  # own sessions, password and second factors
        Policy("rescue", OPERATORS, present=True, confirmed=True),  # sessions and second factors of others
    )
}
"""All policies by name; a route that names another fails at import."""


def policy(name: str) -> Callable[[View], View]:
    """Declare the policy of a view.

    Raises: KeyError: there is no such policy.
    """
    chosen = POLICIES[name]

    def declare(view: View) -> View:
        view.__policy__ = chosen  # type: ignore[attr-defined]
        return view

    return declare


def policy_of(view: Callable[..., Any]) -> Policy | None:
    """The declared policy of a view, through its decorators."""
    found: Policy | None = getattr(view, "__policy__", None)
    return found


def authorize(actor: Actor | None, wanted: Policy) -> None:
    """Pass when `actor` may ask under this policy.

    Raises: NotSignedIn, Denied (`role.<policy>`, `token.scope`, `session.only`).
    """
    if wanted.is_public:
        return
    if actor is None:
        raise NotSignedIn("login.required", "Sign in, or send an API token as `Authorization: Bearer mpx_...`.")
    if actor.role not in wanted.roles:
        roles = " or ".join(sorted(wanted.roles))
        raise Denied(f"role.{wanted.name}", f"Only {roles} can do this; {actor.email} is {actor.role}.", role=actor.role)
    if wanted.present:
        authority.present(actor)
    elif "*" not in actor.scopes and not actor.scopes & wanted.scopes:
        scopes = " or ".join(sorted(wanted.scopes))
        raise Denied("token.scope", f"This token may not do that; it needs the scope {scopes}.", scopes=sorted(wanted.scopes))


def check_routes(app: Flask) -> None:
    """Fail when a route has no policy, or lets a token change something that may only look.

    Raises: RuntimeError: names each such route.
    """
    declared = [(rule, policy_of(app.view_functions[rule.endpoint])) for rule in app.url_map.iter_rules()]
    if bare := [str(rule) for rule, wanted in declared if wanted is None]:
        raise RuntimeError(f"routes without a policy: {', '.join(sorted(bare))}")
    changing = [(str(rule), wanted) for rule, wanted in declared if wanted is not None and (rule.methods or set()) - SAFE]
    if loose := [path for path, wanted in changing if wanted.scopes & LOOKING and not wanted.only_asks]:
        raise RuntimeError(f"routes that a token may change with that may only look: {', '.join(sorted(loose))}")

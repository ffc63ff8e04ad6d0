"""Who is asking: an API token, or the cookie of a session (`mapex.login.sessions`), whose requests must come from our own pages."""

from __future__ import annotations

import hashlib
import hmac
import logging
from dataclasses import replace
from functools import partial
from typing import cast
from urllib.parse import urlsplit

from flask import Flask, Response, current_app, g, request

from mapex import authority
from mapex.errors import Denied, Unavailable
from mapex.exchange import Actor, Exchange
from mapex.login import sealed, sessions
from mapex.login.sessions import Caller, Session, SignedIn
from mapex.people import networks, tokens
from mapex.people.persons import Person
from web.edge.limits import calls, visitors
from web.edge.policy import NotSignedIn, Policy, authorize, policy_of

log = logging.getLogger(__name__)

UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})
FORM_SECONDS = 12 * 3600
"""How long a page that was opened before signing in may be sent."""
_OWN_ORIGIN = frozenset({"same-origin", "none"})
MOST_CHARACTERS = 255
"""Of an e-mail address or a password in the form."""


def exchange() -> Exchange:
    """The exchange that this application serves."""
    return cast(Exchange, current_app.extensions["mapex"])


def bearer() -> str | None:
    """The API token of the request, or None."""
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    return secret.strip() if scheme.lower() == "bearer" and secret.strip() else None


def maybe_actor() -> Actor | None:
    """Who asks, or None.

    Raises: NotSignedIn: a token was sent and is not valid (a wrong token is never taken for a visitor).
    """
    if "actor" not in g:
        actor = _identified()
        g.actor = replace(actor, network=networks.coarse(request.remote_addr)) if actor is not None else None
    return cast("Actor | None", g.actor)


def current_actor() -> Actor:
    """Who asks.

    Raises: NotSignedIn.
    """
    actor = maybe_actor()
    if actor is None:
        raise NotSignedIn("login.required", "Sign in, or send an API token as `Authorization: Bearer mpx_...`.")
    return actor


def signed_in() -> SignedIn | None:
    """The session of the cookie, or None; looked up once for each request that asks for it, and by none that does not."""
    if "signed_in" not in g:
        secret = request.cookies.get(_cookie(exchange()), "")
        g.signed_in = sessions.find(exchange(), secret) if secret else None
    return cast("SignedIn | None", g.signed_in)


def current_person() -> Person | None:
    """The person of the session cookie (pages), or None."""
    found = signed_in()
    return found.person if found else None


def sign_in(person: Person, *factors: str) -> None:
    """Open a session for a person who has just shown by `factors` to be it; whoever was signed in before is signed out.

    Raises: Denied: `login.refused`: suspended or changed meanwhile.
    """
    before = signed_in()
    caller = Caller.of(request.remote_addr or "", request.headers.get("User-Agent", ""))
    _send(sessions.start(exchange(), person, caller, factors))
    if before is not None:
        sessions.close(exchange(), before.actor)


def sign_out() -> None:
    """End the session of the request, if there is one."""
    if (found := signed_in()) is not None:
        sessions.close(exchange(), found.actor)
    if _cookie(exchange()) in request.cookies:
        _send("")


def confirm(factor: str) -> None:
    """Note that the person of the session has just shown again who it is."""
    _send(sessions.prove(exchange(), current_actor(), factor))


def guard() -> None:
    """Before each request: authorize it by the policy of its route, and refuse forged requests of a session.

    Raises: NotSignedIn, Denied, TooManyRequests.
    """
    if request.endpoint is None:
        return
    wanted = policy_of(current_app.view_functions[request.endpoint])
    assert wanted is not None, "check_routes ran at start"
    if wanted.is_public:
        return
    if wanted.visitors and exchange().settings.public_prices and visitors.is_visitor():
        g.actor = None
        visitors.admit()
        return
    actor = maybe_actor()
    authorize(actor, wanted)
    if actor is not None:
        calls.count(actor, request.endpoint, wanted)
    if actor is not None and actor.presence is not None:
        _check_factor(actor, wanted)
    if request.method in UNSAFE and bearer() is None:
        check_forgery()
        if wanted.confirmed:
            authority.confirmed_by_factor(exchange(), actor)


def form_secret() -> str:
    """What a form of the page has to send back: that of the session, or one that says for some hours that the page was ours."""
    found = signed_in()
    return _secret_of(found.session) if found else sealed.seal(exchange(), "form", {})


def check_forgery() -> None:
    """A browser sends a cookie for any site that asks it to: the request must come from our own page and know its secret.

    Raises: Denied: `csrf.origin`, `csrf.token`.
    """
    if not _is_from_here():
        raise Denied("csrf.origin", "This request came from another site and was refused; open the page here and repeat.")
    given = request.headers.get("X-CSRF-Token") or request.form.get("csrf_token", "")
    found = signed_in()
    if found is not None:
        fits = hmac.compare_digest(given.encode("utf-8", "replace"), _secret_of(found.session).encode())
    else:
        fits = sealed.unseal(exchange(), "form", given, seconds=FORM_SECONDS) is not None
    if not fits:
        raise Denied("csrf.token", "This page is too old or incomplete; load it again and repeat.")


def install(app: Flask) -> None:
    """The cookie of sessions; Flask's own sessions, which live in theirs, are not used: they need a `SECRET_KEY`, and there is none."""
    app.config["SESSION_COOKIE_SECURE"] = cast(Exchange, app.extensions["mapex"]).settings.uses_secure_cookies
    app.after_request(_answered)


def _identified() -> Actor | None:
    secret = bearer()
    if secret is not None:
        calls.of_process().check_token(secret, calls.caller())
        actor = tokens.actor_of(exchange(), secret)
        calls.of_process().note_token(secret, calls.caller(), good=actor is not None)
        if actor is None:
            raise NotSignedIn("token.unknown", "This API token is unknown, expired or revoked; make another one on the account page.")
        return actor
    found = signed_in()
    return found.actor if found else None


def _check_factor(actor: Actor, wanted: Policy) -> None:
    """A role that needs a second factor can do nothing without one but make one."""
    assert actor.presence is not None
    if wanted.name != "security" and not actor.presence.has_factor and exchange().settings.needs_factor(actor.role):
        message = "Your role needs a second factor; add an authenticator app or a passkey on the page of your sign-in."
        raise Denied("factor.needed", message, page="/account/security")


def _is_from_here() -> bool:
    """Browsers say from where a request comes: by `Sec-Fetch-Site`, on plain http by `Origin`."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in _OWN_ORIGIN
    origin = request.headers.get("Origin")
    return origin is None or urlsplit(origin).netloc in (request.host, urlsplit(exchange().settings.public_url).netloc)


def _secret_of(session: Session) -> str:
    return hmac.new(exchange().settings.secret_key.encode(), f"form {session.id}".encode(), hashlib.sha256).hexdigest()


def _cookie(ex: Exchange) -> str:
    """With the prefix browsers refuse the cookie from a sub-domain and over plain http; it needs https."""
    return "__Host-mapex" if ex.settings.uses_secure_cookies else "mapex"


def _send(secret: str) -> None:
    """Give the browser the cookie of this secret with the answer; without one, take the cookie away. Who asks is looked up again."""
    g.session_secret = secret
    g.signed_in = sessions.find(exchange(), secret) if secret else None
    g.pop("actor", None)


def _answered(response: Response) -> Response:
    """The cookie, only when it changes; and when the session was used, after the answer is out: nobody waits for that to be written."""
    ex = exchange()
    if (secret := g.pop("session_secret", None)) is not None:
        life = ex.settings.session_hours * 3600 if secret else 0
        secure = ex.settings.uses_secure_cookies
        response.set_cookie(_cookie(ex), secret, max_age=life, path="/", secure=secure, httponly=True, samesite="Lax")
        response.headers["Cache-Control"] = "no-store"
    if g.get("signed_in") is not None:
        response.vary.add("Cookie")
        response.call_on_close(partial(_note_seen, ex, g.signed_in.session))
    return response


def _note_seen(ex: Exchange, session: Session) -> None:
    try:
        sessions.note_seen(ex, session)
    except Unavailable as error:  # a full disk, or a database that is away: the answer was given all the same
        log.warning("not noted that session %s was used: %s", session.id, error.code)

"""Passkeys (WebAuthn): keys in a phone, a machine or on a stick, of which the exchange knows the public half only.

They are second factors, and a log-in without a password where the key has asked for finger, face or PIN (`user verification`).
A challenge is a sealed text in the page; the answer to an older one than the key's last use is refused, so none is good twice.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from sqlalchemy import RowMapping, select, update

from mapex import authority
from mapex.database import db, schema
from mapex.errors import Denied, Invalid
from mapex.exchange import Actor, Exchange
from mapex.login import factors
from mapex.login.factors import Factor, NewFactor
from mapex.login.sealed import seal, unseal
from mapex.people import persons
from mapex.people.persons import Person

if TYPE_CHECKING:
    from webauthn.helpers.structs import PublicKeyCredentialDescriptor

SECONDS = 300
"""Of a challenge."""
LONGEST = 64 << 10
"""Characters of an answer that is looked at."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """What the browser is asked (`options`, JSON of WebAuthn), and the ticket that comes back with the answer."""

    options: str
    ticket: str


def site(ex: Exchange) -> str | None:
    """The name to which passkeys of this exchange are bound; None where browsers know none: an address, or plain http elsewhere."""
    url = urlsplit(ex.settings.public_url)
    host = url.hostname or ""
    try:
        ipaddress.ip_address(host)
        return None
    except ValueError:
        return host if url.scheme == "https" or host == "localhost" else None


def ask_new(ex: Exchange, by: Actor) -> Challenge:
    """The question for a new passkey of the person at the browser.

    Raises: Denied: `session.only`, `session.stale`. Invalid: `passkey.site`.
    """
    import webauthn
    from webauthn.helpers.structs import AuthenticatorSelectionCriteria, ResidentKeyRequirement, UserVerificationRequirement

    authority.confirmed(ex, by)
    challenge = secrets.token_bytes(32)
    wanted = AuthenticatorSelectionCriteria(
        resident_key=ResidentKeyRequirement.PREFERRED, user_verification=UserVerificationRequirement.PREFERRED
    )
    options = webauthn.generate_registration_options(
        rp_id=_site(ex),
        rp_name="mapex",
        user_name=by.email,
        user_id=by.person_id.encode(),
        challenge=challenge,
        authenticator_selection=wanted,
        exclude_credentials=_known(ex, by.person_id),
    )
    return Challenge(webauthn.options_to_json(options), _ticket(ex, "new passkey", challenge, by.person_id))


def add(ex: Exchange, by: Actor, ticket: str, answer: dict[str, Any], name: str = "") -> Factor:
    """Add the passkey of an answer to `ask_new` as second factor.

    Raises: Denied: `session.only`, `session.stale`, `passkey.refused`. Invalid: `passkey.site`. Conflict: `factor.many`, `factor.exists`.
    """
    import webauthn
    from webauthn.helpers import bytes_to_base64url

    authority.confirmed(ex, by)
    asked = _asked(ex, "new passkey", ticket)
    if asked["person"] != by.person_id:
        raise _refused()
    with _answers():
        made = webauthn.verify_registration_response(
            credential=_text(answer),
            expected_challenge=bytes.fromhex(asked["challenge"]),
            expected_rp_id=_site(ex),
            expected_origin=_origin(ex),
        )
    credential = bytes_to_base64url(made.credential_id)
    public = bytes_to_base64url(made.credential_public_key)
    return factors.add(ex, by, NewFactor("passkey", name, public, made.sign_count, credential, _hash(credential)))


def ask(ex: Exchange, person_id: str = "") -> Challenge:
    """The question for a passkey: of this person, or of anybody (then the browser offers those that it knows). Nothing is stored.

    Raises: Invalid: `passkey.site`.
    """
    import webauthn
    from webauthn.helpers.structs import UserVerificationRequirement

    challenge = secrets.token_bytes(32)
    verification = UserVerificationRequirement.PREFERRED if person_id else UserVerificationRequirement.REQUIRED
    known = _known(ex, person_id) if person_id else []
    options = webauthn.generate_authentication_options(
        rp_id=_site(ex), challenge=challenge, allow_credentials=known, user_verification=verification
    )
    return Challenge(webauthn.options_to_json(options), _ticket(ex, "passkey", challenge, person_id))


def use(ex: Exchange, ticket: str, answer: dict[str, Any], person_id: str = "") -> Person:
    """Whose passkey gave this answer to `ask` of the same person; the passkey counts as used.

    Raises: Denied: `passkey.refused`: unknown, of somebody else than was asked, wrong, or answered before. Invalid: `passkey.site`.
    """
    import webauthn
    from webauthn.helpers import base64url_to_bytes

    asked = _asked(ex, "passkey", ticket)
    if asked["person"] != person_id:  # else what was asked of a known person, without finger or PIN, would sign in alone
        raise _refused()
    row = _row(ex, answer, person_id)
    with _answers():
        found = webauthn.verify_authentication_response(
            credential=_text(answer),
            expected_challenge=bytes.fromhex(asked["challenge"]),
            expected_rp_id=_site(ex),
            expected_origin=_origin(ex),
            credential_public_key=base64url_to_bytes(row["secret"]),
            credential_current_sign_count=row["counter"],
            require_user_verification=not person_id,
        )
    factor = schema.second_factor.c
    with db.begin(ex) as conn:
        this = update(schema.second_factor).where(factor.id == row["id"], factor.used_ns < asked["at"])
        if conn.execute(this.values(counter=found.new_sign_count, used_ns=ex.now())).rowcount != 1:
            raise _refused()
    person = persons.get_person(ex, person_id=row["person_id"])
    if person is None or not person.is_active:
        raise _refused()
    return person


@contextmanager
def _answers() -> Iterator[None]:
    """Around the library: whatever it finds wrong with an answer is one refusal, and so is an answer of the wrong shape."""
    from webauthn.helpers.exceptions import WebAuthnException

    try:
        yield
    except (WebAuthnException, ValueError, LookupError, TypeError, OverflowError) as error:
        raise _refused() from error


def _known(ex: Exchange, person_id: str) -> list[PublicKeyCredentialDescriptor]:
    from webauthn.helpers import base64url_to_bytes
    from webauthn.helpers.structs import PublicKeyCredentialDescriptor

    factor = schema.second_factor.c
    query = select(factor.credential).where(factor.person_id == person_id, factor.kind == "passkey").order_by(factor.id)
    with db.read(ex) as conn:
        return [PublicKeyCredentialDescriptor(id=base64url_to_bytes(one)) for one in conn.execute(query).scalars()]


def _row(ex: Exchange, answer: dict[str, Any], person_id: str) -> RowMapping:
    factor = schema.second_factor.c
    whose = (factor.person_id == person_id,) if person_id else ()
    credential = str(answer.get("id", "")).rstrip("=")
    with db.read(ex) as conn:
        query = select(schema.second_factor).where(factor.kind == "passkey", factor.credential_hash == _hash(credential), *whose)
        row = conn.execute(query).mappings().first()
    if row is None:
        raise _refused()
    return row


def _ticket(ex: Exchange, purpose: str, challenge: bytes, person_id: str) -> str:
    return seal(ex, purpose, {"challenge": challenge.hex(), "person": person_id, "at": ex.now()})


def _asked(ex: Exchange, purpose: str, ticket: str) -> dict[str, Any]:
    asked = unseal(ex, purpose, ticket, seconds=SECONDS)
    if asked is None:
        raise _refused()
    return asked


def _text(answer: dict[str, Any]) -> str:
    text = json.dumps(answer)
    if len(text) > LONGEST:
        raise _refused()
    return text


def _site(ex: Exchange) -> str:
    found = site(ex)
    if found is None:
        raise Invalid("passkey.site", "Passkeys need a host name and https; this exchange is at an address.")
    return found


def _origin(ex: Exchange) -> str:
    url = urlsplit(ex.settings.public_url)
    return f"{url.scheme}://{url.netloc}"


def _refused() -> Denied:
    return Denied("passkey.refused", "This passkey was not accepted; try again, or use another way.")


def _hash(credential: str) -> str:
    return hashlib.sha256(credential.encode("utf-8", "replace")).hexdigest()

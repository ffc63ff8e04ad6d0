"""The operator's commands on the exchange itself: init, org, person, token, permit. They act on MAPEX_DIR or MAPEX_* settings."""

from __future__ import annotations

import json
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mapex.cli.output import show, table
from mapex.errors import Invalid, NotFound

if TYPE_CHECKING:
    from mapex.exchange import Exchange

as_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@contextmanager
def the_exchange() -> Iterator[Exchange]:
    """The exchange that MAPEX_DIR and MAPEX_* describe, open for the block."""
    from mapex import config
    from mapex.database.opening import open_exchange

    ex = open_exchange(config.load())
    try:
        yield ex
    finally:
        ex.engine.dispose()


@click.command()
@click.option("--dir", "folder", type=click.Path(path_type=Path, file_okay=False), help="Where the exchange lives. Default: MAPEX_DIR.")
@click.option("--if-missing", is_flag=True, help="Do nothing when the exchange is there already.")
@click.option("--compose", is_flag=True, help="Print a .env file with fresh secrets for docker-compose.yml instead; touches nothing.")
@as_json_option
def init(folder: Path | None, if_missing: bool, compose: bool, as_json: bool) -> None:
    """Make a new exchange: settings with fresh secrets (mode 0600), database, store.

    With MAPEX_SECRET_KEY and MAPEX_SIGNING_KEY in the environment no settings file is written; with MinIO the buckets and the
    write-only upload account are made.
    """
    if compose:
        click.echo(compose_environment(), nl=False)
        return
    from mapex import config
    from mapex.database.opening import open_exchange

    place = folder or Path(os.environ.get("MAPEX_DIR") or "")
    if not str(place) or place == Path():
        raise Invalid("init.where", "Say where the exchange shall live: mapex init --dir FOLDER")
    is_there = (place / config.FILE_NAME).exists()
    from_environment = any(f"MAPEX_SECRET_KEY{end}" in os.environ for end in ("", "_FILE"))
    if from_environment or (is_there and if_missing):
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        settings = config.load(place)
    else:
        settings = config.initialise(place)
    if settings.store == "minio":
        from tiles.store.minio import provision

        provision(
            settings.store_endpoint,
            access_key=settings.store_access_key,
            secret_key=settings.store_secret_key,
            upload_access_key=settings.store_upload_access_key,
            upload_secret_key=settings.store_upload_secret_key,
            prefix=settings.store_bucket_prefix,
            region=settings.store_region,
            secure=settings.store_secure,
        )
    open_exchange(settings).engine.dispose()
    text = f"The exchange is in {settings.dir}. Next: export MAPEX_DIR={place}"
    show({"dir": str(settings.dir), "store": settings.store, "created": not is_there}, as_json=as_json, text=text)


def compose_environment() -> str:
    """A `.env` for docker-compose.yml: every secret fresh, nothing stored."""
    names = {
        "POSTGRES_PASSWORD": secrets.token_urlsafe(24),
        "MINIO_ROOT_USER": "mapex-root",
        "MINIO_ROOT_PASSWORD": secrets.token_urlsafe(24),
        "MAPEX_STORE_UPLOAD_ACCESS_KEY": "mapex-upload",
        "MAPEX_STORE_UPLOAD_SECRET_KEY": secrets.token_urlsafe(24),
        "MAPEX_SECRET_KEY": secrets.token_urlsafe(32),
        "MAPEX_SIGNING_KEY": secrets.token_urlsafe(32),
    }
    lines = ["# Secrets of this exchange, made once. Keep this file secret (chmod 600).", *(f"{k}={v}" for k, v in names.items())]
    return "\n".join([*lines, "# The MinIO image that you trust; see docs/operator.md.", "MINIO_IMAGE=", ""])


@click.group()
def org() -> None:
    """Organisations: a firm sells and buys."""


@org.command(name="add")
@click.argument("slug")
@click.option("--name", default="", help="Name as people write it. Default: the slug.")
@click.option("--credit", default=0, type=click.IntRange(0), metavar="KRW", help="Put so much into its wallet.")
@as_json_option
def org_add(slug: str, name: str, credit: int, as_json: bool) -> None:
    """Add an organisation."""
    from mapex.orders import ledger
    from mapex.people import participants

    with the_exchange() as ex:
        made = participants.add_org(ex, None, slug, name)
        if credit:
            ledger.credit(ex, None, slug, credit, key=f"org-add-{made.id}")
    show(
        {"id": made.id, "slug": slug, "name": made.name, "balance": credit},
        as_json=as_json,
        text=f"{made.name} ({slug}), balance {credit:,} KRW",
    )


@org.command(name="credit")
@click.argument("slug")
@click.argument("amount", type=click.IntRange(1), metavar="KRW")
@click.option("--key", required=True, help="Reference of the payment; the same key never credits twice.")
@as_json_option
def org_credit(slug: str, amount: int, key: str, as_json: bool) -> None:
    """Put prepaid money into an organisation's wallet."""
    from mapex.orders import ledger

    with the_exchange() as ex:
        balance = ledger.credit(ex, None, slug, amount, key=key).balance
    show({"slug": slug, "balance": balance}, as_json=as_json, text=f"{slug}: balance {balance:,} KRW")


@org.command(name="suspend")
@click.argument("slug")
@click.option("--resume", is_flag=True, help="Let it act again.")
@as_json_option
def org_suspend(slug: str, resume: bool, as_json: bool) -> None:
    """Stop an organisation with all its persons and tokens, from their next request on."""
    from mapex.people import participants

    with the_exchange() as ex:
        made = participants.set_org_state(ex, None, slug, "active" if resume else "suspended")
    show({"slug": slug, "state": made.state}, as_json=as_json, text=f"{slug}: {made.state}")


@org.command(name="list")
@as_json_option
def org_list(as_json: bool) -> None:
    """List organisations."""
    from mapex.people import participants

    with the_exchange() as ex:
        found = participants.orgs(ex)
    records = [{"slug": o.slug, "name": o.name, "state": o.state} for o in found]
    show({"organisations": records}, as_json=as_json, text=table(["slug", "name", "state"], [[o.slug, o.name, o.state] for o in found]))


@click.group()
def person() -> None:
    """Persons: members of an organisation, auditors, operators."""


def _password(from_stdin: bool) -> str | None:
    return sys.stdin.readline().rstrip("\n") if from_stdin else None


@person.command(name="add")
@click.argument("email")
@click.option("--org", "org_slug", default="", help="Organisation of a member.")
@click.option("--role", default="member", type=click.Choice(["member", "auditor", "operator"]), show_default=True)
@click.option("--name", default="", help="Name as people write it.")
@click.option("--password-stdin", is_flag=True, help="Read a password for the pages from standard input.")
@as_json_option
def person_add(email: str, org_slug: str, role: str, name: str, password_stdin: bool, as_json: bool) -> None:
    """Add a person. Without a password the person works by API token only."""
    from mapex.people import participants

    with the_exchange() as ex:
        made = participants.add_person(ex, None, email, org=org_slug, role=role, name=name, password=_password(password_stdin))
    record = {"id": made.id, "email": made.email, "org": made.org_slug, "role": made.role}
    show(record, as_json=as_json, text=f"{made.email}: {made.role}" + (f" of {made.org_slug}" if made.org_slug else ""))


@person.command(name="password")
@click.argument("email")
def person_password(email: str) -> None:
    """Set a person's password (read from standard input, or asked for)."""
    from mapex.people import participants

    given = (
        sys.stdin.readline().rstrip("\n") if not sys.stdin.isatty() else click.prompt("Password", hide_input=True, confirmation_prompt=True)
    )
    with the_exchange() as ex:
        participants.set_password(ex, None, email, given)
    click.echo(f"{email}: password set; all sessions ended.")


@person.command(name="suspend")
@click.argument("email")
@click.option("--resume", is_flag=True, help="Let the person act again.")
@as_json_option
def person_suspend(email: str, resume: bool, as_json: bool) -> None:
    """Stop a person: sessions end, tokens are refused. The only operator stays."""
    from mapex.people import roles

    with the_exchange() as ex:
        made = roles.set_state(ex, None, email, "active" if resume else "suspended")
    show({"email": made.email, "state": made.state}, as_json=as_json, text=f"{made.email}: {made.state}")


@person.command(name="role")
@click.argument("email")
@click.argument("role", type=click.Choice(["member", "auditor", "operator"]))
@click.option("--org", "org_slug", default="", help="Organisation of a member.")
@as_json_option
def person_role(email: str, role: str, org_slug: str, as_json: bool) -> None:
    """Give a person another role: sessions end, tokens are revoked. The only operator stays one."""
    from mapex.people import roles

    with the_exchange() as ex:
        made = roles.set_role(ex, None, email, role, org=org_slug)
    record = {"email": made.email, "org": made.org_slug, "role": made.role}
    show(record, as_json=as_json, text=f"{made.email}: {made.role}" + (f" of {made.org_slug}" if made.org_slug else ""))


@person.command(name="list")
@as_json_option
def person_list(as_json: bool) -> None:
    """List persons."""
    from mapex.people import participants

    with the_exchange() as ex:
        found = participants.persons(ex)
    rows = [[p.email, p.role, p.org_slug, p.state] for p in found]
    records = [{"email": p.email, "role": p.role, "org": p.org_slug, "state": p.state} for p in found]
    show({"persons": records}, as_json=as_json, text=table(["e-mail", "role", "organisation", "state"], rows))


@click.group()
def token() -> None:
    """API tokens of persons."""


@token.command(name="create")
@click.argument("email")
@click.option("--name", default="cli", show_default=True, help="What it is for.")
@click.option("--scope", "scopes", multiple=True, default=("*",), show_default=True, help="Limit it: read, sell, buy, audit, operate.")
@click.option("--days", default=90, show_default=True, type=click.IntRange(1), help="How long it is valid.")
@as_json_option
def token_create(email: str, name: str, scopes: tuple[str, ...], days: int, as_json: bool) -> None:
    """Make a token and print it, alone on one line, this once."""
    from mapex.people import tokens

    with the_exchange() as ex:
        secret = tokens.create(ex, _person(ex, email), name, scopes, days)
    show({"token": secret}, as_json=as_json, text=secret)


@token.command(name="list")
@click.argument("email")
@as_json_option
def token_list(email: str, as_json: bool) -> None:
    """List a person's tokens (never their secrets)."""
    from mapex.people import tokens
    from mapex.times import iso_from_ns

    with the_exchange() as ex:
        found = tokens.of(ex, _person(ex, email).actor)
    rows = [[t.id, t.name, " ".join(t.scopes), iso_from_ns(t.expires_ns)] for t in found]
    records = [{"id": r[0], "name": r[1], "scopes": r[2].split(), "expires_at": r[3]} for r in rows]
    show({"tokens": records}, as_json=as_json, text=table(["id", "name", "scopes", "expires (UTC)"], rows))


@token.command(name="revoke")
@click.argument("email")
@click.argument("token_id")
def token_revoke(email: str, token_id: str) -> None:
    """Revoke a token, from its next request on."""
    from mapex.people import tokens

    with the_exchange() as ex:
        tokens.revoke(ex, _person(ex, email).actor, token_id)
    click.echo(f"{token_id} is revoked.")


def _person(ex: Exchange, email: str) -> Any:
    from mapex.people import participants

    found = participants.get_person(ex, email=email)
    if found is None:
        raise NotFound("person.unknown", f"There is no person {email}. Add one with: mapex person add {email} --org SLUG")
    return found


@click.group()
def permit() -> None:
    """Permits of the regulatory sandbox, entered as the regulator gave them."""


@permit.command(name="add")
@click.argument("number")
@click.option("--org", "org_slug", required=True, help="The holder.")
@click.option("--purpose", "purposes", multiple=True, required=True, help="A purpose that it allows. Repeat for each.")
@click.option("--area", required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False), help="GeoJSON of the permitted area.")
@click.option("--from", "start", required=True, metavar="DATE", help="First day (ISO 8601).")
@click.option("--to", "end", required=True, metavar="DATE", help="First day after it (ISO 8601).")
@click.option("--class", "classes", multiple=True, default=("original",), show_default=True, help="A handling class it covers.")
@click.option("--recipient", "recipients", multiple=True, help="Another organisation that may receive under it.")
@click.option("--rule-set", default="kr-pipc-2026-01", show_default=True, help="The rules it was given under.")
@as_json_option
def permit_add(
    number: str, org_slug: str, area: Path, start: str, end: str, rule_set: str, as_json: bool, **lists: tuple[str, ...]
) -> None:
    """Enter a permit."""
    from mapex.rights import permits
    from mapex.rights.permit import NewPermit
    from mapex.times import ns_from_iso

    try:
        region = json.loads(area.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise Invalid("cli.region_json", f"{area} is not JSON ({error}). Give a GeoJSON file in WGS 84 longitude, latitude.") from error
    with the_exchange() as ex:
        begin_ns, end_ns = ns_from_iso(start), ns_from_iso(end)
        new = NewPermit(org=org_slug, number=number, area=region, valid_from_ns=begin_ns, valid_to_ns=end_ns, rule_set=rule_set, **lists)
        made = permits.add(ex, None, new)
    show({"id": made.id, "number": number, "org": org_slug}, as_json=as_json, text=f"Permit {number} of {org_slug} from {start} to {end}")


@permit.command(name="list")
@click.option("--bbox", metavar="W,S,E,N", help="Only permits whose area meets this box (degrees).")
@as_json_option
def permit_list(bbox: str | None, as_json: bool) -> None:
    """List permits."""
    from mapex.cli.buy import box_of
    from mapex.rights import permits
    from mapex.times import iso_from_ns

    with the_exchange() as ex:
        found = permits.all_permits(ex, box=box_of(bbox) if bbox else None)
    rows = [[p.number, p.org, " ".join(p.purposes), iso_from_ns(p.valid_from_ns), iso_from_ns(p.valid_to_ns), p.state] for p in found]
    keys = ("number", "org", "purposes", "valid_from", "valid_to", "state")
    records = [dict(zip(keys, row, strict=True)) for row in rows]
    show({"permits": records}, as_json=as_json, text=table(["number", "holder", "purposes", "from", "to", "state"], rows))


@permit.command(name="suspend")
@click.argument("number")
@click.option("--resume", is_flag=True, help="Let it count again.")
def permit_suspend(number: str, resume: bool) -> None:
    """Stop a permit: nothing is granted under it from now on."""
    from mapex.rights import permits

    with the_exchange() as ex:
        permits.set_state(ex, None, number, "active" if resume else "suspended")
    click.echo(f"Permit {number} is {'active' if resume else 'suspended'}.")


@click.group()
def footage() -> None:
    """Footage: what was proven to show nobody."""


@footage.command(name="clear")
@click.argument("dataset")
@click.argument("version", type=int)
@click.argument("layer")
@click.option("--evidence", required=True, help="What was examined, how and by whom; goes into the log.")
def footage_clear(dataset: str, version: int, layer: str, evidence: str) -> None:
    """Let LAYER of a draft (DATASET as ORG/SLUG) be pseudonymised: it was proven to show no recognisable person or plate."""
    from mapex.catalogue import datasets

    with the_exchange() as ex:
        made = datasets.clear_footage(ex, None, dataset, version, layer, evidence)
    click.echo(f"Layer {layer} of {dataset} version {version} is {made.handling_class}.")

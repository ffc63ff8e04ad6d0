"""The operator's commands on the exchange itself: init, permit, applications. They act on MAPEX_DIR or MAPEX_* settings."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mapex.cli.options import as_json_option, box_of, the_exchange
from mapex.cli.output import show, table
from mapex.errors import Invalid, NotFound
from mapex.modes import OTHERS
from mapex.rights.permit import RULE_SET, RULE_SETS
from tiles import plain_json

if TYPE_CHECKING:
    from sqlalchemy import URL

    from mapex.config import Settings
    from mapex.login.applications import Application


@click.command()
@click.option("--dir", "folder", type=click.Path(path_type=Path, file_okay=False), help="Where the exchange lives. Default: MAPEX_DIR.")
@click.option("--if-missing", is_flag=True, help="Do nothing when the exchange is there already.")
@click.option("--compose", is_flag=True, help="Print a .env file with fresh secrets for docker-compose.yml instead; touches nothing.")
@click.option("--roles", is_flag=True, help="Make a PostgreSQL role for the services of an exchange that has one role, and print it.")
@as_json_option
def init(folder: Path | None, if_missing: bool, compose: bool, roles: bool, as_json: bool) -> None:
    """Make a new exchange: settings with fresh secrets (mode 0600), database, store.

    On an exchange that is there, with --if-missing, it brings the database to the newest schema. With MAPEX_DATABASE_OWNER_URL the
    tables belong to that role, and the role of MAPEX_DATABASE_URL, which web and workers use, is made and may not change the log.

    With MAPEX_SECRET_KEY and MAPEX_SIGNING_KEY in the environment no settings file is written; with MinIO the buckets are made, and
    the accounts of upload, download, worker and sweep, each for its purpose only.
    """
    if compose:
        _close_output()
        show(compose_secrets(), as_json=as_json, text=compose_environment().rstrip("\n"))
        return
    from mapex import config, modes
    from mapex.cli.server import surroundings
    from mapex.database.opening import make_roles, open_exchange, single_accounts

    place = folder or Path(os.environ.get("MAPEX_DIR") or "")
    if not str(place) or place == Path():
        raise Invalid("init.where", "Name the folder of the new exchange: `mapex init --dir FOLDER`.")
    is_there = (place / config.FILE_NAME).exists()
    from_environment = any(f"MAPEX_SECRET_KEY{end}" in os.environ for end in ("", "_FILE"))
    surroundings.check_place(place)
    modes.make_folder(place)
    settings = config.load(place) if from_environment or (is_there and (if_missing or roles)) else config.initialise(place)
    if settings.store == "minio":
        from tiles.store.minio import provision

        provision(
            settings.store_endpoint,
            access_key=settings.store_access_key,
            secret_key=settings.store_secret_key,
            upload_access_key=settings.store_upload_access_key,
            upload_secret_key=settings.store_upload_secret_key,
            single=single_accounts(settings),
            prefix=settings.store_bucket_prefix,
            region=settings.store_region,
            secure=settings.store_secure,
        )
    made = make_roles(settings, fresh=roles)
    if made is not None and roles:
        _show_roles(settings, made, as_json=as_json)
        return
    with modes.only_ours():
        open_exchange(settings).engine.dispose()
    text = f"The exchange is in {settings.dir}. Next: export MAPEX_DIR={place}"
    show({"dir": str(settings.dir), "store": settings.store, "created": not is_there}, as_json=as_json, text=text)


def _show_roles(settings: Settings, made: URL, *, as_json: bool) -> None:
    """The two settings with which an exchange has two roles."""
    services = made.set(drivername="postgresql").render_as_string(hide_password=False)
    owner = settings.database_owner_url or settings.database_url
    lines = [
        "The services have a role of their own. Set this for web and workers, and restart them:",
        f"MAPEX_DATABASE_URL={services}",
        "Set this beside it for `mapex init` alone, which migrates:",
        f"MAPEX_DATABASE_OWNER_URL={owner}",
    ]
    show({"database_url": services, "database_owner_url": owner}, as_json=as_json, text="\n".join(lines))


def _close_output() -> None:
    """Close the file that standard output goes to, if it is one that others can read: the shell made it, and secrets follow."""
    output = os.fstat(1)
    if stat.S_ISREG(output.st_mode) and output.st_mode & OTHERS and output.st_uid == os.getuid():
        os.fchmod(1, 0o600)
        click.echo("The file that this goes into was open to others; only you can read it now.", err=True)


def compose_secrets() -> dict[str, str]:
    """The variables of docker-compose.yml: every secret fresh, nothing stored."""
    return {
        "POSTGRES_PASSWORD": secrets.token_urlsafe(24),
        "POSTGRES_SERVICES_PASSWORD": secrets.token_urlsafe(24),
        "MINIO_ROOT_USER": "mapex-root",
        "MINIO_ROOT_PASSWORD": secrets.token_urlsafe(24),
        **{name: value for purpose in ("upload", "download", "work", "sweep") for name, value in _account(purpose)},
        "MAPEX_SECRET_KEY": secrets.token_urlsafe(32),
        "MAPEX_SIGNING_KEY": secrets.token_urlsafe(32),
        "MINIO_IMAGE": "",
    }


def _account(purpose: str) -> list[tuple[str, str]]:
    name = f"MAPEX_STORE_{purpose.upper()}"
    return [(f"{name}_ACCESS_KEY", f"mapex-{purpose}"), (f"{name}_SECRET_KEY", secrets.token_urlsafe(24))]


def compose_environment() -> str:
    """The same as a `.env` file."""
    *lines, image = (f"{name}={value}" for name, value in compose_secrets().items())
    head = "# Secrets of this exchange, made once. Keep this file secret (chmod 600)."
    base = "# The base image with its digest, which `docker pull python:3.11-slim-bookworm` prints; no build without.\n# PYTHON_IMAGE="
    note = "# The MinIO image that you trust; see docs/operator.md."
    return "\n".join([head, *lines, base, note, image, ""])


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
@click.option("--request", default="", metavar="ID", help="The request that this answers, of `mapex permit requests`.")
@click.option("--rule-set", default=RULE_SET, show_default=True, help=f"The rules it was given under: {', '.join(RULE_SETS)}.")
@as_json_option
def permit_add(
    number: str, org_slug: str, area: Path, start: str, end: str, rule_set: str, request: str, as_json: bool, **lists: tuple[str, ...]
) -> None:
    """Enter a permit."""
    from mapex.rights import permit_requests, permits
    from mapex.rights.permit import NewPermit
    from mapex.times import ns_from_iso

    try:
        region = plain_json.loads(area.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise Invalid("cli.region_json", f"{area} is not JSON ({error}). Give a GeoJSON file in WGS 84 longitude, latitude.") from error
    with the_exchange() as ex:
        begin_ns, end_ns = ns_from_iso(start), ns_from_iso(end)
        new = NewPermit(org=org_slug, number=number, area=region, valid_from_ns=begin_ns, valid_to_ns=end_ns, rule_set=rule_set, **lists)
        made = permit_requests.accept(ex, None, request, new) if request else permits.add(ex, None, new)
    show({"id": made.id, "number": number, "org": org_slug}, as_json=as_json, text=f"Permit {number} of {org_slug} from {start} to {end}")


@permit.command(name="list")
@click.option("--bbox", metavar="W,S,E,N", help="Only permits whose area meets this box (degrees).")
@as_json_option
def permit_list(bbox: str | None, as_json: bool) -> None:
    """List permits."""
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
@as_json_option
def permit_suspend(number: str, resume: bool, as_json: bool) -> None:
    """Stop a permit: nothing is granted under it from now on."""
    from mapex.rights import permits

    with the_exchange() as ex:
        made = permits.set_state(ex, None, number, "active" if resume else "suspended")
    show({"number": number, "state": made.state}, as_json=as_json, text=f"Permit {number} is {made.state}.")


@permit.command(name="requests")
@as_json_option
def permit_requests_list(as_json: bool) -> None:
    """List what organisations ask you to enter, with the area as GeoJSON in --json."""
    from mapex.rights import permit_requests
    from mapex.times import iso_from_ns

    with the_exchange() as ex:
        found = permit_requests.all_requests(ex, None, states=("open",))
    names = ("id", "org", "number", "issuer", "purposes", "classes", "document", "document_sha256", "person")
    periods = [{"valid_from": iso_from_ns(one.valid_from_ns), "valid_to": iso_from_ns(one.valid_to_ns)} for one in found]
    records = [
        {**{name: getattr(one, name) for name in names}, **period, "area": one.area} for one, period in zip(found, periods, strict=True)
    ]
    rows = [[r["id"], r["org"], r["number"], r["issuer"], r["valid_from"], r["valid_to"], r["document_sha256"]] for r in records]
    head = ["id", "organisation", "number", "issued by", "from", "to", "sha256 of the document"]
    show({"requests": records}, as_json=as_json, text=table(head, rows))


@permit.command(name="refuse")
@click.argument("request_id", metavar="ID")
@click.option("--reason", required=True, help="Why; the organisation reads it.")
@as_json_option
def permit_refuse(request_id: str, reason: str, as_json: bool) -> None:
    """Refuse a request for a permit to be entered."""
    from mapex.rights import permit_requests

    with the_exchange() as ex:
        made = permit_requests.refuse(ex, None, request_id, reason)
    show({"id": made.id, "state": made.state}, as_json=as_json, text=f"The request {made.id} is refused.")


@click.group()
def applications() -> None:
    """Registrations: who asks for an organisation on the exchange."""


@applications.command(name="list")
@click.option("--all", "everything", is_flag=True, help="Those that were decided, too.")
@as_json_option
def applications_list(everything: bool, as_json: bool) -> None:
    """List what waits: first those whose address is proven."""
    from mapex.login import applications as service

    with the_exchange() as ex:
        found = service.all_applications(ex, None, states=service.STATES if everything else service.OPEN)
    records = [_application_record(one) for one in found]
    rows = [[r["id"], r["state"], r["slug"], r["name"], r["email"], r["created_at"]] for r in records]
    show({"applications": records}, as_json=as_json, text=table(["id", "state", "slug", "name", "e-mail", "sent (UTC)"], rows))


@applications.command(name="show")
@click.argument("application_id", metavar="ID")
@as_json_option
def applications_show(application_id: str, as_json: bool) -> None:
    """Show one with what the applicant wrote."""
    from mapex.login import applications as service

    with the_exchange() as ex:
        found = next((one for one in service.all_applications(ex, None, states=service.STATES) if one.id == application_id), None)
    if found is None:
        raise NotFound("application.unknown", f"There is no registration {application_id}; `mapex applications list --all` shows all.")
    record = _application_record(found)
    show(record, as_json=as_json, text="\n".join(f"{name}: {value}" for name, value in record.items() if value))


@applications.command(name="accept")
@click.argument("application_id", metavar="ID")
@click.option("--slug", default="", help="Another slug than the applicant proposes.")
@click.option("--name", default="", help="Another name.")
@as_json_option
def applications_accept(application_id: str, slug: str, name: str, as_json: bool) -> None:
    """Make the organisation and invite the applicant. Without mail, prints the link to hand out, this once."""
    from mapex.login import applications as service

    with the_exchange() as ex:
        made, secret = service.accept(ex, None, application_id, slug=slug, name=name)
        url = f"{ex.settings.public_url}/invite/{secret}" if secret else None
    text = f"{made.org}: {made.email} is invited" + (f". Hand this link out: {url}" if url else " by mail.")
    show({"org": made.org, "email": made.email, "invitation": made.id, "url": url}, as_json=as_json, text=text)


@applications.command(name="refuse")
@click.argument("application_id", metavar="ID")
@click.option("--reason", required=True, help="Why; the applicant reads it.")
@as_json_option
def applications_refuse(application_id: str, reason: str, as_json: bool) -> None:
    """Refuse one, with a reason."""
    from mapex.login import applications as service

    with the_exchange() as ex:
        made = service.refuse(ex, None, application_id, reason)
    show({"id": made.id, "state": made.state}, as_json=as_json, text=f"{made.id} is refused.")


@applications.command(name="clear")
@click.argument("application_id", metavar="[ID]", default="")
@as_json_option
def applications_clear(application_id: str, as_json: bool) -> None:
    """Delete one for good; without ID all whose address nobody has proven."""
    from mapex.login import applications as service

    with the_exchange() as ex:
        count = service.clear(ex, None, application_id)
    show({"deleted": count}, as_json=as_json, text=f"Registrations deleted: {count}.")


def _application_record(one: Application) -> dict[str, Any]:
    from mapex.times import iso_from_ns

    names = ("id", "state", "slug", "name", "contact", "email", "about", "reason")
    decided = iso_from_ns(one.decided_ns) if one.decided_ns is not None else None
    return {**{name: getattr(one, name) for name in names}, "created_at": iso_from_ns(one.created_ns), "decided_at": decided}

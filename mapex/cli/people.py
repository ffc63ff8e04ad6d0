"""The operator's commands on those who take part: org, person, token. They act on MAPEX_DIR or MAPEX_* settings."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from mapex.cli.options import as_json_option, the_exchange
from mapex.cli.output import show, table
from mapex.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mapex.exchange import Exchange
    from mapex.invoices.businesses import Business


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
    from mapex.people import orgs

    with the_exchange() as ex:
        made = orgs.add_org(ex, None, slug, name)
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
    from mapex.people import orgs

    with the_exchange() as ex:
        made = orgs.set_org_state(ex, None, slug, "active" if resume else "suspended")
    show({"slug": slug, "state": made.state}, as_json=as_json, text=f"{slug}: {made.state}")


@org.group(name="domain")
def org_domain() -> None:
    """Mail domains that an organisation has proven to be its own; its members invite people under them."""


@org_domain.command(name="add")
@click.argument("slug")
@click.argument("domain")
@as_json_option
def org_domain_add(slug: str, domain: str, as_json: bool) -> None:
    """Enter a domain after you were shown that it is theirs; addresses of their members under it count as proven."""
    from mapex.people import domains

    with the_exchange() as ex:
        _show_domains(slug, domains.add(ex, None, slug, domain), as_json)


@org_domain.command(name="remove")
@click.argument("slug")
@click.argument("domain")
@as_json_option
def org_domain_remove(slug: str, domain: str, as_json: bool) -> None:
    """Take a domain from an organisation: invitations of its members under it end, members stay."""
    from mapex.people import domains

    with the_exchange() as ex:
        _show_domains(slug, domains.remove(ex, None, slug, domain), as_json)


def _show_domains(slug: str, found: Sequence[str], as_json: bool) -> None:
    show({"slug": slug, "domains": list(found)}, as_json=as_json, text=f"{slug}: {', '.join(found) or 'no domain'}")


@org.command(name="list")
@as_json_option
def org_list(as_json: bool) -> None:
    """List organisations."""
    from mapex.people import domains, orgs

    with the_exchange() as ex:
        found, owned = orgs.all_orgs(ex), domains.all_domains(ex)
    records = [{"slug": o.slug, "name": o.name, "state": o.state, "domains": list(owned.get(o.id, []))} for o in found]
    rows = [[o.slug, o.name, o.state, " ".join(owned.get(o.id, []))] for o in found]
    show({"organisations": records}, as_json=as_json, text=table(["slug", "name", "state", "domains"], rows))


@org.command(name="show")
@click.argument("slug")
@as_json_option
def org_show(slug: str, as_json: bool) -> None:
    """An organisation, its mail domains, and what stands on its tax invoices."""
    from mapex.invoices import businesses
    from mapex.people import domains, orgs

    with the_exchange() as ex:
        found, business = orgs.get_org(ex, slug), businesses.get(ex, None, slug)
        owned = list(domains.all_domains(ex).get(found.id, []))
    record = {"slug": slug, "name": found.name, "state": found.state, "domains": owned, "business": business and dict(business.about)}
    lines = [f"{found.name} ({slug}): {found.state}", f"domains: {', '.join(owned) or 'none'}", *business_lines(business)]
    show(record, as_json=as_json, text="\n".join(lines))


@org.command(name="business")
@click.argument("slug")
@click.option("--number", default="", help="Business number (사업자등록번호), 123-45-67891 or plain. Without: a firm abroad.")
@click.option("--name", required=True, help="Name as registered.")
@click.option("--representative", required=True, help="Representative (대표자).")
@click.option("--address", required=True, help="Address of the business.")
@click.option("--type", "business_type", required=True, help="Type of business (업태).")
@click.option("--item", required=True, help="Item of business (종목).")
@click.option("--email", required=True, help="Where tax invoices go.")
@as_json_option
def org_business(slug: str, number: str, as_json: bool, **given: str) -> None:
    """Enter what stands on the tax invoices of an organisation."""
    from mapex.invoices import businesses

    with the_exchange() as ex:
        made = businesses.put(ex, None, slug, businesses.Business(number=number or None, **given))
    show({"slug": slug, **made.about}, as_json=as_json, text="\n".join([slug, *business_lines(made)]))


def business_lines(business: Business | None) -> list[str]:
    """What stands on tax invoices, line by line."""
    if business is None:
        return ["No business details; there are no tax invoices without them. Enter them with `mapex org business`."]
    about = {**business.about, "number": business.written_number or "none: a firm abroad"}
    return [f"{name.replace('_', ' ')}: {value}" for name, value in about.items()]


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
    from mapex.people import persons

    with the_exchange() as ex:
        made = persons.add_person(ex, None, email, org=org_slug, role=role, name=name, password=_password(password_stdin))
    record = {"id": made.id, "email": made.email, "org": made.org_slug, "role": made.role}
    show(record, as_json=as_json, text=f"{made.email}: {made.role}" + (f" of {made.org_slug}" if made.org_slug else ""))


@person.command(name="password")
@click.argument("email")
@as_json_option
def person_password(email: str, as_json: bool) -> None:
    """Set a person's password (read from standard input, or asked for)."""
    from mapex.people import persons

    if sys.stdin.isatty():
        given = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        given = sys.stdin.readline().rstrip("\n")
    with the_exchange() as ex:
        persons.set_password(ex, None, email, given)
    show({"email": email}, as_json=as_json, text=f"{email}: password set; all sessions ended.")


@person.command(name="reset")
@click.argument("email")
@as_json_option
def person_reset(email: str, as_json: bool) -> None:
    """Make a link with which the person chooses a new password: once, within 30 minutes. Hand it out; second factors stay."""
    from mapex.login import resets

    with the_exchange() as ex:
        url = f"{ex.settings.public_url}/reset/{resets.hand_out(ex, None, email)}"
    show({"email": email, "url": url}, as_json=as_json, text=url)


@person.command(name="prove")
@click.argument("email")
@as_json_option
def person_prove(email: str, as_json: bool) -> None:
    """Vouch for the address of somebody who came in before addresses were proven. Unproven, it makes room for whoever proves it."""
    from mapex.people import persons

    with the_exchange() as ex:
        made = persons.prove(ex, None, email)
    show({"email": made.email, "proven": made.is_proven}, as_json=as_json, text=f"{made.email}: the address is proven")


@person.command(name="suspend")
@click.argument("email")
@click.option("--resume", is_flag=True, help="Let the person act again.")
@as_json_option
def person_suspend(email: str, resume: bool, as_json: bool) -> None:
    """Stop a person: sessions, tokens and invitations end. The only operator stays."""
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
    """Give a person another role: sessions, tokens and invitations end. The only operator stays one."""
    from mapex.people import roles

    with the_exchange() as ex:
        made = roles.set_role(ex, None, email, role, org=org_slug)
    record = {"email": made.email, "org": made.org_slug, "role": made.role}
    show(record, as_json=as_json, text=f"{made.email}: {made.role}" + (f" of {made.org_slug}" if made.org_slug else ""))


@person.command(name="pay")
@click.argument("email")
@click.option("--no", "nothing", is_flag=True, help="The person may pay nothing: it draws, asks prices, and asks for approval.")
@click.option("--order-limit", type=click.IntRange(1), metavar="KRW", help="At most so much for one order, VAT included.")
@click.option("--month-limit", type=click.IntRange(1), metavar="KRW", help="At most so much in a month of Korea, VAT included.")
@as_json_option
def person_pay(email: str, nothing: bool, order_limit: int | None, month_limit: int | None, as_json: bool) -> None:
    """Say what a member may pay for its organisation; without options everything. One who may pay everything always stays."""
    from mapex.people import purchase_rights

    with the_exchange() as ex:
        made = purchase_rights.set_right(ex, None, email, purchase_rights.Right(not nothing, order_limit, month_limit))
    limits = [f"{what} up to {limit:,} KRW" for what, limit in (("an order", made.order_limit), ("a month", made.month_limit)) if limit]
    text = f"{email} may pay {', '.join(limits) or 'everything' if made.may_pay else 'nothing'}"
    show({"email": email, **made.about}, as_json=as_json, text=text)


@person.command(name="sessions")
@click.argument("email")
@click.option("--end", is_flag=True, help="End all of them.")
@as_json_option
def person_sessions(email: str, end: bool, as_json: bool) -> None:
    """List where a person is signed in at a browser, or end that."""
    from mapex.login import sessions
    from mapex.times import iso_from_ns

    with the_exchange() as ex:
        if end:
            ended = sessions.end_all(ex, None, email)
            show({"email": email, "ended": ended}, as_json=as_json, text=f"{email}: {ended} sessions ended.")
            return
        found = sessions.of(ex, _person(ex, email).id)
    rows = [[s.id, s.agent, s.network, " ".join(s.factors), iso_from_ns(s.created_ns), iso_from_ns(s.seen_ns)] for s in found]
    names = ["id", "device", "network", "factors", "since", "seen"]
    records = [dict(zip(names, row, strict=True)) for row in rows]
    show({"sessions": records}, as_json=as_json, text=table([*names[:4], "since (UTC)", "last seen (UTC)"], rows))


@person.command(name="factors")
@click.argument("email")
@click.option("--reset", is_flag=True, help="Take all of them away: the person lost them. All its sessions end.")
@as_json_option
def person_factors(email: str, reset: bool, as_json: bool) -> None:
    """List the second factors of a person, or take them away."""
    from mapex.login import factors
    from mapex.times import iso_from_ns

    with the_exchange() as ex:
        if reset:
            gone = factors.reset(ex, None, email)
            show({"email": email, "removed": gone}, as_json=as_json, text=f"{email}: {gone} second factors removed; all sessions ended.")
            return
        found = factors.of(ex, _person(ex, email).id)
    rows = [[f.id, f.kind, f.name, iso_from_ns(f.created_ns), iso_from_ns(f.used_ns)] for f in found]
    names = ["id", "kind", "name", "since", "used"]
    records = [dict(zip(names, row, strict=True)) for row in rows]
    show({"factors": records}, as_json=as_json, text=table([*names[:3], "since (UTC)", "last used (UTC)"], rows))


@person.command(name="list")
@as_json_option
def person_list(as_json: bool) -> None:
    """List persons."""
    from mapex.people import persons

    with the_exchange() as ex:
        found = persons.all_persons(ex)
    rows = [[p.email, p.role, p.org_slug, p.state, "proven" if p.is_proven else "not proven"] for p in found]
    records = [{"email": p.email, "role": p.role, "org": p.org_slug, "state": p.state, "proven": p.is_proven} for p in found]
    show({"persons": records}, as_json=as_json, text=table(["e-mail", "role", "organisation", "state", "address"], rows))


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
@as_json_option
def token_revoke(email: str, token_id: str, as_json: bool) -> None:
    """Revoke a token and those made with it, from the next request on."""
    from mapex.people import tokens

    with the_exchange() as ex:
        tokens.revoke(ex, None, token_id, whose=_person(ex, email))
    show({"id": token_id, "state": "revoked"}, as_json=as_json, text=f"{token_id} is revoked.")


def _person(ex: Exchange, email: str) -> Any:
    from mapex.people import persons

    found = persons.get_person(ex, email=email)
    if found is None:
        raise NotFound("person.unknown", f"There is no person {email}. Add one with `mapex person add {email} --org SLUG`.")
    return found

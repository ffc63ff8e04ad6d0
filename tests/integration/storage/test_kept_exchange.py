"""An exchange that mapex 0.1 wrote (schema 0004) lives on: opened, migrated, checked and downloaded by the present version.

`tests/kept/exchange_0_1` holds it: the database as SQL for SQLite and for PostgreSQL (the same rows), the objects of its directory
store, its settings, and `facts.json`: what mapex 0.1 answered. Secrets in it are for tests only. Nothing in it is real data.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import lzma
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import create_engine, inspect, text

from mapex.database import opening
from mapex.database.migrations import HEAD
from mapex.orders import books, settlements
from mapex.rules import terms
from mapex.rules.pricing import vat_of
from mapex.times import kst_month, month_end_ns
from tests.support.exchange import Clock
from tests.support.processes import Failed, Running
from tests.support.servers import Postgres
from tests.support.site import Served, served
from tests.support.uploads import work

KEPT = Path(__file__).resolve().parents[2] / "kept" / "exchange_0_1"

Facts = dict[str, Any]


# ---- restoring ---------------------------------------------------------------------------------------------------------------------


def facts_in(kept: Path = KEPT) -> Facts:
    """What the version that wrote the exchange answered of it."""
    found: Facts = json.loads((kept / "facts.json").read_text(encoding="utf-8"))
    return found


def unpacked(path: Path) -> str:
    """The text of a dump."""
    return lzma.decompress(path.read_bytes()).decode()


def restore(folder: Path, server: Postgres | None, kept: Path = KEPT) -> str:
    """Put the kept exchange into `folder`; returns the URL of its database ("" = SQLite in the folder)."""
    folder.mkdir(parents=True)
    shutil.copyfile(kept / "mapex.toml", folder / "mapex.toml")
    (folder / "mapex.toml").chmod(0o600)
    with tarfile.open(kept / "objects.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    if server is None:
        with contextlib.closing(sqlite3.connect(folder / "mapex.db")) as db:
            db.executescript(unpacked(kept / "sqlite.sql.xz"))
        return ""
    url = server.new_database()
    # One statement after another, with an empty line between them (and none inside).
    statements = unpacked(kept / "postgresql.sql.xz").split("\n\n")
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        for statement in statements:
            connection.execute(statement.encode())
    return url


def revision_before(folder: Path, url: str) -> str:
    """The schema as it was kept, before anything was opened."""
    query = "SELECT version_num FROM alembic_version"
    if url:
        with psycopg.connect(url.replace("+psycopg", "")) as connection:
            row = connection.execute(query).fetchone()
    else:
        with contextlib.closing(sqlite3.connect(folder / "mapex.db")) as db:
            row = db.execute(query).fetchone()
    assert row is not None
    return str(row[0])


KILLED = """
import os, signal, sys
from alembic import op
from mapex import config
from mapex.database import opening

real, calls = op.drop_column, []


def drop_column(*args, **more):
    calls.append(args)
    if len(calls) == int(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*args, **more)


op.drop_column = drop_column
opening.open_exchange(config.load())
"""


@pytest.mark.parametrize("step", [1, 2])
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_a_migration_that_is_killed_leaves_the_exchange_as_it_was(
    request: pytest.FixtureRequest, tmp_path: Path, database: str, step: int
) -> None:
    """Killed when the lines of orders (1), or these and the recipients of permits (2), were filled, and their old columns still there."""
    folder = tmp_path / "ex"
    url = restore(folder, request.getfixturevalue("postgres") if database == "postgresql" else None)
    environ = {**os.environ, "MAPEX_DIR": str(folder), **({"MAPEX_DATABASE_URL": url} if url else {})}
    killed = subprocess.run([sys.executable, "-c", KILLED, str(step)], env=environ, capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert revision_before(folder, url) == "0004"
    again = subprocess.run([sys.executable, "-c", KILLED, "0"], env=environ, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert revision_before(folder, url) == HEAD


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_what_was_bought_under_words_that_nobody_knows_opens_and_counts_for_nothing_else(
    request: pytest.FixtureRequest, tmp_path: Path, database: str
) -> None:
    folder = tmp_path / "ex"
    url = restore(folder, request.getfixturevalue("postgres") if database == "postgresql" else None)
    engine = create_engine(url or f"sqlite:///{folder / 'mapex.db'}")
    with engine.begin() as conn:
        conn.execute(text("UPDATE offer SET licence = 'of old' WHERE id IN (SELECT offer_id FROM entitlement) AND state <> 'live'"))
        conn.execute(text("UPDATE entitlement SET purpose = 'fun' WHERE layer_name = 'sidewalks'"))
        old = conn.execute(text("SELECT COUNT(*) FROM entitlement")).scalar_one()
    environ = {**os.environ, "MAPEX_DIR": str(folder), **({"MAPEX_DATABASE_URL": url} if url else {})}
    opened = subprocess.run([sys.executable, "-c", KILLED, "0"], env=environ, capture_output=True, text=True, check=False)
    assert opened.returncode == 0, opened.stderr
    with engine.connect() as conn:
        assert conn.execute(text("SELECT COUNT(*) FROM entitlement")).scalar_one() == old
        counting = "SELECT DISTINCT l.name FROM owned_sum s JOIN layer l ON l.id = s.layer_id"
        names = set(conn.execute(text(counting)).scalars())
        assert names and "sidewalks" not in names
        attributions = conn.execute(text("SELECT COUNT(*) FROM order_line WHERE attribution = ''")).scalar_one()
        assert attributions == 0
    engine.dispose()


# ---- asking: the same questions were put to mapex 0.1, whose answers are the facts ----------------------------------------------------


def rows_of(there: Served) -> dict[str, int]:
    """Rows of each table."""
    names = [name for name in inspect(there.ex.engine).get_table_names() if name != "alembic_version"]
    with there.ex.engine.connect() as conn:
        return {name: conn.execute(text(f'SELECT COUNT(*) FROM "{name}"')).scalar_one() for name in sorted(names)}


def audit_of(there: Served, token: str, head: int | None = None) -> dict[str, Any]:
    """Size and Merkle root (RFC 6962) of the log up to entry `head`, recomputed from payloads and salts."""
    leaves: list[bytes] = []
    after, end = 0, head
    while True:
        walk = f"/audit/entries?after={after}&limit=10000" + (f"&head={end}" if end is not None else "")
        page = ask(there, walk, token)
        for _, payload, salt, commitment in page["entries"]:
            assert hashlib.sha256(bytes.fromhex(salt) + payload.encode()).hexdigest() == commitment
            leaves.append(bytes.fromhex(commitment))
        after, end = page["next"], page["head"]
        if after is None:
            return {"head": end, "entries": len(leaves), "root": _root(leaves).hex()}


def _root(leaves: Sequence[bytes]) -> bytes:
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    half = 1 << ((len(leaves) - 1).bit_length() - 1)
    return hashlib.sha256(b"\x01" + _root(leaves[:half]) + _root(leaves[half:])).digest()


def ask(there: Served, path: str, token: str = "", body: Any = None) -> Any:
    """The answer to GET `path`, or to POST with a body."""
    visitor = {} if token else {"Authorization": ""}
    answer = there.call("GET" if body is None else "POST", path, body, token=token, **visitor)
    assert answer.status == 200, (path, answer.status, answer.text[:500])
    return answer.json


def versions_of(there: Served, facts: Facts) -> dict[str, Any]:
    """Every version as its owner is answered: state, layers with their facts, findings."""
    found = {}
    for ref in facts["versions"]:
        org, slug, number = ref.split("/")
        token = facts["tokens"][facts["speaks_for"][org]]
        found[ref] = ask(there, f"/datasets/{slug}/versions/{number}?org={org}", token)
    return found


def changes_of(there: Served, facts: Facts) -> dict[str, Any]:
    """Published versions: what each changed against the one before."""
    found = {}
    for ref in facts["changes"]:
        org, slug, number = ref.split("/")
        token = facts["tokens"][facts["speaks_for"][org]]
        found[ref] = ask(there, f"/datasets/{slug}/versions/{number}/changes?org={org}", token)
    return found


def previews_of(there: Served, facts: Facts) -> dict[str, Any]:
    """What may be looked at, as the owner and as a buyer are answered; of what has bytes, the sha256 of the bytes that came."""
    found = {}
    for key in facts["previews"]:
        email, _, ref = key.partition(" ")
        org, slug, number = ref.split("/")
        token = facts["tokens"][email]
        report = ask(there, f"/datasets/{org}/{slug}/previews?version={number}", token)
        found[key] = report["layers"]
    return found


def as_it_was(answer: dict[str, Any]) -> dict[str, Any]:
    """A quote or order without the members that came after mapex 0.1: what is to be known of its layers."""
    return {name: value for name, value in answer.items() if name != "layers"}


def progress_as_it_was(answer: dict[str, Any]) -> dict[str, Any]:
    """What mapex 0.1 called read were the addresses that it gave out; whether their files were read, nobody wrote down."""
    known = (None, None) if answer["grants"] else (0, 0)
    assert (answer.pop("read"), answer.pop("reads")) == known and answer["first_read_at"] is answer["last_read_at"] is None
    names = {"granted": "read", "grants": "reads", "first_granted_at": "first_read_at", "last_granted_at": "last_read_at"}
    return answer | {old: answer.pop(new) for new, old in names.items()}


def orders_of(there: Served, facts: Facts) -> dict[str, Any]:
    """Every order as its buyer is answered: lines, files, who may download, newer tiles, progress."""
    found = {}
    for order, report in facts["orders"].items():
        token = facts["tokens"][facts["speaks_for"][report["org"]]]
        found[order] = {
            "org": report["org"],
            "order": as_it_was(ask(there, f"/orders/{order}", token)),
            "tiles": ask(there, f"/orders/{order}/tiles", token)["tiles"],
            "persons": ask(there, f"/orders/{order}/persons", token)["persons"],
            "updates": ask(there, f"/orders/{order}/updates", token),
            "progress": progress_as_it_was(ask(there, f"/orders/{order}/progress", token)),
        }
    return found


def quotes_of(there: Served, facts: Facts) -> dict[str, Any]:
    """Every quote as its holder is answered."""
    found = {}
    for quote, report in facts["quotes"].items():
        token = facts["tokens"][facts["speaks_for"][report["org"]]]
        found[quote] = {"org": report["org"], "quote": as_it_was(ask(there, f"/quotes/{quote}", token))}
    return found


def per_firm(there: Served, facts: Facts) -> dict[str, dict[str, Any]]:
    """What each firm is answered of its own affairs, by path."""
    paths = ("/wallet?limit=1000", "/sales", "/demand", "/areas", "/permits", "/invitations", "/tokens")
    found = {
        org: {path: ask(there, path, facts["tokens"][email]) for path in paths}
        for org, email in facts["speaks_for"].items()
        if email not in facts["of_no_firm"]
    }
    for org, answers in found.items():
        for entry, before in zip(answers[paths[0]]["entries"], facts["firms"][org][paths[0]]["entries"], strict=True):
            # mapex 0.1 told sellers how many lines an order had, those of others too; what one paid oneself is told as before.
            if before["amount"] > 0 and before["memo"].startswith("order of "):
                assert entry["memo"] == ""
                entry["memo"] = before["memo"]
    return found


def by_operator(there: Served, facts: Facts) -> dict[str, Any]:
    """What the operator is answered: everything that is nobody's own."""
    token = facts["tokens"][facts["speaks_for"]["operator"]]
    return {path: ask(there, path, token) for path in ("/permits", "/persons", "/organisations", "/invitations")}


def market_of(there: Served, facts: Facts) -> dict[str, Any]:
    """What a search and estimates answer: a visitor, a buyer who owns a part, a buyer under a permit; and an appraisal."""
    region = facts["region"]
    found = {}
    for who in ("", *facts["buyers"]):
        token = facts["tokens"][who] if who else ""
        found[f"search {who}"] = ask(there, "/search", token, {"region": region})
        for purpose in ("research", "route_planning"):
            found[f"estimate {who} {purpose}"] = everything(there, token, {"region": region, "purpose": purpose})
    for ref, rates in facts["appraised"].items():
        org, slug, number = ref.split("/")
        path = f"/datasets/{slug}/versions/{number}/appraisal"
        found[f"appraisal {ref}"] = ask(there, path, facts["tokens"][facts["speaks_for"][org]], {"rates": rates})
    return found


def everything(there: Served, token: str, asked: dict[str, Any]) -> Any:
    """An estimate of all that is on offer, as 0.1 answered: without a choice, one of each kind on the same ground is priced now."""
    offered = [one["offer"] for one in ask(there, "/estimates", token, asked)["offers"]]
    return ask(there, "/estimates", token, {**asked, "choice": {"take": offered}})


def downloads_of(there: Served, facts: Facts, folder: Path) -> dict[str, Any]:
    """By order and member of the buyer: sha256 of every file that `mapex get` brings, or the code with which it is refused."""
    found: dict[str, Any] = {}
    for order, report in facts["orders"].items():
        for email in facts["members"][report["org"]]:
            to = folder / order / email
            try:
                got = there.running.cli("get", order, "--to", to, token=facts["tokens"][email])
            except Failed as refused:
                found.setdefault(order, {})[email] = {"refused": refused.error["code"]}
                continue
            files = {p.relative_to(to).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(to.rglob("*")) if p.is_file()}
            manifest = json.loads((to / "_manifest.json").read_text(encoding="utf-8"))
            del files["_manifest.json"]
            assert {one["path"]: files.pop(one["path"]) for one in manifest["enclosures"]} == {
                one["path"]: one["sha256"] for one in manifest["enclosures"]
            }
            assert got["files"] == got["verified"] == got["fetched"] == len(files)
            assert {file["path"]: file["sha256"] for file in manifest["files"]} == files
            found.setdefault(order, {})[email] = files
    return found


def lost(kept: Any, answered: Any, place: str = "") -> list[str]:
    """Where an answer is not what mapex 0.1 answered; what the present version answers beside it is no loss."""
    if isinstance(kept, dict) and isinstance(answered, dict):
        gone = [f"{place}/{key} is gone" for key in kept.keys() - answered.keys()]
        return gone + [one for key in kept.keys() & answered.keys() for one in lost(kept[key], answered[key], f"{place}/{key}")]
    if isinstance(kept, list) and isinstance(answered, list) and len(kept) == len(answered):
        return [one for at, (a, b) in enumerate(zip(kept, answered, strict=True)) for one in lost(a, b, f"{place}/{at}")]
    return [] if kept == answered else [f"{place}: {kept!r} is now {answered!r}"]


def test_a_field_more_is_no_loss_and_anything_else_is() -> None:
    kept = {"a": [{"b": 1}], "c": None}
    assert lost(kept, {"a": [{"b": 1, "new": 2}], "c": None, "d": []}) == []
    for other in ({"a": [{"b": 1}]}, {"a": [], "c": None}, {"a": [{"b": 2}], "c": None}, {"a": {"b": 1}, "c": None}):
        assert len(lost(kept, other)) == 1


# ---- the rules -----------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def facts() -> Facts:
    return facts_in()


class Opened:
    """The kept exchange, opened by the present version, which has migrated it. Asked in the order of the tests: each leaves more log."""

    def __init__(self, there: Served, before: str, url: str) -> None:
        self.there, self.before, self.rows = there, before, rows_of(there)
        environ = {**there.running.environ, **({"MAPEX_DATABASE_URL": url} if url else {})}
        self.machine = Running(there.running.folder, environ, there.running.url)
        """The command line on the machine of the exchange."""


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def opened(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, facts: Facts) -> Iterator[Opened]:
    server: Postgres | None = request.getfixturevalue("postgres") if request.param == "postgresql" else None
    folder = tmp_path_factory.mktemp("kept") / "exchange"
    url = restore(folder, server)
    before = revision_before(folder, url)
    with served(folder, clock=Clock(facts["now_ns"]), database_url=url) as there:
        yield Opened(there, before, url)
    if server:
        server.drop_database(url)


def test_opening_migrates_the_kept_exchange_to_the_newest_schema(opened: Opened, facts: Facts) -> None:
    assert opened.before == facts["revision"]
    assert opening.revision(opened.there.ex.engine) == HEAD


def test_migrating_keeps_every_row_of_every_table(opened: Opened, facts: Facts) -> None:
    """But for the sums of what is owned, which are made anew of the entitlements, for each purpose; fsck compares them."""
    kept = {name: count for name, count in facts["rows"].items() if name != "owned_sum"}
    assert {name: opened.rows.get(name) for name in kept} == kept
    assert opened.rows["owned_sum"] > 0


def test_each_line_of_an_old_order_states_the_attribution_under_which_it_was_ordered(opened: Opened, facts: Facts) -> None:
    for order, report in facts["orders"].items():
        answer = ask(opened.there, f"/orders/{order}", facts["tokens"][facts["speaks_for"][report["org"]]])
        stated = {(tile["org"], tile["dataset"]): (tile["licence"], tile["attribution"]) for tile in report["tiles"]}
        for line in answer["lines"]:
            terms_of = stated[line["org"], line["dataset"]]
            assert (line["licence"], line["attribution"], line["terms_sha256"]) == (*terms_of, terms.digest(*terms_of))
            assert (line["updates"], line["free_tiles"]) == ("paid", 0)


def test_migrating_leaves_nothing_for_fsck_to_complain_about(opened: Opened) -> None:
    report = opened.machine.cli("fsck", "--deep")
    assert report["ok"], [check for check in report["checks"] if not check["ok"]]


def test_the_log_is_as_long_as_it_was_and_has_the_same_root(opened: Opened, facts: Facts) -> None:
    auditor = facts["tokens"][facts["speaks_for"]["auditor"]]
    assert audit_of(opened.there, auditor, facts["audit"]["head"]) == facts["audit"]


def test_every_version_is_described_as_before(opened: Opened, facts: Facts) -> None:
    """In 0.1, a version whose conversion was cancelled was called failed. Now it is called what it is."""
    changed = "/saebom/pangyo-jobs/2/state: 'failed' is now 'cancelled'"
    assert lost(facts["versions"], versions_of(opened.there, facts)) == [changed]


def test_every_published_version_changes_what_it_changed_before(opened: Opened, facts: Facts) -> None:
    assert lost(facts["changes"], changes_of(opened.there, facts)) == []


def test_the_manifest_of_every_version_is_the_one_that_was_hashed(opened: Opened, facts: Facts) -> None:
    for ref, version in facts["versions"].items():
        if version["manifest_sha256"]:
            org, slug, number = ref.split("/")
            token = facts["tokens"][facts["speaks_for"][org]]
            manifest = opened.there.call("GET", f"/datasets/{slug}/versions/{number}/manifest?org={org}", token=token).text
            assert hashlib.sha256(manifest.encode()).hexdigest() == version["manifest_sha256"], ref


def test_previews_show_what_they_showed_and_hide_original_footage(opened: Opened, facts: Facts) -> None:
    assert lost(facts["previews"], previews_of(opened.there, facts)) == []


def test_every_order_has_the_lines_files_and_named_users_that_it_had(opened: Opened, facts: Facts) -> None:
    """In 0.1, what a firm held for one purpose was no news for another one: an order for route planning did not learn of newer tiles that
    were bought for safety validation. Now it does."""
    answered = orders_of(opened.there, facts)
    differ = [order for order in facts["orders"] if lost(facts["orders"][order], answered[order])]
    assert differ == ["ord_chf60rjw9n1zrpbmwzz9"]
    was, now = facts["orders"][differ[0]], answered[differ[0]]
    assert lost({**was, "updates": None}, {**now, "updates": None}) == []
    assert (was["updates"]["changed"], now["updates"]["changed"]) == (0, 2)


def test_every_quote_states_what_it_stated(opened: Opened, facts: Facts) -> None:
    assert lost(facts["quotes"], quotes_of(opened.there, facts)) == []


def test_what_is_known_of_the_layers_of_old_orders_is_stated(opened: Opened, facts: Facts) -> None:
    for order, report in facts["orders"].items():
        token = facts["tokens"][facts["speaks_for"][report["org"]]]
        answer = ask(opened.there, f"/orders/{order}", token)
        named = {(line["org"], line["dataset"], line["version"], line["layer"]) for line in answer["lines"]}
        assert {(one["org"], one["dataset"], one["version"], one["layer"]) for one in answer["layers"]} == named
        assert all(one["height_datum"] and one["crs"] and one["licence"] for one in answer["layers"])


def test_orders_are_listed_and_found_by_dataset_and_purpose(opened: Opened, facts: Facts) -> None:
    for org in facts["members"]:
        token = facts["tokens"][facts["speaks_for"][org]]
        own = {order: report["order"] for order, report in facts["orders"].items() if report["org"] == org}
        assert lost(list(reversed(own.values())), ask(opened.there, "/orders?limit=1000", token)["orders"]) == []
        for dataset in sorted({line["dataset"] for order in own.values() for line in order["lines"]}):
            expected = {order for order, report in own.items() if any(line["dataset"] == dataset for line in report["lines"])}
            assert {one["id"] for one in ask(opened.there, f"/orders?dataset={dataset}", token)["orders"]} == expected
        for purpose in sorted({order["purpose"] for order in own.values()}):
            expected = {order for order, report in own.items() if report["purpose"] == purpose}
            assert {one["id"] for one in ask(opened.there, f"/orders?purpose={purpose}", token)["orders"]} == expected


def test_each_firm_finds_its_wallet_sales_areas_and_permits_as_they_were(opened: Opened, facts: Facts) -> None:
    assert lost(facts["firms"], per_firm(opened.there, facts)) == []


def test_the_operator_finds_permits_persons_and_invitations_as_they_were(opened: Opened, facts: Facts) -> None:
    assert lost(facts["operator"], by_operator(opened.there, facts)) == []


def test_prices_are_what_they_were_but_for_what_is_held_for_narrower_uses_only(opened: Opened, facts: Facts) -> None:
    """In 0.1, what was bought for one purpose and licence counted as owned for every other."""
    was, now = without_sentences(facts["market"]), without_sentences(market_of(opened.there, facts))
    firms = {email: org for org, emails in facts["members"].items() for email in emails}
    for asked in was:
        kind, _, who = asked.partition(" ")
        buyer, _, purpose = who.partition(" ")
        if kind != "estimate" or not buyer:
            assert lost(was[asked], now[asked]) == []
            continue
        held = [tile for report in facts["orders"].values() if report["org"] == firms[buyer] for tile in report["tiles"]]
        for before, after in zip(was[asked]["lines"], now[asked]["lines"], strict=True):
            of_layer = [tile for tile in held if all(tile[name] == before[name] for name in ("org", "dataset", "layer"))]
            counting = {terms.covers((tile["purpose"], tile["licence"]), (purpose, before["licence"])) for tile in of_layer}
            if counting <= {True}:
                assert lost(before, after) == []
            elif counting == {False}:
                assert after["owned_tiles"] == 0
            assert after["owned_tiles"] <= before["owned_tiles"] and after["amount"] >= before["amount"]
            assert {name for name in before if before[name] != after[name]} <= {"owned_tiles", "quantity", "quantity_small", "amount"}


def without_sentences(answers: dict[str, Any]) -> dict[str, Any]:
    """The answers without the sentence beside the code of each refusal: it may be worded better than it was."""
    refusals = {key: [{**one, "message": ""} for one in answer.get("refusals", [])] for key, answer in answers.items()}
    return {key: {**answer, "refusals": refusals[key]} for key, answer in answers.items()}


def test_each_order_is_downloaded_byte_for_byte_or_refused_for_the_same_reason(opened: Opened, facts: Facts, tmp_path: Path) -> None:
    assert downloads_of(opened.there, facts, tmp_path) == facts["downloads"]


def test_the_open_quote_that_took_tiles_for_owned_which_are_not_is_held_anew_and_bought(
    opened: Opened, facts: Facts, tmp_path: Path
) -> None:
    """It was for training and cost almost nothing, since the same tiles were held for route planning and safety validation."""
    quote, email = facts["open_quote"]["id"], facts["open_quote"]["person"]
    token = facts["tokens"][email]
    with pytest.raises(Failed) as refused:
        opened.there.running.cli("buy", quote, token=token)
    assert refused.value.error["code"] == "quote.price_changed"
    expected = refused.value.error["details"]["estimate"]["total"]
    assert expected > facts["quotes"][quote]["quote"]["total"] > 0
    anew = opened.there.call("POST", f"/quotes/{quote}/renew", {}, token=token).json
    assert anew["total"] == expected
    opened.machine.cli("org", "credit", facts["quotes"][quote]["org"], str(expected), "--key", "for the quote")
    order = opened.there.running.cli("buy", anew["id"], token=token)
    assert order["total"] == expected
    assert opened.there.running.cli("get", order["id"], "--to", tmp_path / "new", token=token)["verified"] > 0
    assert opened.machine.cli("fsck", "--deep")["ok"]


def test_the_job_that_waited_is_done_and_the_old_draft_is_published(opened: Opened, facts: Facts) -> None:
    seller, other = (facts["tokens"][facts["speaks_for"][org]] for org in ("saebom", "hanbit"))
    path = f"/datasets/{facts['waiting']}/versions/1"
    assert ask(opened.there, path, seller)["state"] == "ingesting"
    work(opened.there.ex)
    assert ask(opened.there, path, seller)["state"] == "draft"
    dataset, version = facts["draft"]["dataset"], facts["draft"]["version"]
    ask(opened.there, f"/datasets/{dataset}/versions/{version}/classes", other, {"classes": {"*": "open"}})
    words = ("publish", dataset, "--version", str(version), "--rate", "lane_km=1", "--licence", "commercial")
    assert opened.there.running.cli(*words, token=other)["state"] == "live"
    assert ask(opened.there, f"/datasets/{dataset}/versions/{version}", other)["state"] == "published"
    assert opened.machine.cli("fsck", "--deep")["ok"]


def test_a_month_of_old_orders_is_settled_without_a_fee(opened: Opened) -> None:
    """The last test here, for it lets the month end."""
    ex = opened.there.ex
    month = kst_month(ex.now())
    opened.there.clock.at_ns = month_end_ns(month)
    found = settlements.close(ex, None, month)
    with ex.engine.connect() as conn:
        assert sum(one.sales for one in found) == conn.execute(text("SELECT SUM(subtotal) FROM purchase_order")).scalar()
    assert {one.fee for one in found} == {0} and all(one.vat == vat_of(one.sales) for one in found)
    assert books.sheet(ex, None).agrees and opened.machine.cli("fsck")["ok"]

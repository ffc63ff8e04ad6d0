"""Somebody has the whole database, not the secrets: `mapex fsck` names each manipulation, on both databases.

Each begins from the same exchange, whose log a worker has signed once, with the guards of the tables switched off.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, text

from mapex.audit import checkpoints
from mapex.audit.merkle import Tree
from mapex.errors import Invalid
from mapex.exchange import Exchange
from mapex.operation import fsck
from mapex.operation.replay.roots import from_file
from tests.support.exchange import a_person, an_exchange, settings
from tests.support.servers import Postgres
from tests.support.tampering import LOG_COLUMNS, broken, governed, put_payload, rewrite, without_guards

Tampering = tuple[str, str, "str | tuple[str, ...] | Callable[[Connection], object]"]
"""The check that finds it, words of what it names, and what is done: SQL, several, or a function."""


def swap(conn: Connection) -> None:
    """Two entries change places, whole but for their numbers."""
    query = text(f"SELECT seq, {LOG_COLUMNS} FROM audit_event WHERE action = 'quote.made' ORDER BY seq LIMIT 2")
    first, second = conn.execute(query).mappings().all()
    sets = ", ".join(f"{name} = :{name}" for name in LOG_COLUMNS.split(", "))
    for at, row in ((first["seq"], second), (second["seq"], first)):
        conn.execute(text(f"UPDATE audit_event SET {sets} WHERE seq = :at"), {**row, "at": at})


def put_in_between(conn: Connection) -> None:
    """An entry is put in, and those behind it get other numbers."""
    for seq in conn.execute(text("SELECT seq FROM audit_event WHERE seq > 4 ORDER BY seq DESC")).scalars().all():
        conn.execute(text("UPDATE audit_event SET seq = seq + 1 WHERE seq = :seq"), {"seq": seq})
    one = f"SELECT 5, {LOG_COLUMNS} FROM audit_event WHERE action = 'session.opened' ORDER BY seq LIMIT 1"
    conn.execute(text(f"INSERT INTO audit_event (seq, {LOG_COLUMNS}) {one}"))


def add_an_entry(conn: Connection) -> None:
    """The log says at its end that somebody is an operator, whom nobody made one."""
    last = f"SELECT seq + 1, {LOG_COLUMNS} FROM audit_event ORDER BY seq DESC LIMIT 1"
    conn.execute(text(f"INSERT INTO audit_event (seq, {LOG_COLUMNS}) {last}"))
    seq, payload = conn.execute(text("SELECT seq, payload FROM audit_event ORDER BY seq DESC LIMIT 1")).one()
    said = {"action": "person.added", "person": "system", "role": "operator", "subject": "ghost@audit.example"}
    put_payload(conn, seq, {"v": 1, "at": json.loads(payload)["at"], **said})


def lower_the_price(conn: Connection) -> None:
    """An order gets cheaper, with its payment, the balances and the bill."""
    order_id = conn.execute(text("SELECT id FROM purchase_order WHERE total > 1000 ORDER BY total LIMIT 1")).scalar_one()
    seller = "account_id IN (SELECT a.id FROM ledger_account a JOIN organisation g ON g.id = a.org_id WHERE g.slug = 'hanbit')"
    buyer = "account_id IN (SELECT a.id FROM ledger_account a JOIN organisation g ON g.id = a.org_id WHERE g.slug = 'dongil')"
    of_order = "transaction_id IN (SELECT id FROM ledger_transaction WHERE order_id = :order)"
    for statement in (
        "UPDATE purchase_order SET total = total - 1000, subtotal = subtotal - 1000 WHERE id = :order",
        "UPDATE order_line SET amount = amount - 1000 WHERE order_id = :order AND ordinal = 0",
        f"UPDATE ledger_entry SET amount = amount - 1000 WHERE {seller} AND {of_order}",
        f"UPDATE ledger_entry SET amount = amount + 1000 WHERE {buyer} AND {of_order}",
        "UPDATE ledger_account SET balance = (SELECT COALESCE(SUM(amount), 0) FROM ledger_entry e WHERE e.account_id = ledger_account.id)",
    ):
        values = {"order": order_id} if ":order" in statement else {}
        assert conn.execute(text(statement), values).rowcount, statement


def drop_the_check(conn: Connection) -> None:
    """A wallet may be negative from now on."""
    if conn.dialect.name != "sqlite":
        conn.execute(text("ALTER TABLE ledger_account DROP CONSTRAINT ck_ledger_account_wallet_not_negative"))
        return
    rule = "CONSTRAINT ck_ledger_account_wallet_not_negative CHECK (kind <> 'wallet' OR balance >= 0)"
    conn.execute(text("PRAGMA writable_schema = 1"))
    sql = conn.execute(text("SELECT sql FROM sqlite_master WHERE name = 'ledger_account'")).scalar_one()
    assert rule in sql
    changed = sql.replace(rule, "CHECK (true)")
    conn.execute(text("UPDATE sqlite_master SET sql = :sql WHERE name = 'ledger_account'"), {"sql": changed})


FORGED_CREDIT = (
    "INSERT INTO ledger_transaction (id, kind, key, memo, created_ns) VALUES ('forged', 'credit', 'credit:slip-9', '', 1)",
    "INSERT INTO ledger_entry (id, transaction_id, account_id, amount) "
    "SELECT 'f1', 'forged', a.id, 1000000000 FROM ledger_account a JOIN organisation g ON g.id = a.org_id WHERE g.slug = 'dongil'",
    "INSERT INTO ledger_entry (id, transaction_id, account_id, amount) VALUES ('f2', 'forged', 'acc_bank', -1000000000)",
    "UPDATE ledger_account SET balance = (SELECT COALESCE(SUM(amount), 0) FROM ledger_entry e WHERE e.account_id = ledger_account.id)",
)

ENTITLEMENT = (
    "INSERT INTO entitlement (id, org_id, order_id, offer_id, dataset_id, layer_id, layer_name, cell, part, sha256, purpose, paid, state) "
    "SELECT 'ent_more', e.org_id, e.order_id, e.offer_id, e.dataset_id, e.layer_id, e.layer_name, e.cell, 7, e.sha256, e.purpose, 0, "
    "'active' FROM entitlement e ORDER BY e.id LIMIT 1"
)

GRANT = (
    "INSERT INTO access_grant (id, org_id, person_id, entitlement_id, object_key, purpose, permit_id, issued_ns, expires_ns) "
    "SELECT 'gra_ghost', org_id, person_id, entitlement_id, object_key, purpose, permit_id, issued_ns, expires_ns FROM access_grant LIMIT 1"
)

AUDITOR = "(SELECT id FROM person WHERE email = 'auditor@audit.example')"

HALF = "WHERE id IN (SELECT MIN(id) FROM access_grant)"

MANIPULATIONS: Mapping[str, Tampering] = {
    **{
        f"the column {name} blanked": ("I8", f"its column {name} is ''", f"UPDATE audit_event SET {name} = '' WHERE {name} <> ''")
        for name in ("action", "person", "org", "owner", "dataset", "layer", "tile", "purpose", "permit")
    },
    "a time changed": ("I8", "its column at_ns", "UPDATE audit_event SET at_ns = at_ns - 3600000000000 WHERE action = 'order.placed'"),
    "a payload changed": (
        "I8",
        "is not what was committed to",
        "UPDATE audit_event SET payload = REPLACE(payload, 'research', 'training') WHERE action = 'order.placed'",
    ),
    "a payload that is no JSON": (
        "I8",
        "is not what was committed to",
        "UPDATE audit_event SET payload = '{' WHERE action = 'order.placed'",
    ),
    "a payload and its leaf changed": (
        "I8",
        "are not those that were signed: the checkpoint of",
        lambda conn: rewrite(conn, "session.opened", lambda said: said.update(person="second@dongil.example")),
    ),
    "a salt removed": ("I8", "is not what was committed to", "UPDATE audit_event SET salt = '' WHERE action = 'order.placed'"),
    "a commitment changed": (
        "I8",
        "is not what was committed to",
        "UPDATE audit_event SET commitment = salt WHERE action = 'session.opened'",
    ),
    "the last entry deleted": (
        "I8",
        "1 of the entries up to number",
        "DELETE FROM audit_event WHERE seq = (SELECT m FROM (SELECT MAX(seq) AS m FROM audit_event) x)",
    ),
    "an entry in the middle deleted": ("I8", "were removed (entry", "DELETE FROM audit_event WHERE action = 'session.opened'"),
    "an entry put in between": ("I8", "are not those that were signed: the checkpoint of", put_in_between),
    "an entry added that made nothing": ("replay", "person ghost@audit.example is in the log and not there", add_an_entry),
    "two entries exchanged": ("I8", "are not those that were signed: the checkpoint of", swap),
    "an entry replaced": (
        "I8",
        "is not what was committed to",
        "UPDATE audit_event SET payload = (SELECT payload FROM audit_event WHERE action = 'audit.read') WHERE action = 'session.opened'",
    ),
    "a checkpoint replaced": ("I8", "is not what was signed", "UPDATE log_checkpoint SET root = signature"),
    "a checkpoint for fewer entries": ("I8", "is not what was signed", "UPDATE log_checkpoint SET size = size - 1, seq = seq - 1"),
    "a checkpoint removed": ("I8", "1 checkpoints were kept, and 0 are there", "DELETE FROM log_checkpoint"),
    "the head of the log set back": (
        "I8",
        "put in: the head of the log is",
        "UPDATE log_head SET newest = newest - 1 WHERE name = 'audit_event'",
    ),
    "the head of the log removed": ("I8", "the head of the log is gone", "DELETE FROM log_head WHERE name = 'audit_event'"),
    "the count of checkpoints removed": ("I8", "the count of checkpoints is gone", "DELETE FROM log_head WHERE name = 'log_checkpoint'"),
    "gaps that were never there": (
        "I8",
        "entries up to number 5 were put in",
        "UPDATE log_head SET gaps = 1, gaps_until = 5 WHERE name = 'audit_event'",
    ),
    "a forged, balanced credit": ("replay", "the credit forged is there and no entry of the log made it", FORGED_CREDIT),
    "a credit of another amount": (
        "replay",
        "ledger: the credit",
        (
            "UPDATE ledger_entry SET amount = amount * 9 WHERE transaction_id IN (SELECT id FROM ledger_transaction WHERE kind = 'credit')",
            "UPDATE ledger_account SET balance = "
            "(SELECT COALESCE(SUM(amount), 0) FROM ledger_entry e WHERE e.account_id = ledger_account.id)",
        ),
    ),
    "a balance changed": ("I3", "its entries sum to", "UPDATE ledger_account SET balance = balance + 5 WHERE kind = 'wallet'"),
    "a wallet that belongs to another": (
        "replay",
        "ledger: the credit",
        "UPDATE ledger_account SET org_id = (SELECT id FROM organisation WHERE slug = 'stopped') "
        "WHERE org_id = (SELECT id FROM organisation WHERE slug = 'dongil')",
    ),
    "an order's price lowered with its payment": ("replay", "total is", lower_the_price),
    "an order of another purpose": ("replay", "purpose is 'training'", "UPDATE purchase_order SET purpose = 'training'"),
    "an entitlement invented": ("replay", ": tiles is", ENTITLEMENT),
    "an entitlement of another tile": (
        "replay",
        ": tiles is",
        "UPDATE entitlement SET cell = cell + 1 WHERE id = (SELECT MIN(id) FROM entitlement)",
    ),
    "an entitlement of another buyer": (
        "I4",
        "is not of its order's buyer",
        "UPDATE entitlement SET org_id = (SELECT id FROM organisation WHERE slug = 'stopped')",
    ),
    "a permit's end prolonged": (
        "replay",
        "permit P-1: end is",
        "UPDATE permit SET valid_to_ns = valid_to_ns + 86400000000000 WHERE number = 'P-1'",
    ),
    "a permit's area widened": (
        "replay",
        "permit P-1: area is",
        "UPDATE permit SET area = REPLACE(area, '120', '100') WHERE number = 'P-1'",
    ),
    "a permit for more classes": ("replay", "permit P-1: classes is", "UPDATE permit SET classes = 'all'"),
    "a suspended permit resumed": ("replay", "permit P-2: state is 'active'", "UPDATE permit SET state = 'active'"),
    "a recipient added to a permit": (
        "replay",
        "permit P-1: recipients is ['stopped']",
        "INSERT INTO permit_recipient (permit_id, org_id, ordinal) SELECT p.id, o.id, 0 FROM permit p, organisation o "
        "WHERE p.number = 'P-1' AND o.slug = 'stopped'",
    ),
    "a class lowered": ("replay", "class is 'open', by the manifest 'original'", "UPDATE layer SET handling_class = 'open'"),
    "a class lowered with its manifest": (
        "replay",
        "is not that of its sha256",
        "UPDATE dataset_version SET manifest = REPLACE(manifest, 'original', 'open')",
    ),
    "a tile exchanged": ("replay", "has other tiles than its manifest", "UPDATE tile SET sha256 = REPLACE(sha256, 'a', 'b')"),
    "a manifest of another version": (
        "replay",
        "manifest is",
        "UPDATE dataset_version SET manifest = '{}', manifest_sha256 = '44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a'",
    ),
    "a withdrawn version back on sale": (
        "replay",
        "state is 'published', by the log 'withdrawn'",
        "UPDATE dataset_version SET state = 'published' WHERE state = 'withdrawn'",
    ),
    "a price changed": ("replay", "rates is", "UPDATE offer SET rate_card = REPLACE(rate_card, '5', '1') WHERE state = 'live'"),
    "a credit that no offer gave": ("replay", "credits_earlier is", "UPDATE offer SET credits_earlier = (1 = 1) WHERE state = 'live'"),
    "a licence widened": ("replay", "licence is", "UPDATE offer SET licence = 'commercial'"),
    "a replaced offer back": (
        "replay",
        "state is 'live', by the log 'replaced'",
        "UPDATE offer SET state = 'live' WHERE state = 'replaced'",
    ),
    "a role raised": (
        "replay",
        "role is 'operator', by the log 'member'",
        "UPDATE person SET role = 'operator', org_id = NULL WHERE role = 'member'",
    ),
    "a person of another firm": (
        "replay",
        "organisation is 'hanbit', by the log 'dongil'",
        "UPDATE person SET org_id = (SELECT id FROM organisation WHERE slug = 'hanbit') WHERE role = 'member'",
    ),
    "a person invented": (
        "replay",
        "person ghost@audit.example is there and no entry of the log made it",
        "INSERT INTO person (id, email, name, role, state, session_key, language, created_ns) "
        "VALUES ('per_ghost', 'ghost@audit.example', 'Ghost', 'operator', 'active', 'x', 'ko', 1)",
    ),
    "an address that is proven no more": ("replay", "proven is False, by the log True", "UPDATE person SET proven_ns = NULL"),
    "a domain invented": (
        "replay",
        "domain ghost.example is there and no entry of the log made it",
        "INSERT INTO org_domain (domain, org_id, created_ns) SELECT 'ghost.example', id, 1 FROM organisation WHERE slug = 'hanbit'",
    ),
    "a domain of another firm": (
        "replay",
        "domain dongil.example: organisation is 'hanbit', by the log 'dongil'",
        "UPDATE org_domain SET org_id = (SELECT id FROM organisation WHERE slug = 'hanbit')",
    ),
    "a suspended firm resumed": ("replay", "organisation stopped: state is 'active'", "UPDATE organisation SET state = 'active'"),
    "an ended address that opens again": (
        "replay",
        "signer is 1, by the log 2",
        "UPDATE organisation SET signer = 1 WHERE slug = 'stopped'",
    ),
    "an address of who was invited that is proven no more": (
        "replay",
        "person came@dongil.example: proven is False, by the log True",
        "UPDATE person SET proven_ns = NULL WHERE email = 'came@dongil.example'",
    ),
    "facts of a layer changed": (
        "replay",
        "states other facts than its manifest",
        """UPDATE layer SET about = '{"crs": "EPSG:5186"}' WHERE name = 'hdmap'""",
    ),
    "a tile of another box": ("replay", "has tiles of other boxes than its manifest", "UPDATE tile SET east = east + 1"),
    "an entitlement marked as paid that was not": (
        "I4",
        "are marked as paid",
        "UPDATE entitlement SET paid = 1 - paid WHERE id = (SELECT MIN(id) FROM entitlement)",
    ),
    "an entitlement under another permit": (
        "I4",
        "name another permit than its quote",
        "UPDATE entitlement SET permit_id = (SELECT id FROM permit WHERE number = 'P-2') WHERE id = (SELECT MIN(id) FROM entitlement)",
    ),
    "a token widened": ("replay", "scopes is '*'", "UPDATE api_token SET scopes = '*'"),
    "a token's life prolonged": ("replay", "end is", "UPDATE api_token SET expires_ns = expires_ns + 86400000000000"),
    "a revoked token back": ("replay", "revoked is False, by the log True", "UPDATE api_token SET revoked_ns = NULL"),
    "an invitation of another role": ("replay", "role is 'operator'", "UPDATE invitation SET role = 'operator'"),
    "a named user added": (
        "replay",
        "the list of named users of order",
        "INSERT INTO order_person (order_id, person_id) SELECT o.order_id, p.id FROM order_person o, person p "
        "WHERE p.email = 'second@dongil.example'",
    ),
    "a grant deleted": ("replay", "is in the log and not there", f"DELETE FROM access_grant {HALF}"),
    "a grant invented": ("replay", "grant gra_ghost is there and no entry of the log made it", GRANT),
    "a grant under no permit": ("replay", "permit is ''", "UPDATE access_grant SET permit_id = NULL"),
    "a quote of another total": ("replay", "total is", "UPDATE quote SET total = total + 1"),
    "a session invented": (
        "replay",
        "session ses_ghost is there and no entry of the log made it",
        "INSERT INTO session (id, person_id, hash, created_ns, seen_ns, ends_ns, proven_ns, network, agent, factors) "
        f"SELECT 'ses_ghost', {AUDITOR}, 'h', created_ns, seen_ns, ends_ns, proven_ns, network, agent, factors FROM session LIMIT 1",
    ),
    "a session of another person": ("replay", "person is 'auditor@audit.example'", f"UPDATE session SET person_id = {AUDITOR}"),
    "a session that is over opened again": (
        "replay",
        "is open, and was ended by the log at",
        "UPDATE session SET ended_ns = NULL WHERE reason = 'closed'",
    ),
    "a session that a new factor ended opened again": (
        "replay",
        "is open, and was ended by the log at",
        "UPDATE session SET ended_ns = NULL WHERE reason = 'factors'",
    ),
    "a session proven later": ("replay", ": proven is", "UPDATE session SET proven_ns = proven_ns + 3600000000000"),
    "a session prolonged": ("replay", ": end is", "UPDATE session SET ends_ns = ends_ns + 86400000000000"),
    "a session of more factors": ("replay", "factors is ['password', 'totp']", "UPDATE session SET factors = 'password totp'"),
    "a second factor invented": (
        "replay",
        "second factor fac_ghost is there and no entry of the log made it",
        "INSERT INTO second_factor (id, person_id, kind, name, secret, credential, credential_hash, counter, created_ns, used_ns) "
        f"SELECT 'fac_ghost', {AUDITOR}, kind, name, secret, credential, 'h', counter, created_ns, used_ns FROM second_factor",
    ),
    "a second factor of another key": ("replay", ": key is", "UPDATE second_factor SET secret = 'mine'"),
    "a second factor of another person": ("replay", "person is 'auditor@audit.example'", f"UPDATE second_factor SET person_id = {AUDITOR}"),
    "a second factor taken away": ("replay", "second factor", "DELETE FROM second_factor"),
    "a recovery code invented": (
        "replay",
        "codes is 11, by the log 10",
        "INSERT INTO recovery_code (hash, person_id, created_ns) SELECT 'mine', MIN(person_id), 1 FROM recovery_code",
    ),
    "a recovery code exchanged": (
        "replay",
        ": digest is",
        "UPDATE recovery_code SET hash = 'mine' WHERE hash = (SELECT MIN(hash) FROM recovery_code)",
    ),
    "a recovery code good again": ("replay", "used is 0, by the log 1", "UPDATE recovery_code SET used_ns = NULL"),
    "an attack that worked forgotten": ("replay", "failing is [], by the log ['store']", "UPDATE examination SET passed = NOT passed"),
    "an examination taken away": ("replay", "failing is [], by the log ['store']", "DELETE FROM examination"),
    "a grant of an earlier time": (
        "replay",
        ": time is",
        "UPDATE access_grant SET issued_ns = issued_ns - 86400000000000, expires_ns = expires_ns - 86400000000000",
    ),
    "an order of an earlier time": (
        "replay",
        ": time is",
        "UPDATE purchase_order SET created_ns = created_ns - 86400000000000",
    ),
    "a reading of an earlier time": (
        "I10",
        "was read before it was given",
        "INSERT INTO access_served (grant_id, served_ns) SELECT MIN(id), 1 FROM access_grant",
    ),
    "a trigger dropped": ("schema", "trigger", ()),
    "a rule of a table dropped": ("schema", "a check of ledger_account is gone", drop_the_check),
    "a view of our own": ("schema", "shadow is not declared", "CREATE VIEW shadow AS SELECT 1 AS one"),
    "a table of our own": ("schema", "table shadow is not declared", "CREATE TABLE shadow (one integer)"),
}


@dataclass(frozen=True, slots=True)
class Original:
    """The exchange that every manipulation begins from: its folder, and the URL of its database ("" = SQLite in the folder)."""

    folder: Path
    url: str
    server: Postgres | None

    def copy(self, folder: Path) -> tuple[Exchange, str]:
        url = self.server.new_database(self.url) if self.server else ""
        folder.mkdir()
        for name in ("mapex.toml", *(() if self.server else ("mapex.db",))):
            shutil.copy2(self.folder / name, folder / name)
        return an_exchange(folder, database_url=url, store_dir=self.folder / "objects"), url


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def original(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Original]:
    folder = tmp_path_factory.mktemp("original") / "exchange"
    server: Postgres | None = request.getfixturevalue("postgres") if request.param == "postgresql" else None
    settings(folder)
    url = server.new_database() if server else ""
    ex = an_exchange(folder, database_url=url)
    governed(ex)
    assert broken(ex) == {}
    with ex.engine.connect() as conn:
        if not server:
            conn.exec_driver_sql("COMMIT")
            conn.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    ex.engine.dispose()
    yield Original(folder, url, server)
    if server:
        server.drop_database(url)


@pytest.mark.parametrize("case", MANIPULATIONS)
def test_each_manipulation_of_the_database_is_named(original: Original, tmp_path: Path, case: str) -> None:
    check, words, done = MANIPULATIONS[case]
    ex, url = original.copy(tmp_path / "copy")
    try:
        with ex.engine.begin() as conn:
            without_guards(conn)
            if callable(done):
                done(conn)
            for statement in () if callable(done) else (done,) if isinstance(done, str) else done:
                assert conn.execute(text(statement)).rowcount != 0, statement
        found = broken(ex)
        assert check in found, found
        assert words in found[check]
    finally:
        ex.engine.dispose()
        if original.server:
            original.server.drop_database(url)


def test_a_whole_history_that_was_written_again_is_named_by_a_checkpoint_kept_elsewhere_only(original: Original, tmp_path: Path) -> None:
    """What fsck cannot find by itself: every entry fits again, and no signed checkpoint is left, nor their count. Known gaps name it."""
    ex, url = original.copy(tmp_path / "copy")
    with ex.engine.begin() as conn:
        size, seq, root = conn.execute(text("SELECT size, seq, root FROM log_checkpoint")).one()
        saved = json.dumps({"mapex": "checkpoint", "size": size, "seq": seq, "root": root, "at": "2026-11-01T00:00:00Z", "blocks": []})
        without_guards(conn)
        conn.execute(text("DELETE FROM log_checkpoint"))
        conn.execute(text("UPDATE log_head SET newest = 0 WHERE name = 'log_checkpoint'"))
        rewrite(conn, "audit.read", lambda said: said.update(person="second@dongil.example"))
    assert set(broken(ex)) == {"schema"}
    found = {check.name: check.message for check in fsck.check(ex, kept=[from_file(saved, "mine.json")]) if not check.ok}
    assert f"up to number {seq} are not those that were signed: the checkpoint of 2026-11-01T00:00:00Z in mine.json" in found["I8"]
    ex.engine.dispose()
    if original.server:
        original.server.drop_database(url)


@pytest.mark.parametrize(
    "saved", ["", "{}", "[]", '{"mapex": "checkpoint"}', '{"mapex": "other", "size": 1, "seq": 1, "root": "", "at": ""}']
)
def test_a_file_that_is_no_checkpoint_is_refused(saved: str) -> None:
    with pytest.raises(Invalid) as refused:
        from_file(saved, "mine.json")
    assert refused.value.code == "fsck.checkpoint"


def test_a_log_that_goes_on_after_a_checkpoint_meets_it_and_the_next_one(original: Original, tmp_path: Path) -> None:
    ex, url = original.copy(tmp_path / "copy")
    assert checkpoints.keep(ex) is None
    for number in range(5):
        a_person(ex, "dongil", email=f"more{number}@dongil.example")
        assert checkpoints.keep(ex) is not None
    assert broken(ex) == {}
    ex.engine.dispose()
    if original.server:
        original.server.drop_database(url)


@given(count=st.integers(0, 300), stop=st.integers(0, 300))
def test_a_tree_that_grows_has_the_root_of_rfc_6962_and_goes_on_from_its_edge(count: int, stop: int) -> None:
    leaves = [number.to_bytes(4, "big") for number in range(count)]
    tree = Tree()
    for number, leaf in enumerate(leaves):
        if number == stop:
            tree = Tree(tree.size, tree.edge)
        tree.add(leaf)
    assert (tree.size, tree.root()) == (count, _root(leaves))


def _root(leaves: Sequence[bytes]) -> bytes:
    """As RFC 6962, 2.1, writes it."""
    if len(leaves) < 2:
        return hashlib.sha256(b"\x00" + leaves[0] if leaves else b"").digest()
    half = 1 << ((len(leaves) - 1).bit_length() - 1)
    return hashlib.sha256(b"\x01" + _root(leaves[:half]) + _root(leaves[half:])).digest()

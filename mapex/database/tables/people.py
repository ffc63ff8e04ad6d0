"""Who takes part: organisations and their domains, persons, sign-in, sessions, tokens, invitations, applications, attempts."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Integer, String, Table, Text

from mapex.database.tables.columns import id_column, metadata, ref

organisation = Table(
    "organisation",
    metadata,
    id_column(),
    Column("slug", String(64), nullable=False, unique=True),
    Column("name", String(255), nullable=False),
    Column("state", String(16), nullable=False),  # active | suspended
    Column("created_ns", BigInteger, nullable=False),
    Column("signer", Integer, nullable=False, server_default="1"),  # raising it ends the download addresses that are out
)

# Mail domains of which the operator was shown that they are the organisation's; each is of one only.
org_domain = Table(
    "org_domain",
    metadata,
    Column("domain", String(190), primary_key=True),
    ref("org_id", "organisation.id", index=True),
    Column("created_ns", BigInteger, nullable=False),
)

person = Table(
    "person",
    metadata,
    id_column(),
    Column("email", String(255), nullable=False, unique=True),
    Column("name", String(255), nullable=False),
    ref("org_id", "organisation.id", nullable=True, index=True),
    Column("role", String(16), nullable=False),  # member | auditor | operator
    Column("state", String(16), nullable=False),  # active | suspended
    Column("password_hash", String(255)),
    Column("session_key", String(64), nullable=False, unique=True),  # changing it ends every log-in under way
    Column("language", String(8), nullable=False, server_default="ko"),
    Column("created_ns", BigInteger, nullable=False),
    Column("proven_ns", BigInteger),  # since when the address is known to be theirs; null: it makes room for whoever proves it
)

# What a person may pay in its organisation, VAT included; without a row everything. A row stays when the person goes elsewhere.
purchase_right = Table(
    "purchase_right",
    metadata,
    Column("person_id", String(40), ForeignKey("person.id"), primary_key=True),
    Column("org_id", String(40), ForeignKey("organisation.id"), primary_key=True),
    Column("may_pay", Boolean, nullable=False),
    Column("order_limit", BigInteger),  # KRW of one order; null: none
    Column("month_limit", BigInteger),  # KRW of a month in Korea; null: none
)

# What stands on the tax invoices of an organisation.
business = Table(
    "business",
    metadata,
    Column("org_id", String(40), ForeignKey("organisation.id"), primary_key=True),
    Column("number", String(10), unique=True),  # 사업자등록번호; null: a firm abroad has none
    Column("name", String(255), nullable=False),
    Column("representative", String(255), nullable=False),
    Column("address", String(255), nullable=False),
    Column("business_type", String(255), nullable=False),  # 업태
    Column("item", String(255), nullable=False),  # 종목
    Column("email", String(255), nullable=False),
)

# A person signed in at a browser; a row is ended, never revived, and forgotten some time after.
session = Table(
    "session",
    metadata,
    id_column(),
    ref("person_id", "person.id", index=True),
    Column("hash", String(64), nullable=False, unique=True),  # sha256 of the secret in the cookie, hex
    Column("created_ns", BigInteger, nullable=False),
    Column("seen_ns", BigInteger, nullable=False),  # written once a minute at most
    Column("ends_ns", BigInteger, nullable=False, index=True),  # at the latest
    Column("proven_ns", BigInteger, nullable=False),  # when the person last showed who it is
    Column("network", String(64), nullable=False),
    Column("agent", String(64), nullable=False),  # browser and system, in two words
    Column("factors", String(64), nullable=False),  # space separated: password, totp, passkey, recovery, ...
    Column("ended_ns", BigInteger),
    Column("reason", String(32)),  # why it ended before its time
)

second_factor = Table(
    "second_factor",
    metadata,
    id_column(),
    ref("person_id", "person.id", index=True),
    Column("kind", String(16), nullable=False),  # totp | passkey
    Column("name", String(255), nullable=False),
    Column("secret", Text, nullable=False),  # totp: sealed by a key that is not here; passkey: the public key, base64url
    Column("credential", Text),  # passkey: its id, base64url
    Column("credential_hash", String(64), unique=True),  # sha256 of that, hex
    Column("counter", BigInteger, nullable=False),  # totp: the last step used; passkey: its own count of uses
    Column("created_ns", BigInteger, nullable=False),
    Column("used_ns", BigInteger, nullable=False),
)

recovery_code = Table(
    "recovery_code",
    metadata,
    Column("hash", String(64), primary_key=True),  # sha256 of person and code, hex
    ref("person_id", "person.id", index=True),
    Column("created_ns", BigInteger, nullable=False),
    Column("used_ns", BigInteger),
)

api_token = Table(
    "api_token",
    metadata,
    id_column(),
    ref("person_id", "person.id", index=True),
    Column("hash", String(64), nullable=False, unique=True),  # sha256 of the secret, hex
    Column("name", String(255), nullable=False),
    Column("scopes", Text, nullable=False),  # space separated; "*" = whatever the person may
    Column("created_ns", BigInteger, nullable=False),
    Column("expires_ns", BigInteger, nullable=False),
    Column("revoked_ns", BigInteger),
    ref("parent_id", "api_token.id", nullable=True, index=True),  # with which token it was made, and ends; null: with none, or before 0015
)

invitation = Table(
    "invitation",
    metadata,
    id_column(),
    Column("hash", String(64), nullable=False, unique=True),  # sha256 of the secret in the link, hex
    Column("email", String(255), nullable=False),
    ref("org_id", "organisation.id", nullable=True, index=True),
    Column("role", String(16), nullable=False),
    ref("inviter_id", "person.id", nullable=True),  # null: invited at the machine
    Column("created_ns", BigInteger, nullable=False),
    Column("expires_ns", BigInteger, nullable=False),
    Column("ended_ns", BigInteger),  # redeemed, taken back, or ended with its inviter, organisation or token
    ref("person_id", "person.id", nullable=True),  # who redeemed it
    Column("handed", String(16)),  # how its link reaches the address: mail | operator; null: nobody has handed it out yet
    ref("token_id", "api_token.id", nullable=True, index=True),  # with which token it was made, and ends; null as above
)

# Who asks for an organisation on the exchange; nothing in it is trusted before the operator accepts it. What is cleared is gone.
application = Table(
    "application",
    metadata,
    id_column(),
    Column("hash", String(64), nullable=False, unique=True),  # sha256 of the secret in the applicant's link, hex
    Column("slug", String(64), nullable=False),  # proposed, and nobody's before it is accepted
    Column("name", String(255), nullable=False),
    Column("contact", String(255), nullable=False),
    Column("email", String(255), nullable=False, index=True),
    Column("about", Text, nullable=False),
    Column("state", String(16), nullable=False, index=True),  # received | proven | accepted | refused
    Column("mailed", Boolean, nullable=False),  # whether the link went to the address only, and so proves it
    Column("reason", Text, nullable=False, server_default=""),
    Column("created_ns", BigInteger, nullable=False),
    Column("decided_ns", BigInteger),
)

# Attempts to log in, per minute and keyed hash of who tries (see `mapex.database.attempts`).
attempt = Table(
    "attempt",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("count", Integer, nullable=False),
    Column("ends_ns", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

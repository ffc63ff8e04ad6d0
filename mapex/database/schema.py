"""Tables of the exchange (SQLAlchemy Core), the same for SQLite and PostgreSQL.

Times are UTC nanoseconds (`*_ns`, 64 bit), money is integer KRW, cells are z16 Morton numbers, JSON is canonical text.
Rows of the tables in `APPEND_ONLY` are never changed nor deleted: triggers refuse it (see `mapex.database.migrations`).
"""

from __future__ import annotations

from mapex.database.tables.catalogue import (
    dataset,
    dataset_version,
    finding,
    job,
    layer,
    preview,
    tile,
    upload,
)
from mapex.database.tables.columns import metadata
from mapex.database.tables.market import (
    demand,
    demand_day,
    demand_seen,
    kind_sum,
    offer,
    owned_sum,
    saved_area,
    shown_layer,
    tile_sum,
)
from mapex.database.tables.oversight import (
    NIGHT_ACCESS,
    access_grant,
    access_served,
    audit_event,
    examination,
    log_checkpoint,
    log_head,
    permit,
    permit_recipient,
)
from mapex.database.tables.people import (
    api_token,
    attempt,
    business,
    invitation,
    org_domain,
    organisation,
    person,
    purchase_right,
    recovery_code,
    second_factor,
    session,
)
from mapex.database.tables.trade import (
    approval,
    credited_tile,
    entitlement,
    ledger_account,
    ledger_entry,
    ledger_transaction,
    order,
    order_line,
    order_person,
    quote,
)

APPEND_ONLY = (
    "access_grant",
    "audit_event",
    "credited_tile",
    "ledger_entry",
    "ledger_transaction",
    "log_checkpoint",
    "order_line",
    "permit_recipient",
    "purchase_order",
)
"""Tables whose rows triggers protect from being changed, removed and replaced (see `mapex.database.guards`)."""

__all__ = [
    "APPEND_ONLY",
    "metadata",
    "NIGHT_ACCESS",
    "access_grant",
    "access_served",
    "api_token",
    "approval",
    "attempt",
    "audit_event",
    "business",
    "credited_tile",
    "dataset",
    "dataset_version",
    "demand",
    "demand_day",
    "demand_seen",
    "entitlement",
    "examination",
    "finding",
    "invitation",
    "job",
    "kind_sum",
    "layer",
    "ledger_account",
    "ledger_entry",
    "ledger_transaction",
    "log_checkpoint",
    "log_head",
    "offer",
    "order",
    "order_line",
    "order_person",
    "org_domain",
    "organisation",
    "owned_sum",
    "permit",
    "permit_recipient",
    "person",
    "preview",
    "purchase_right",
    "quote",
    "recovery_code",
    "saved_area",
    "second_factor",
    "session",
    "shown_layer",
    "tile",
    "tile_sum",
    "upload",
]

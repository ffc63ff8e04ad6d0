"""What the fields of an entry of the log are called; the first are what an auditor asks for, and stand first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask_babel import lazy_gettext

FIELDS: Mapping[str, Any] = {
    "person": lazy_gettext("Person"),
    "org": lazy_gettext("Organisation"),
    "purpose": lazy_gettext("Purpose"),
    "permit": lazy_gettext("Permit"),
    "class": lazy_gettext("Class"),
    "network": lazy_gettext("From the network"),
    "code": lazy_gettext("Reason of the refusal"),
    "tile": lazy_gettext("Tile"),
    "dataset": lazy_gettext("Dataset"),
    "layer": lazy_gettext("Layer"),
    "version": lazy_gettext("Version"),
    "part": lazy_gettext("Part of the tile"),
    "owner": lazy_gettext("Owner"),
    "order": lazy_gettext("Order"),
    "entitlement": lazy_gettext("Right that was bought"),
    "grant": lazy_gettext("Access"),
    "sha256": lazy_gettext("Checksum of the file"),
    "subject": lazy_gettext("About"),
    "name": lazy_gettext("Name"),
    "title": lazy_gettext("Title"),
    "role": lazy_gettext("Role"),
    "scopes": lazy_gettext("Scopes"),
    "purposes": lazy_gettext("Purposes"),
    "classes": lazy_gettext("Classes"),
    "recipients": lazy_gettext("Recipients"),
    "rule_set": lazy_gettext("Rules"),
    "valid_from": lazy_gettext("Valid from"),
    "valid_to": lazy_gettext("Valid to"),
    "area_sha256": lazy_gettext("Checksum of the area"),
    "rows": lazy_gettext("Entries read"),
    "filter": lazy_gettext("Filter"),
    "after": lazy_gettext("Behind entry"),
    "head": lazy_gettext("Up to entry"),
    "entry": lazy_gettext("Entry"),
    "asked": lazy_gettext("Tiles asked for"),
    "tries": lazy_gettext("Tries"),
    "quote": lazy_gettext("Quote"),
    "total": lazy_gettext("Total"),
    "vat": lazy_gettext("VAT"),
    "credited": lazy_gettext("Credited"),
    "settlement": lazy_gettext("Settlement"),
    "month": lazy_gettext("Month"),
    "seller": lazy_gettext("Seller"),
    "of": lazy_gettext("Dataset"),
    "sales": lazy_gettext("Sold"),
    "orders": lazy_gettext("Orders"),
    "fee": lazy_gettext("Fee"),
    "fee_rate": lazy_gettext("Fee in hundredths of a percent"),
    "refund": lazy_gettext("Refund"),
    "refunds": lazy_gettext("Refunds"),
    "returned": lazy_gettext("Returned"),
    "rest": lazy_gettext("Rest"),
    "amount": lazy_gettext("Amount"),
    "transaction": lazy_gettext("Transaction"),
    "key": lazy_gettext("Key"),
    "tiles_sha256": lazy_gettext("Checksum of the tiles"),
    "tile_count": lazy_gettext("Tiles"),
    "offer": lazy_gettext("Offer"),
    "licence": lazy_gettext("Licence"),
    "rates": lazy_gettext("Rates"),
    "confirmed": lazy_gettext("Confirmed"),
    "holders": lazy_gettext("Holders"),
    "persons": lazy_gettext("Named users"),
    "upload": lazy_gettext("Upload"),
    "uploads": lazy_gettext("Uploads"),
    "size": lazy_gettext("Size in bytes"),
    "job": lazy_gettext("Job"),
    "placement": lazy_gettext("Placement"),
    "findings": lazy_gettext("Findings"),
    "layers": lazy_gettext("Layers"),
    "datasets": lazy_gettext("Datasets"),
    "manifest_sha256": lazy_gettext("Checksum of the manifest"),
    "evidence": lazy_gettext("Evidence"),
    "doubts": lazy_gettext("Doubts"),
    "message": lazy_gettext("Message"),
    "failing": lazy_gettext("What did not hold"),
    "session": lazy_gettext("Session"),
    "kept": lazy_gettext("Session that stays"),
    "sessions_ended": lazy_gettext("Sessions ended"),
    "tokens_revoked": lazy_gettext("Tokens revoked"),
    "invitations_ended": lazy_gettext("Invitations ended"),
    "factor": lazy_gettext("Second factor"),
    "factors": lazy_gettext("Shown by"),
    "kind": lazy_gettext("Kind"),
    "codes": lazy_gettext("Codes"),
    "codes_sha256": lazy_gettext("Checksum of the codes"),
    "key_sha256": lazy_gettext("Checksum of the key"),
    "token": lazy_gettext("Token"),
    "expires": lazy_gettext("Expires"),
    "invitation": lazy_gettext("Invitation"),
    "inviter": lazy_gettext("Inviter"),
    "mail": lazy_gettext("E-mail"),
    "proven": lazy_gettext("Proven"),
    "now": lazy_gettext("New value"),
    "signer": lazy_gettext("Signer"),
    "domain": lazy_gettext("Mail domain"),
}

_PLACES = {name: at for at, name in enumerate(FIELDS)}


def in_order(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of an entry in the order in which they are read; unknown ones last.

    None is what is not recorded: the class or the network of an access of before they were.
    """
    shown = {name: value for name, value in facts.items() if name not in ("v", "at", "action")}
    if str(facts.get("action", "")).startswith("access.") and "tile" in facts:
        shown = {"class": None, "network": None} | shown
    return dict(sorted(shown.items(), key=lambda item: _PLACES.get(item[0], len(_PLACES))))

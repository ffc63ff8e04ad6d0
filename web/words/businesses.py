"""What stands on tax invoices of an organisation, in words."""

from __future__ import annotations

from flask_babel import gettext as _

from mapex.invoices.businesses import Business


def business_rows(business: Business) -> list[tuple[str, str]]:
    """Each detail with its name, as it is read on a page."""
    return [
        (_("Business number"), business.written_number or _("none: a firm abroad")),
        (_("Name as registered"), business.name),
        (_("Representative"), business.representative),
        (_("Address of the business"), business.address),
        (_("Type of business"), business.business_type),
        (_("Item of business"), business.item),
        (_("E-mail for invoices"), business.email),
    ]

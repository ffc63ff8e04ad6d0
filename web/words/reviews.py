"""Words about reviews of pseudonymised footage."""

from __future__ import annotations

from flask_babel import lazy_gettext

STATES = {
    "requested": lazy_gettext("requested"),
    "under_review": lazy_gettext("under review"),
    "accepted": lazy_gettext("accepted"),
    "refused": lazy_gettext("not accepted"),
}

CRITERIA = {
    "faces": lazy_gettext("Nobody can be recognised by face or figure"),
    "plates": lazy_gettext("No number plate can be read"),
    "texts": lazy_gettext("No other text names a person"),
    "metadata": lazy_gettext("No metadata names a person or a device"),
    "linkage": lazy_gettext("Place, time and other data together name nobody"),
    "sample": lazy_gettext("The frames that were looked at are enough and well spread"),
}

"""Kinds of notices: what each is about, and how it comes to a person who has chosen nothing."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class NoticeKind(StrEnum):
    """What a notice is about."""

    ORDER = "order"
    VERSION = "version"
    RECALL = "recall"
    PERMIT = "permit"
    QUOTE = "quote"
    AREA = "area"
    APPROVAL = "approval"
    QUESTION = "question"
    SETTLEMENT = "settlement"


class NoticeWay(StrEnum):
    """How a notice comes: by mail and in the pages, in the pages, or not at all."""

    MAIL = "mail"
    PAGE = "page"
    NONE = "none"


USUAL: Mapping[NoticeKind, NoticeWay] = {**dict.fromkeys(NoticeKind, NoticeWay.MAIL), NoticeKind.QUOTE: NoticeWay.PAGE}
"""How each kind comes unless the person chose otherwise. A price is held for some minutes: mail would mostly come too late."""

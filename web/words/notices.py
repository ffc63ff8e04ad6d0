"""The words of notices, in the language of the request; the sentences themselves are in `mapex.notices.wording`, as mail has them too."""

from __future__ import annotations

from flask_babel import lazy_gettext

from mapex.notices import wording
from mapex.notices.kind import NoticeKind, NoticeWay
from mapex.notices.notices import Notice
from mapex.times import ns_from_iso
from web.words import numbers
from web.words.language import language

WAYS = {
    NoticeWay.MAIL: lazy_gettext("in the pages and by mail"),
    NoticeWay.PAGE: lazy_gettext("in the pages"),
    NoticeWay.NONE: lazy_gettext("not at all"),
}


def name(kind: NoticeKind) -> str:
    """What a kind of notice is called."""
    return wording.NAMES[kind].of(language())


def sentence(notice: Notice) -> str:
    """What a notice says."""
    return notice.sentence(language())


def moment(iso: str) -> str:
    """A time of what a notice is about."""
    return numbers.moment(ns_from_iso(iso))

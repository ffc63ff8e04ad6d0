"""What notices say, in both languages, and the page that each leads to. Pages, mail and command line say the same.

A sentence holds no name, price, number or place: mail passes through many hands. What it is about stands on the page that it leads to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from mapex.notices.kind import NoticeKind


@dataclass(frozen=True, slots=True)
class Words:
    """The same in Korean and English."""

    ko: str
    en: str

    def of(self, language: str) -> str:
        """In a language, `ko` or `en`."""
        return self.ko if language == "ko" else self.en


NAMES: Mapping[NoticeKind, Words] = {
    NoticeKind.ORDER: Words("주문 준비 완료", "Order ready"),
    NoticeKind.VERSION: Words("구매한 데이터의 새 버전", "New version of what was bought"),
    NoticeKind.RECALL: Words("구매한 데이터의 회수", "Recall of what was bought"),
    NoticeKind.PERMIT: Words("실증특례 승인의 유효기간", "End of a permit"),
    NoticeKind.QUOTE: Words("견적의 유효 시간", "End of a quote"),
    NoticeKind.AREA: Words("저장한 영역의 소식", "News in a saved area"),
}
"""What each kind is called where one chooses how it comes."""

SENTENCES: Mapping[NoticeKind, Words] = {
    NoticeKind.ORDER: Words("주문한 데이터를 내려받을 수 있습니다.", "What was ordered can be downloaded."),
    NoticeKind.VERSION: Words("구매한 데이터의 새 버전이 판매되고 있습니다.", "A new version of what you bought is on sale."),
    NoticeKind.RECALL: Words(
        "구매한 데이터를 판매자가 회수했습니다. 보관한 사본을 삭제하십시오.",
        "The seller recalled data that your organisation bought. Delete what you have of it.",
    ),
    NoticeKind.PERMIT: Words("실증특례 승인의 유효기간이 곧 끝납니다.", "A permit that names your organisation ends soon."),
    NoticeKind.QUOTE: Words("견적의 유효 시간이 곧 끝납니다.", "A price that is held for you ends soon."),
    NoticeKind.AREA: Words("저장한 영역에 새 소식이 있습니다.", "There is news in a saved area."),
}

AREA_NEWS: Mapping[str, Words] = {
    "new": Words("저장한 영역에서 새 데이터의 판매가 시작되었습니다.", "New data is on sale in a saved area."),
    "version": Words("저장한 영역에서 데이터의 새 버전이 판매되고 있습니다.", "A new version of data in a saved area is on sale."),
    "cheaper": Words("저장한 영역에서 데이터의 가격이 내렸습니다.", "Data in a saved area costs less than before."),
}
"""What happened in a saved area."""

NEWS: Mapping[str, Words] = {
    "new": Words("새 데이터", "New data"),
    "version": Words("새 버전", "New version"),
    "cheaper": Words("가격 인하", "Lower price"),
}
"""What one may want to know of an area."""


def sentence(kind: NoticeKind, about: Mapping[str, Any], language: str) -> str:
    """What a notice says."""
    found = AREA_NEWS.get(about.get("news", ""), SENTENCES[kind]) if kind is NoticeKind.AREA else SENTENCES[kind]
    return found.of(language)


def path(kind: NoticeKind, about: Mapping[str, Any]) -> str:
    """The page that a notice leads to."""
    match kind:
        case NoticeKind.ORDER:
            return f"/orders/{about['order']}"
        case NoticeKind.VERSION | NoticeKind.RECALL:
            orders = about.get("orders", [])
            return f"/orders/{orders[0]}" if len(orders) == 1 else f"/orders?dataset={quote(about['dataset'].rpartition('/')[2])}"
        case NoticeKind.PERMIT:
            return "/account"
        case NoticeKind.QUOTE:
            return f"/quotes/{about['quote']}"
        case NoticeKind.AREA:
            return f"/datasets/{about['dataset']}"

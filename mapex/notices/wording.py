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
    NoticeKind.APPROVAL: Words("결재", "Approval of a payment"),
    NoticeKind.QUESTION: Words("질문과 답변", "Questions and answers"),
    NoticeKind.SETTLEMENT: Words("정산금 지급", "Payout"),
}
"""What each kind is called where one chooses how it comes."""

SENTENCES: Mapping[NoticeKind, Words] = {
    NoticeKind.ORDER: Words("주문한 데이터를 내려받을 수 있습니다.", "What was ordered can be downloaded."),
    NoticeKind.VERSION: Words("구매한 데이터의 새 버전이 판매되고 있습니다.", "A new version of what you bought is on sale."),
    NoticeKind.RECALL: Words(
        "구매한 데이터를 판매자가 회수했습니다. 보관한 사본을 삭제하십시오. 환불 내역은 주문 페이지에 있습니다.",
        "The seller recalled data that your organisation bought. Delete what you have of it; the order shows what is paid back.",
    ),
    NoticeKind.PERMIT: Words("실증특례 승인의 유효기간이 곧 끝납니다.", "A permit that names your organisation ends soon."),
    NoticeKind.QUOTE: Words("견적의 유효 시간이 곧 끝납니다.", "A price that is held for you ends soon."),
    NoticeKind.AREA: Words("저장한 영역에 새 소식이 있습니다.", "There is news in a saved area."),
    NoticeKind.APPROVAL: Words("결재 요청이 있습니다.", "Somebody of your organisation asks for a quote to be paid."),
    NoticeKind.QUESTION: Words("데이터에 관한 새 메시지가 있습니다.", "There is a new message about a dataset."),
    NoticeKind.SETTLEMENT: Words("정산금이 지급되었습니다.", "What your organisation earned in a month was paid out."),
}

AREA_NEWS: Mapping[str, Words] = {
    "new": Words("저장한 영역에서 새 데이터의 판매가 시작되었습니다.", "New data is on sale in a saved area."),
    "version": Words("저장한 영역에서 데이터의 새 버전이 판매되고 있습니다.", "A new version of data in a saved area is on sale."),
    "cheaper": Words("저장한 영역에서 데이터의 가격이 내렸습니다.", "Data in a saved area costs less than before."),
}
"""What happened in a saved area."""

APPROVAL_NEWS: Mapping[str, Words] = {
    "paid": Words("결재를 요청한 견적이 결제되었습니다.", "The quote that you asked for was paid."),
    "refused": Words("결재 요청이 거부되었습니다.", "The quote that you asked for was refused."),
}
"""What became of a request."""

_MORE: Mapping[NoticeKind, Mapping[str, Words]] = {NoticeKind.AREA: AREA_NEWS, NoticeKind.APPROVAL: APPROVAL_NEWS}

_PATHS: Mapping[NoticeKind, str] = {
    NoticeKind.PERMIT: "/account",
    NoticeKind.QUOTE: "/quotes/{quote}",
    NoticeKind.AREA: "/datasets/{dataset}",
    NoticeKind.QUESTION: "/questions/{question}",
    NoticeKind.SETTLEMENT: "/sell",
}


def sentence(kind: NoticeKind, about: Mapping[str, Any], language: str) -> str:
    """What a notice says."""
    return _MORE.get(kind, {}).get(str(about.get("news", "")), SENTENCES[kind]).of(language)


def path(kind: NoticeKind, about: Mapping[str, Any]) -> str:
    """The page that a notice leads to."""
    if kind in (NoticeKind.VERSION, NoticeKind.RECALL):
        orders = about.get("orders", [])
        return f"/orders/{orders[0]}" if len(orders) == 1 else f"/orders?dataset={quote(about['dataset'].rpartition('/')[2])}"
    if kind in (NoticeKind.ORDER, NoticeKind.APPROVAL):
        return f"/orders/{about['order']}" if "order" in about else f"/quotes/{about['quote']}"
    return _PATHS[kind].format(**about)

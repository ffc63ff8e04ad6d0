"""The full texts of the licences, clause by clause, each in Korean and English; the five plain lines are in `mapex.rules.licences`.

A text never changes under its code: orders name it for ever, by a digest (`mapex.rules.terms.digest`). Other words are another licence.
They are the exchange's standard terms and say what its code enforces. A deployer has its counsel read them before real trade.
"""

from __future__ import annotations

Clause = tuple[str, str]

_GRANT: Clause = (
    "판매자는 주문서에 적힌 타일을 주문한 기관이 주문서에 적힌 목적으로 쓰도록 허락합니다. 이 허락은 독점적이지 않습니다.",
    "The seller allows the organisation that ordered to use the tiles named in the order for the purpose named there. It is not exclusive.",
)
_CLASS: Clause = (
    "공개제한, 원본 등급의 자료는 유효한 허가의 목적, 지역, 기간 안에서만 내려받고 쓸 수 있습니다.",
    "Data of the classes restricted and original may be downloaded and used only within the purpose, area and time of a valid permit.",
)
_PERSONS: Clause = (
    "자료에 사람이나 차량이 나타나더라도 누구인지 알아보려 해서는 안 되며, 알게 된 경우 그 정보를 지워야 합니다.",
    "Where persons or vehicles appear, nobody may try to find out who they are; whoever learns it by accident deletes it.",
)
_KEEP_IN: Clause = (
    "자료와 그 일부를 다른 기관이나 사람에게 넘기거나 공개할 수 없습니다. 수탁자는 기관을 대신해 처리하는 동안만 볼 수 있습니다.",
    "The data and parts of it may not be passed on or published. Processors may see them only while they work for the organisation.",
)
_SOURCE: Clause = (
    "자료로 얻은 결과를 공개할 때에는 주문서에 적힌 방식으로 출처를 밝힙니다.",
    "Where results from the data are shown, the source is named in the words that stand in the order.",
)
_RECALL: Clause = (
    "판매자가 버전을 회수하면 통지를 받은 날부터 쓰기를 멈추고 보유한 사본을 지웁니다.",
    "When the seller recalls a version, its use ends on the day of the notice and copies are deleted.",
)
_WARRANTY: Clause = (
    "자료는 있는 그대로 제공됩니다. 정확성과 최신성은 보증하지 않으며, 차량의 안전은 이 자료에만 맡길 수 없습니다.",
    "The data come as they are. Neither accuracy nor currency is warranted, and the safety of a vehicle may not rest on them alone.",
)
_LOG: Clause = (
    "내려받기는 모두 감사 기록에 남으며, 판매자와 감사인이 볼 수 있습니다.",
    "Each download is written to the audit log, which the seller and the auditor can read.",
)
_END: Clause = (
    "조건을 어기면 허락은 끝나고 보유한 사본을 지워야 합니다. 그 밖에는 기한이 없습니다.",
    "Whoever breaks these terms loses the permission and deletes the copies. Otherwise it has no end.",
)

TEXTS: dict[str, tuple[Clause, ...]] = {
    "research": (
        _GRANT,
        (
            "연구, 모의실험, 안전성 검증에만 쓸 수 있습니다.",
            "Only research, simulation and safety validation are allowed.",
        ),
        (
            "자료, 자료로 만든 지도, 자료로 학습한 모델을 판매하거나 제공하는 제품과 서비스에 넣을 수 없습니다.",
            "Neither the data nor maps made or models trained from them may go into products or services that are sold or offered.",
        ),
        _KEEP_IN,
        _SOURCE,
        _CLASS,
        _PERSONS,
        _LOG,
        _RECALL,
        _WARRANTY,
        _END,
    ),
    "commercial": (
        _GRANT,
        ("상업적 목적을 포함해 모든 목적에 쓸 수 있습니다.", "Every purpose is allowed, commercial ones included."),
        (
            "자료로 만든 결과와 학습한 모델은 제품과 서비스에 넣어 판매할 수 있습니다. 다만 자료를 다시 꺼낼 수 있는 형태여서는 안 됩니다.",
            "Results and models made from the data may be sold in products and services if the data cannot be taken out again.",
        ),
        _KEEP_IN,
        _SOURCE,
        _CLASS,
        _PERSONS,
        _LOG,
        _RECALL,
        _WARRANTY,
        _END,
    ),
    "share_alike": (
        _GRANT,
        ("상업적 목적을 포함해 모든 목적에 쓸 수 있습니다.", "Every purpose is allowed, commercial ones included."),
        (
            "자료와 이를 고친 것을 같은 조건으로 넘기고 공개할 수 있습니다. 받는 사람에게 이 글을 함께 주어야 합니다.",
            "The data and what is made from them may be passed on and published under these same terms; this text goes with them.",
        ),
        (
            "공개제한, 원본 등급의 자료는 받는 기관도 유효한 허가가 있어야 합니다.",
            "Data of the classes restricted and original go only to organisations that hold a valid permit themselves.",
        ),
        _SOURCE,
        _CLASS,
        _PERSONS,
        _LOG,
        _RECALL,
        _WARRANTY,
        _END,
    ),
}
"""Clauses by licence code, in the order in which they are numbered."""

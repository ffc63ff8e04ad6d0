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
    "odbl": (
        (
            "이 데이터베이스에는 개방 데이터베이스 이용허락 1.0(ODbL 1.0)이 적용됩니다. 아래 요약과 다르면 "
            "전문(opendatacommons.org/licenses/odbl/1-0)을 따릅니다.",
            "The Open Database License 1.0 (ODbL 1.0) holds for this database. Its text is at opendatacommons.org/licenses/odbl/1-0; where "
            "this summary differs, the text holds.",
        ),
        (
            "상업적 목적을 포함해 모든 목적으로 쓰고, 복제하고, 고치고, 제공할 수 있습니다.",
            "It may be used, copied, changed and passed on for every purpose, commercial ones included.",
        ),
        (
            "데이터베이스나 그 일부를 공개하거나 제공할 때에는 주문서에 적힌 방식으로 출처를 밝히고, ODbL 1.0도 함께 알립니다.",
            "Whoever publishes or passes on the database or a part of it names the source in the words of the order, and the ODbL 1.0.",
        ),
        (
            "고치거나 다른 데이터와 합쳐 만든 데이터베이스를 공개하거나 제공할 때에는 그 데이터베이스 전체에 ODbL 1.0을 적용합니다.",
            "A database that is made from it by change or by joining with others is published or passed on under the ODbL 1.0 as a whole.",
        ),
        (
            "서로 독립된 데이터베이스를 고치지 않고 모아 두기만 한 경우, 나머지 데이터베이스에는 ODbL 1.0을 적용하지 않아도 됩니다.",
            "Databases that only stand beside it, unchanged and independent, need not be under the ODbL 1.0.",
        ),
        (
            "지도 그림, 학습된 모델과 같이 데이터베이스가 아닌 결과물에는 다른 조건을 붙일 수 있습니다. 다만 공개할 때에는 "
            "출처를 밝히고, 요청을 받으면 그 결과물을 만든 데이터베이스나 고친 내용을 제공합니다.",
            "Results that are no database, such as pictures of maps and trained models, may be under other terms. Where they are "
            "published, the source is named, and the database behind them or what was changed in it is given to who asks.",
        ),
        (
            "접근을 막는 기술적 조치를 할 때에는 그러한 조치가 없는 사본도 함께 제공합니다.",
            "Whoever passes it on with technical measures against access offers a copy without such measures too.",
        ),
        (
            "대금은 데이터를 가공하고 전달하는 일에 대한 것이며, ODbL 1.0에 따른 권리를 줄이지 않습니다.",
            "The price is for preparing and delivering the data; it lessens no right under the ODbL 1.0.",
        ),
        (
            "판매자가 버전을 회수해도 이미 받은 데이터에 대한 ODbL 1.0의 권리는 그대로입니다.",
            "A recall by the seller does not end the rights under the ODbL 1.0 to what was received.",
        ),
        _LOG,
        _WARRANTY,
        (
            "조건을 어기면 ODbL 1.0에 따라 허락이 끝나며, 어긴 상태를 바로잡으면 ODbL 1.0에 따라 되살아납니다.",
            "Whoever breaks these terms loses the permission, and has it again once that is mended, both as the ODbL 1.0 says.",
        ),
    ),
}
"""Clauses by licence code, in the order in which they are numbered."""

"""The words of trade: purposes, licences, handling classes. Pure data and the questions asked of it.

A *licence* is what the seller allows; a *permit* (`mapex.rights.permits`) is what the regulator allows. Unknown words are refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from mapex.errors import Invalid


class Purpose(StrEnum):
    """What bought tiles may be used for; closed, no free text: a permit and a licence can be compared with a word, not with a sentence."""

    RESEARCH = "research"
    PERCEPTION_TRAINING = "perception_training"
    LOCALISATION = "localisation"
    ROUTE_PLANNING = "route_planning"
    SAFETY_VALIDATION = "safety_validation"
    SIMULATION = "simulation"
    MAP_PRODUCTION = "map_production"


class Freedom(StrEnum):
    """What a licence allows beyond use inside the organisation that ordered; a licence with more of them is wider (`mapex.rules.terms`)."""

    PRODUCTS = "products"
    SHARING = "sharing"


class HandlingClass(StrEnum):
    """How a layer must be handled; a layer without class cannot be published, since nobody would know who may have it."""

    OPEN = "open"
    RESTRICTED = "restricted"
    PSEUDONYMISED = "pseudonymised"
    ORIGINAL = "original"

    @property
    def needs_permit(self) -> bool:
        """Whether a buyer must hold a permit, beside the seller's licence."""
        return self in (HandlingClass.RESTRICTED, HandlingClass.ORIGINAL)


CLASS_LINES: dict[HandlingClass, tuple[str, str]] = {
    HandlingClass.OPEN: ("누구나 이용허락에 따라 구매할 수 있습니다.", "Anyone may buy it under the licence."),
    HandlingClass.RESTRICTED: (
        "공개제한 공간정보입니다. 목적과 영역에 대해 실증특례 승인을 받은 기관만 구매할 수 있습니다.",
        "Restricted spatial data: only holders of a permit for the purpose and the area may buy it.",
    ),
    HandlingClass.PSEUDONYMISED: (
        "가명처리한 데이터입니다. 재식별을 시도해서는 안 됩니다.",
        "Pseudonymised: persons must not be identified again.",
    ),
    HandlingClass.ORIGINAL: (
        "가명·익명처리하지 않은 원본 영상입니다. 실증특례를 받은 기관만 구매할 수 있습니다.",
        "Original, un-anonymised footage: only holders of a sandbox permit may buy it.",
    ),
}
"""One line a class: (Korean, English)."""


@dataclass(frozen=True, slots=True)
class Licence:
    """Terms a seller can choose: a code, its name, the purposes and freedoms it allows, and five plain lines in Korean and English.

    What a code stands for never changes, its text (`licence_texts`) included, because orders name it for ever: other terms are a new code.
    """

    code: str
    name: tuple[str, str]
    purposes: frozenset[Purpose]
    freedoms: frozenset[Freedom]
    lines: tuple[tuple[str, str], tuple[str, str], tuple[str, str], tuple[str, str], tuple[str, str]]


_NO_THIRD_PARTY = ("구매한 데이터는 제3자에게 제공할 수 없습니다.", "The data may not be passed on to others.")
_NAME_SOURCE = ("결과를 공개할 때 출처를 밝혀야 합니다.", "The source must be named where results are shown.")
_NO_WARRANTY = ("데이터의 정확성은 보증하지 않습니다.", "No warranty is given for accuracy.")

LICENCES: dict[str, Licence] = {
    licence.code: licence
    for licence in (
        Licence(
            "research",
            ("연구용", "Research"),
            frozenset({Purpose.RESEARCH, Purpose.SIMULATION, Purpose.SAFETY_VALIDATION}),
            frozenset(),
            (
                ("연구, 시뮬레이션, 안전성 검증에만 쓸 수 있습니다.", "For research, simulation and safety validation only."),
                ("제품이나 서비스에 넣을 수 없습니다.", "It may not go into a product or service."),
                _NO_THIRD_PARTY,
                _NAME_SOURCE,
                _NO_WARRANTY,
            ),
        ),
        Licence(
            "commercial",
            ("상업용", "Commercial"),
            frozenset(Purpose),
            frozenset({Freedom.PRODUCTS}),
            (
                ("상업적 목적을 포함해 모든 목적으로 쓸 수 있습니다.", "For every purpose, commercial ones included."),
                ("제품과 서비스, 학습된 모델에 쓸 수 있습니다.", "Products, services and trained models may use it."),
                _NO_THIRD_PARTY,
                _NAME_SOURCE,
                _NO_WARRANTY,
            ),
        ),
        Licence(
            "share_alike",
            ("동일조건 공유", "Share alike"),
            frozenset(Purpose),
            frozenset({Freedom.SHARING}),
            (
                ("모든 목적으로 쓸 수 있습니다.", "For every purpose."),
                ("데이터와 이를 가공한 결과를 제3자에게 제공할 수 있습니다.", "The data and what is made from it may be passed on."),
                ("제공할 때 같은 이용허락을 붙여야 합니다.", "Whoever passes it on must do so under the same terms."),
                _NAME_SOURCE,
                _NO_WARRANTY,
            ),
        ),
        Licence(
            "odbl",
            ("ODbL 1.0 (개방 데이터베이스 이용허락)", "ODbL 1.0 (Open Database License)"),
            frozenset(Purpose),
            frozenset({Freedom.PRODUCTS, Freedom.SHARING}),
            (
                ("모든 목적으로 쓸 수 있습니다.", "For every purpose."),
                ("제3자에게 제공할 수 있습니다.", "It may be passed on."),
                (
                    "데이터를 고치거나 합쳐 제공하거나 공개할 때에는 그 데이터베이스에도 ODbL 1.0을 적용해야 합니다.",
                    "Whoever passes on or publishes a database made from it must do so under ODbL 1.0.",
                ),
                ("결과를 공개할 때 출처와 ODbL을 밝혀야 합니다.", "Results that are shown must name the source and the ODbL."),
                _NO_WARRANTY,
            ),
        ),
    )
}
"""The licences by code."""


def check_purpose(purpose: str) -> Purpose:
    """The purpose of this code.

    Raises: Invalid: `purpose.unknown`.
    """
    if purpose not in list(Purpose):
        raise Invalid("purpose.unknown", f"`purpose` must be one of {', '.join(Purpose)}, not {purpose!r}.", purpose=purpose)
    return Purpose(purpose)


def check_licence(code: str) -> Licence:
    """The licence of this code.

    Raises: Invalid: `licence.unknown`.
    """
    if code not in LICENCES:
        raise Invalid("licence.unknown", f"`licence` must be one of {', '.join(LICENCES)}, not {code!r}.", licence=code)
    return LICENCES[code]


def check_class(handling_class: str) -> HandlingClass:
    """The handling class of this code.

    Raises: Invalid: `class.unknown`.
    """
    if handling_class not in list(HandlingClass):
        raise Invalid("class.unknown", f"`class` must be one of {', '.join(HandlingClass)}, not {handling_class!r}.", given=handling_class)
    return HandlingClass(handling_class)


def allows(code: str, purpose: str | None) -> bool:
    """Whether the licence allows the purpose; with None, whether it allows any at all. Unknown words allow nothing."""
    licence = LICENCES.get(code)
    return licence is not None and (purpose is None or purpose in licence.purposes)


SOURCE_FINDING = "licence.source"
"""Code of the finding that names the licence of a source; its value is a code of `SOURCES`."""


@dataclass(frozen=True, slots=True)
class SourceLicence:
    """A licence that goes along with the data: what is made from them may be offered under `offered` only, naming `attribution`.

    `word` is what an attribution must hold.
    """

    code: str
    offered: str
    attribution: str
    word: str


ODBL = SourceLicence("ODbL-1.0", "odbl", "© OpenStreetMap contributors", "OpenStreetMap")
SOURCES: dict[str, SourceLicence] = {ODBL.code: ODBL}
"""The licences by their SPDX code."""

_MARKS = ("openstreetmap", "odbl", "opendatacommons.org/licenses/odbl")


def stated_in(texts: Iterable[str]) -> SourceLicence | None:
    """The licence that texts about a source state, as far as it demands anything."""
    return ODBL if any(mark in text.lower() for text in texts for mark in _MARKS) else None


def check_source(sources: Iterable[str], licence: str, attribution: str) -> None:
    """Pass for an offer that keeps what the licences of its sources demand.

    Raises: Invalid: `licence.demanded`, `offer.attribution_demanded`.
    """
    for source in (SOURCES[code] for code in sorted(set(sources)) if code in SOURCES):
        if licence != source.offered:
            text = (
                f"This version holds data under {source.code} ({source.word}), which may only be passed on under the same licence. "
                f"Choose the licence {source.offered}, or leave the files out."
            )
            raise Invalid("licence.demanded", text, source=source.code, licence=source.offered)
        if source.word.lower() not in attribution.lower():
            text = f"Data under {source.code} must name their source: write {source.attribution!r} into the attribution."
            raise Invalid("offer.attribution_demanded", text, source=source.code, attribution=source.attribution)

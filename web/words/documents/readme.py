"""What is put beside the files of an order: a README in Korean and English, and the full text of each licence, as the order pins it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask_babel import force_locale

from mapex.atlas.naming import Named
from mapex.exchange import Actor, Exchange
from mapex.orders import grounds, orders
from mapex.orders.grounds import Ground
from mapex.orders.orders import Order
from mapex.people import orgs
from mapex.places.romanisation import romanised
from mapex.prices import permitted, sold_layers
from mapex.prices.permitted import Permitted
from mapex.rules.licence_texts import TEXTS
from mapex.rules.licences import LICENCES
from mapex.rules.update_policy import last_free_day
from tiles.batch import LayerKind
from web.words import vocabulary
from web.words.numbers import moment, number
from web.words.places import spoken

README = "README.txt"

VECTOR = frozenset({LayerKind.HDMAP, LayerKind.SIDEWALK})
"""Kinds whose tiles `mapex join` makes one file of."""


@dataclass(frozen=True, slots=True)
class Enclosure:
    """A text beside the files of an order."""

    path: str
    text: str

    @property
    def described(self) -> dict[str, Any]:
        """As a manifest lists it."""
        raw = self.text.encode()
        return {"path": self.path, "sha256": hashlib.sha256(raw).hexdigest(), "size": len(raw)}


@dataclass(frozen=True, slots=True)
class Described:
    """What a README is about: the order, its layers (as `mapex.prices.sold_layers` describes them), ground, permits, and the exchange."""

    order: Order
    layers: Sequence[Mapping[str, Any]]
    ground: Ground | None
    permits: Sequence[Permitted]
    url: str
    sellers: Mapping[str, str]
    """Names of the sellers, by slug."""


def beside(ex: Exchange, by: Actor, order_id: str) -> list[Enclosure]:
    """The enclosures of an order of the own organisation. Raises: NotFound: `order.unknown`."""
    found = orders.get(ex, by, order_id)
    layers = sold_layers.documents(ex, found.lines)
    sellers = {slug: orgs.get_org(ex, slug).name for slug in {str(layer["org"]) for layer in layers}}
    ground = grounds.of_orders(ex, by, [found.id]).get(found.id)
    return enclosures(Described(found, layers, ground, permitted.of_order(ex, found.id), ex.settings.public_url, sellers))


def enclosures(bought: Described) -> list[Enclosure]:
    """The README, and a file for each licence."""
    codes = sorted({str(layer["licence"]) for layer in bought.layers})
    return [Enclosure(README, _readme(bought)), *(Enclosure(licence_file(code), _licence(bought, code)) for code in codes)]


def licence_file(code: str) -> str:
    """Name of the file of a licence."""
    return f"LICENCE-{code.replace('_', '-')}.txt"


def _readme(bought: Described) -> str:
    parts = ["\n".join(_part(bought, lang)) for lang in ("ko", "en")]
    return f"\n\n{'-' * 60}\n\n".join(parts) + "\n"


def _part(bought: Described, lang: str) -> Iterator[str]:
    words = WORDS[lang]
    kinds = {layer["kind"] for layer in bought.layers}
    with force_locale(lang):
        yield words["title"].format(order=bought.order.id)
        yield ""
        yield from _facts(bought, lang)
        yield ""
        for layer in bought.layers:
            yield from _layer(layer, bought, lang)
        yield ""
        yield words["open"]
        yield from (words[key] for key, of in OPENING if kinds & of)
        if kinds & VECTOR:
            yield ""
            yield words["join"]
        yield ""
        yield words["contact"].format(sellers=", ".join(sorted(bought.sellers.values())), url=bought.url)


def _facts(bought: Described, lang: str) -> Iterator[str]:
    words, order = WORDS[lang], bought.order
    yield words["when"].format(at=moment(order.created_ns))
    if bought.ground is not None:
        yield words["where"].format(place=_place(bought.ground.named, lang), count=number(bought.ground.squares))
    yield words["purpose"].format(purpose=vocabulary.label(vocabulary.PURPOSES, order.purpose))
    for one in bought.permits:
        yield words["permit"].format(number=one.permit.number, last=moment(one.permit.valid_to_ns - 1)[:10])
    named = sorted({str(layer["attribution"]) for layer in bought.layers if layer["attribution"]})
    if named:
        yield words["attribution"].format(attribution="; ".join(named))


def _layer(layer: Mapping[str, Any], bought: Described, lang: str) -> Iterator[str]:
    words = WORDS[lang]
    classes = {line.handling_class for line in bought.order.lines if (line.dataset, line.layer) == (layer["dataset"], layer["layer"])}
    height, last = layer["height_datum"] or "", last_free_day(layer["updates"], bought.order.created_ns)
    values = {
        "dataset": f"{layer['org']}/{layer['dataset']}",
        "version": layer["version"],
        "layer": layer["layer"],
        "kind": vocabulary.label(vocabulary.KINDS, layer["kind"]),
        "classes": ", ".join(vocabulary.label(vocabulary.CLASSES, code) for code in sorted(classes)),
        "crs": vocabulary.crs_name(layer["crs"]) or words["unknown"],
        "height": vocabulary.label(vocabulary.HEIGHT_NAMES, height) if height and height != "unknown" else words["unknown"],
        "licence": LICENCES[layer["licence"]].name[0 if lang == "ko" else 1],
        "file": licence_file(layer["licence"]),
        "updates": words["free"].format(last=last) if last else words[layer["updates"]],
    }
    yield words["layer"].format(**values)


def _place(named: Named, lang: str) -> str:
    if not named.names:
        return f"{named.lat:.4f}, {named.lon:.4f}"
    parts = spoken(named.names)
    return " ".join(parts) if lang == "ko" else ", ".join(map(romanised, reversed(parts)))


def _licence(bought: Described, code: str) -> str:
    licence = LICENCES[code]
    digests = sorted({str(layer["terms_sha256"]) for layer in bought.layers if layer["licence"] == code})
    parts = [f"{licence.name[0]} / {licence.name[1]} ({code})", f"mapex {bought.order.id}", *(f"terms_sha256 {one}" for one in digests)]
    for lang in (0, 1):
        lines = [f"- {line[lang]}" for line in licence.lines]
        clauses = [f"{at}. {clause[lang]}" for at, clause in enumerate(TEXTS[code], 1)]
        parts += ["", *lines, "", *clauses]
    return "\n".join(parts) + "\n"


OPENING: tuple[tuple[str, frozenset[LayerKind]], ...] = (
    ("parquet", VECTOR),
    ("laz", frozenset({LayerKind.POINTCLOUD})),
    ("mcap", frozenset({LayerKind.RECORDING})),
    ("tar", frozenset({LayerKind.PHOTOS})),
    ("mp4", frozenset({LayerKind.VIDEO})),
)
"""Words of how a kind of tiles is opened."""

WORDS: Mapping[str, Mapping[str, str]] = {
    "ko": {
        "title": "mapex 주문 {order}",
        "when": "주문 시각: {at}",
        "where": "영역: {place}, 타일 {count}개",
        "purpose": "용도: {purpose}",
        "permit": "실증특례 승인: {number}, 마지막 날 {last}. 그 뒤에는 새로 내려받을 수 없으며, 보관과 삭제는 승인 조건을 따릅니다.",
        "attribution": "출처 표시(결과를 공개할 때 그대로 적습니다): {attribution}",
        "layer": "데이터셋: {dataset}, 버전 {version}, 레이어 {layer} ({kind}, {classes})\n"
        "  좌표계: {crs}\n  높이 기준: {height}\n  이용허락: {licence}, 전문은 {file}\n  갱신: {updates}",
        "free": "이 주문에서 결제한 타일의 새 버전은 {last}까지 무료",
        "paid": "새 버전은 별도 구매",
        "difference": "이 주문에서 결제한 타일의 새 버전은 바뀐 부분만 결제",
        "unknown": "알 수 없음",
        "open": "여는 방법",
        "parquet": '- .parquet: QGIS에 파일을 끌어 놓거나 파이썬에서 geopandas.read_parquet("<데이터셋>/<레이어>")로 폴더째 엽니다.\n'
        "  객체는 걸치는 타일마다 온전히 들어 있으므로 owner가 참인 행만 남기면 한 번씩만 남습니다.",
        "laz": "- .laz: QGIS나 CloudCompare로 엽니다. 파이썬에서는 laspy로 읽어 open3d로 넘깁니다.\n"
        '  las = laspy.read("파일.laz"); cloud = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(las.xyz - las.xyz[0]))',
        "mcap": "- .mcap: Foxglove나 ROS 2(ros2 bag play)로 엽니다. ROS 1에서 기록한 데이터는 Foxglove로 엽니다.",
        "tar": "- .tar: 원본 사진과 위치(.trajectory.geojson)입니다. 압축을 풀거나 WebDataset으로 엽니다.",
        "mp4": "- .mp4: 브라우저나 재생기로 엽니다. 프레임별 위치와 시각은 CAMM 트랙과 메타데이터에 있습니다(ffprobe, exiftool).",
        "join": "타일을 파일 하나로 합치려면 이 폴더에서 다음을 실행합니다.\n  mapex join . --out map.gpkg",
        "contact": "문의: 판매 기관 {sellers}, 거래소 {url}\n파일별 체크섬은 _manifest.json에 있습니다.",
    },
    "en": {
        "title": "mapex order {order}",
        "when": "Ordered: {at}",
        "where": "Area: {place}, tiles: {count}",
        "purpose": "Purpose: {purpose}",
        "permit": "Permit: {number}, last day {last}. After it nothing can be downloaded; the permit says how long data may be kept.",
        "attribution": "Attribution (to be shown with results, in these words): {attribution}",
        "layer": "Dataset: {dataset}, version {version}, layer {layer} ({kind}, {classes})\n"
        "  Coordinate system: {crs}\n  Heights above: {height}\n  Licence: {licence}, full text in {file}\n  Updates: {updates}",
        "free": "newer versions of the tiles that this order paid are free until {last}",
        "paid": "newer versions are paid separately",
        "difference": "newer versions of the tiles that this order paid are paid for what changed only",
        "unknown": "unknown",
        "open": "How to open the files",
        "parquet": '- .parquet: drop a file into QGIS, or open a folder in Python: geopandas.read_parquet("<dataset>/<layer>").\n'
        "  A feature is whole in every tile that it touches; keep the rows with `owner`, and each is there once.",
        "laz": "- .laz: opens in QGIS and CloudCompare. In Python read it with laspy and hand it to open3d:\n"
        '  las = laspy.read("file.laz"); cloud = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(las.xyz - las.xyz[0]))',
        "mcap": "- .mcap: opens in Foxglove and ROS 2 (ros2 bag play); what was recorded in ROS 1 opens in Foxglove.",
        "tar": "- .tar: original photos and where they were taken (.trajectory.geojson). Unpack it, or open it as a WebDataset.",
        "mp4": "- .mp4: plays in browsers and players. Place and time of each frame: the CAMM track, and the metadata (ffprobe, exiftool).",
        "join": "To make one file of the tiles, run this in this folder:\n  mapex join . --out map.gpkg",
        "contact": "Questions: seller {sellers}, exchange {url}\nChecksums of all files are in _manifest.json.",
    },
}
"""The words of the README, by language."""

"""What the features of a delivery refer to: each id that a column names must be there, and neighbours must name one another.

The ends of links (FromNodeID, ToNodeID) are compared in `ingest.checks.links`, with where they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.deliveries import ngii_model
from ingest.findings import info, warning
from ingest.readers.ngii.layers import DeliveredLayer, columns, id_column
from mapex.catalogue.finding import Finding

_EXAMPLES = 20
_LINKS, _NODES = ("A2_LINK", "NT2_LINK", "A3_LINK"), ("A1_NODE", "NT1_NODE", "C1_NODE")
TARGETS: Mapping[str, Sequence[str]] = {
    **dict.fromkeys(("r_linkid", "l_linkid", "linkid", "fromlink", "tolink"), _LINKS),
    **dict.fromkeys(("fromnode", "tonode", "nodeid"), _NODES),
    **dict.fromkeys(("f_node", "t_node"), ("MOCT_NODE",)),
    "sectionid": ("A3_DRIVEWAYSECTION", "A4_SUBSIDIARYSECTION"),
    "postid": ("C6_POSTPOINT", "SF4_SUPPORTPOST"),
    "ref_id": ("C3_VEHICLEPROTECTIONSAFETY",),
    "pathwayid": ("PW1_PATHWAY",),
    "roadtypeid": ("RS2_ROADSTRUCTURE", "RS3_SUBSIDIARYSECTION"),
}
"""Columns (lower case: the wild has `L_LinKID`, `postID`) that refer to features, and the layers that these may be in."""
_OWN = {"MOCT_NODE": ("node_id",), **dict.fromkeys(_LINKS, ("id", "hdufid", "linkid")), **dict.fromkeys(_NODES, ("id", "hdufid", "nodeid"))}
"""Under which columns a link or node may be referred to; features of other layers by their id alone."""


def check(layers: Sequence[DeliveredLayer], file: str) -> Iterator[Finding]:
    """Ids that nothing has, references that could not be followed, and neighbours that do not name one another."""
    there = _there(layers)
    absent: set[tuple[str, str]] = set()
    for layer in layers:
        for column, (ids, values) in _references(layer).items():
            targets = [target for target in TARGETS[column] if ngii_model(target) == ngii_model(layer.code)]
            known = [there[target] for target in targets if target in there]
            if not known:
                absent |= {(column, " / ".join(targets))} if values.null_count < len(values) else set()
                continue
            yield from _dangling(layer, ids, values, pc.unique(pa.concat_arrays(known)), file)
        yield from _one_sided(layer, file)
    for column, names in sorted(absent):
        text = f"What {column} refers to was not checked: the delivery has no layer {names}."
        yield info("ngii.not_checked", text, "Deliver all layers together if you can.", file=file, value=names)


def _there(layers: Sequence[DeliveredLayer]) -> dict[str, Any]:
    """The ids of each layer that is there, over all sections."""
    found: dict[str, list[Any]] = {}
    wanted = {target for targets in TARGETS.values() for target in targets}
    for layer in layers:
        dbf = layer.table() if layer.code in wanted else None
        if dbf is not None:
            own = columns(dbf, _OWN.get(layer.code, ("id", "hdufid")))
            found.setdefault(layer.code, []).extend(pc.unique(pc.drop_null(ids)) for ids in own.values())
    return {code: pc.unique(pa.concat_arrays(parts)) for code, parts in found.items() if parts}


def _references(layer: DeliveredLayer) -> dict[str, tuple[Any, Any]]:
    """Columns that refer to features, each with the ids of the rows."""
    dbf = layer.table()
    own = id_column(dbf) if dbf is not None else None
    if dbf is None or own is None:
        return {}
    there = columns(dbf, (own, *TARGETS))
    itself = {"linkid"} if layer.code in _LINKS else {"nodeid"} if layer.code in _NODES else set()
    return {name: (there[own], values) for name, values in there.items() if name in TARGETS and name not in {own, *itself}}


def _dangling(layer: DeliveredLayer, ids: Any, values: Any, known: Any, file: str) -> Iterator[Finding]:
    odd = pc.fill_null(pc.and_(pc.is_valid(values), pc.invert(pc.is_in(values, known))), False)
    rows = pc.indices_nonzero(odd).to_pylist()
    where = {"file": file, "layer": "hdmap"}
    fix = "Deliver what it refers to, or clear the reference."
    for row in rows[:_EXAMPLES]:
        feature, missing = str(ids[row].as_py() or f"{layer.name}/{row}"), str(values[row].as_py())
        text = f"{feature} ({layer.name}) refers to {missing}, which the delivery does not hold."
        yield warning("reference.dangling", text, fix, feature=feature, value=missing, **where)
    if len(rows) > _EXAMPLES:
        more = len(rows) - _EXAMPLES
        text = f"{more} more features of {layer.name} refer to ids that the delivery does not hold."
        yield warning("reference.dangling", text, fix, count=more, **where)


def _one_sided(layer: DeliveredLayer, file: str) -> Iterator[Finding]:
    """Links whose right neighbour names another link at its left, or the other way round."""
    dbf = layer.table() if layer.code in ("A2_LINK", "NT2_LINK") else None
    if dbf is None:
        return
    own = columns(dbf, ("id", "r_linkid", "l_linkid"))
    if len(own) < 3 or not len(own["id"]):
        return
    right, left = (_rows_of(own[name], own["id"]) for name in ("r_linkid", "l_linkid"))
    odd = np.zeros(len(right), bool)
    for there, back in ((right, left), (left, right)):
        odd |= (there >= 0) & (back[there] != np.arange(len(there))) & (back[there] >= 0)
    rows = np.flatnonzero(odd).tolist()
    for row in rows[:_EXAMPLES]:
        name = str(own["id"][row].as_py())
        text = f"{name} ({layer.name}) names a neighbour that names another link on this side."
        yield info("ngii.one_sided", text, "Check R_LinkID and L_LinkID of both.", file=file, layer="hdmap", feature=name)
    if len(rows) > _EXAMPLES:
        text = f"{len(rows) - _EXAMPLES} more links of {layer.name} name a neighbour that names another link on this side."
        yield info("ngii.one_sided", text, "Check R_LinkID and L_LinkID of both.", file=file, layer="hdmap", count=len(rows) - _EXAMPLES)


def _rows_of(values: Any, ids: Any) -> Any:
    """The row of each id; -1 where it is empty, or not in this layer."""
    return np.asarray(pc.fill_null(pc.index_in(values, pc.fill_null(ids, "")), -1))

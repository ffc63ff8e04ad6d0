"""Seoul's pedestrian network (서울시 자치구별 도보 네트워크 공간정보): nodes and links in one table, each with a column of WKT.

Its columns are known by their Korean names of the file and by the Latin ones of the same data set's API.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ingest.findings import warning
from mapex.catalogue.finding import Finding
from tiles.batch import Kind

_FORMS: Sequence[Mapping[str, str]] = (
    {
        "type": "노드링크 유형", "node_wkt": "노드 WKT", "node": "노드 ID", "link_wkt": "링크 WKT", "link": "링크 ID",
        "from": "시작노드 ID", "to": "종료노드 ID", "crossing": "횡단보도",
    },
    {
        "type": "NODE_TYPE", "node_wkt": "NODE_WKT", "node": "NODE_ID", "link_wkt": "LNKG_WKT", "link": "LNKG_ID",
        "from": "BGNG_LNKG_ID", "to": "END_LNKG_ID", "crossing": "CRSWK",
    },
)  # fmt: skip
_YES = pa.array(["1", "1.0", "Y", "y", "TRUE", "True", "true"])
_EXAMPLES = 20


@dataclass(slots=True)
class SeoulWalks:
    """The network while it is read: nodes that were there, and what links refer to."""

    names: Mapping[str, str]
    nodes: list[Any] = field(default_factory=list)
    ends: list[tuple[Any, Any]] = field(default_factory=list)

    @staticmethod
    def of(names: Sequence[str]) -> SeoulWalks | None:
        """The network that a table with these columns is; None when it is none."""
        found = next((form for form in _FORMS if {form["type"], form["node_wkt"], form["link_wkt"]} <= set(names)), None)
        return None if found is None else SeoulWalks({key: name for key, name in found.items() if name in names})

    @property
    def columns(self) -> dict[str, str]:
        """The columns of its places."""
        return {"wkt": f"{self.names['node_wkt']}|{self.names['link_wkt']}"}

    def take(self, table: pa.Table) -> tuple[Any, Any]:
        """Ids and kinds of some rows; what is referred to is remembered."""
        is_node = pc.fill_null(pc.equal(pc.utf8_upper(self._column(table, "type")), "NODE"), False)
        node, link = self._column(table, "node"), self._column(table, "link")
        ids = pc.if_else(is_node, pc.binary_join_element_wise("node", node, "/"), pc.binary_join_element_wise("link", link, "/"))
        crossing = pc.fill_null(pc.is_in(self._column(table, "crossing"), _YES), False)
        walked = pc.if_else(crossing, str(Kind.CROSSING), str(Kind.SIDEWALK))
        self.nodes.append(pc.drop_null(pc.unique(node.filter(is_node))))
        links = pc.invert(is_node)
        for end in ("from", "to"):
            self.ends.append((ids.filter(links), self._column(table, end).filter(links)))
        return ids, pc.if_else(is_node, str(Kind.NODE), walked)

    def findings(self, file: str) -> Iterator[Finding]:
        """Links whose nodes are not in the table."""
        known = pc.unique(pa.concat_arrays(self.nodes)) if self.nodes else pa.array([], pa.string())
        count = 0
        for ids, values in self.ends if len(known) else ():
            odd = pc.fill_null(pc.and_(pc.is_valid(values), pc.invert(pc.is_in(values, known))), False)
            for row in pc.indices_nonzero(odd).to_pylist():
                count += 1
                if count <= _EXAMPLES:
                    text, fix = "The link names a node that the source does not hold.", "Deliver the nodes with the links."
                    where = {"file": file, "layer": "sidewalks", "feature": str(ids[row].as_py()), "value": str(values[row].as_py())}
                    yield warning("reference.dangling", text, fix, **where)
        if count > _EXAMPLES:
            text, fix = "The link names a node that the source does not hold.", "Deliver the nodes with the links."
            yield warning("reference.dangling", text, fix, file=file, layer="sidewalks", count=count - _EXAMPLES)

    def _column(self, table: pa.Table, key: str) -> Any:
        name = self.names.get(key)
        return pa.nulls(table.num_rows, pa.string()) if name is None else table.column(name).combine_chunks()

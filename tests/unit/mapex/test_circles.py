"""No module imports itself by a detour, not even for types or inside a function."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter

import grimp


def test_modules_import_in_one_direction() -> None:
    graph = grimp.build_graph("tiles", "mapex", "ingest", "web", exclude_type_checking_imports=False)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert sum(map(len, imports.values())) > 500, "the code is read as it is written"
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as found:
        raise AssertionError(" -> ".join(found.args[1])) from found

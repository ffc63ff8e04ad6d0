"""A module with routes is in the table of its room, and the menu leads only to pages that its readers may open."""

from __future__ import annotations

from pathlib import Path

import web
from tests.support.exchange import an_exchange
from web.edge.policy import EVERYONE, policy_of
from web.pages.navigation import MENU

ROOT = Path(web.__file__).parent


def with_blueprint(folder: Path) -> set[str]:
    """Dotted names, from `folder`, of the modules that have a blueprint."""
    return {
        ".".join(path.relative_to(folder).with_suffix("").parts)
        for path in folder.rglob("*.py")
        if "\nblueprint = " in path.read_text(encoding="utf-8")
    }


def test_every_module_with_routes_is_registered() -> None:
    assert set(web.PAGES) == with_blueprint(ROOT / "pages") - {"demo"}  # `demo` is registered in a demonstration only
    assert set(web.API) == with_blueprint(ROOT / "api")


def test_the_menu_leads_where_its_readers_may_go(tmp_path: Path) -> None:
    app = web.create_app(an_exchange(tmp_path / "ex"))
    pages = {rule.rule: policy_of(app.view_functions[rule.endpoint]) for rule in app.url_map.iter_rules() if "GET" in (rule.methods or ())}
    for line in MENU:
        policy = pages[line.path]
        assert policy is not None
        assert policy.is_public or (line.roles or EVERYONE) <= policy.roles

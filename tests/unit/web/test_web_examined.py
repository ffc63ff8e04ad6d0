"""The operator's first page says whether attacks on the exchange work, in both languages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mapex.audit import examination
from mapex.audit.examination import Examined
from mapex.exchange import Exchange
from mapex.people import persons
from tests.support.exchange import a_person, an_exchange
from web import create_app

PASSWORD = "twelve letters and more"

CASES = [
    ([], "never", "never attacked", "점검한 적이 없습니다"),
    ([Examined("cage", True, "")], "passing", "nothing worked", "성공한 공격은 없었습니다"),
    ([Examined("cage", False, "read <b>/x</b>")], "failing", "no footage is published", "영상을 게시하거나 열람할 수 없습니다"),
]


@pytest.fixture
def ex(tmp_path: Path) -> Exchange:
    return an_exchange(tmp_path / "ex")


@pytest.mark.parametrize(("found", "state", "english", "korean"), CASES, ids=[case[1] for case in CASES])
def test_the_operator_sees_whether_attacks_work(ex: Exchange, found: list[Examined], state: str, english: str, korean: str) -> None:
    if found:
        examination.keep(ex, found)
    operator = a_person(ex, role="operator")
    persons.set_password(ex, None, operator.email, PASSWORD)
    client = create_app(ex).test_client()
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', client.get("/login").get_data(as_text=True))
    assert token
    assert client.post("/login", data={"email": operator.email, "password": PASSWORD, "csrf_token": token[1]}).status_code == 302
    for language, words in (("en", english), ("ko", korean)):
        page = client.get(f"/operate?lang={language}").get_data(as_text=True)
        assert f'data-state="{state}"' in page and words in page
    if state == "failing":
        assert "read &lt;b&gt;/x&lt;/b&gt;" in page

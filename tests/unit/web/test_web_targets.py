"""Where an answer leads: to a path of this site, whatever a form or an address asked for; and never to a fault of ours."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

import pytest
from flask import redirect
from hypothesis import given
from hypothesis import strategies as st

from mapex.database import attempts
from mapex.exchange import Actor, Exchange
from mapex.people import persons
from tests.support.exchange import a_person, an_exchange
from web import create_app
from web.edge.headers import local_path
from web.edge.policy import policy

ELSEWHERE = (
    "//evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    "/\r\n/evil.example",
    "\t//evil.example",
    " //evil.example",
    "/\x0b/evil.example",
    "/\x01/evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "/\\\t/evil.example",
    "///evil.example",
    "https://evil.example/",
    "https:evil.example",
    "http:/evil.example",
    "javascript:alert(1)",
    "evil.example",
    "//[",
    "//127.0.0.1:99999999/",
    "//evil.example@127.0.0.1/",
    "/a\r\nSet-Cookie: a=b",
    "/\x85/evil.example",
    "/\ud800",
    "",
)
HERE = ("/", "/explore", "/sell/pangyo-hd/1?layer=a#b", "/datasets/한빛/도로", "/a//b", "/@evil.example", "/:80", "/a b")


@pytest.fixture(scope="module")
def ex(tmp_path_factory: pytest.TempPathFactory) -> Exchange:
    return an_exchange(tmp_path_factory.mktemp("targets"))


@pytest.fixture(scope="module")
def by(ex: Exchange) -> Actor:
    return a_person(ex, "hanbit")


def led_to(location: str | None) -> str:
    """Where a browser goes from `http://localhost/login`: it leaves out tabs and line ends, and takes a backslash for a slash."""
    assert location is not None
    address = re.sub("[\t\r\n]", "", location.strip(" \x00\x01\x0b\x0c")).replace("\\", "/")
    if re.match("[a-z]+:|//", address):
        return address
    return "here"


@pytest.mark.parametrize("wish", ELSEWHERE)
def test_what_is_no_path_of_ours_is_never_gone_to(wish: str) -> None:
    assert local_path(wish, "other") == "other"


@pytest.mark.parametrize("wish", HERE)
def test_a_path_of_ours_is(wish: str) -> None:
    assert local_path(wish, "other") == wish


@given(st.text(alphabet="/\\\t\r\n\x00\x0b :@.a[?#é\ud800", max_size=12))
def test_whatever_is_taken_for_a_path_leads_here(wish: str) -> None:
    taken = local_path(wish)
    assert led_to(taken) == "here" and redirect(taken).status_code == 302


@pytest.mark.parametrize("wish", ELSEWHERE)
def test_choosing_a_theme_leads_to_no_other_site(ex: Exchange, wish: str) -> None:
    answer = create_app(ex).test_client().post("/theme", data=f"theme=dark&back={_quoted(wish)}", content_type=FORM)
    assert answer.status_code == 302 and led_to(answer.location) == "here"


@pytest.mark.parametrize("where", ["address", "form"])
@pytest.mark.parametrize("wish", [*ELSEWHERE, *HERE])
def test_the_log_in_leads_to_no_other_site(ex: Exchange, by: Actor, wish: str, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(persons, "verify_password", lambda ex, email, _: persons.get_person(ex, email=email))
    attempts.forget(ex)
    client = create_app(ex).test_client()
    address = f"/login?next={_quoted(wish)}" if where == "address" else "/login"
    page = client.get(address)
    assert page.status_code == 200
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page.get_data(as_text=True))
    assert found
    form = f"email={by.email}&password=any&csrf_token={found[1]}" + (f"&next={_quoted(wish)}" if where == "form" else "")
    answer = client.post(address, data=form, content_type=FORM)
    assert answer.status_code == 302 and led_to(answer.location) == "here"
    if wish in HERE and "?" not in wish:
        assert unquote(answer.location) == wish


@pytest.mark.parametrize("path", ["//evil.example/a", "/%09/evil.example", "/%5Cevil.example", "/%2Fevil.example", "/a%0d%0aX: y"])
def test_the_link_to_the_other_language_stays_here(ex: Exchange, path: str) -> None:
    answer = create_app(ex).test_client().get(path, base_url="http://localhost")
    if answer.status_code in (301, 302, 308):
        assert led_to(answer.location) == "here"
        return
    assert answer.status_code == 404
    links = re.findall(r'(?:href|action)="([^"]*)"', answer.get_data(as_text=True))
    assert links and all(led_to(link) == "here" or link.startswith("https://") for link in links)
    assert not any("evil.example" in link and led_to(link) != "here" for link in links)


def test_no_view_can_lead_elsewhere_even_by_mistake(ex: Exchange) -> None:
    app = create_app(ex)
    app.add_url_rule("/careless", view_func=policy("public")(lambda: redirect("https://evil.example/")))
    assert app.test_client().get("/careless").location == "/"


FORM = "application/x-www-form-urlencoded"


def _quoted(text: str) -> str:
    return quote(text.encode("utf-8", "surrogatepass"), safe="")

from __future__ import annotations

from pathlib import Path

from mapex.login import applications, resets
from mapex.login.applications import NewApplication
from mapex.rights import permit_requests
from tests.integration.people.test_matrix import a_request
from tests.support.browser import Market
from tests.support.pages import BUYER, COUNT, OPERATOR, at_rest, stock

OUT = Path("/tmp/m7shots")


def test_look(market: Market) -> None:
    OUT.mkdir(exist_ok=True)
    st = stock(market)
    ex = market.site.ex
    link = applications.apply(
        ex,
        "203.0.113.1",
        NewApplication(
            "gildong",
            "길동모빌리티 주식회사",
            "홍길동",
            "hong@gildong.example",
            "분당구 백현동의 정밀도로지도와 점군을 사서 배달 로봇의 측위를 시험하려고 합니다.",
        ),
    )
    applications.apply(ex, "203.0.113.2", NewApplication("spam", "Buy cheap things", "x", "spam@x.example", "spam"))
    req = permit_requests.request(ex, market.buyer, a_request(market.buyer))
    reset = resets.hand_out(ex, None, "maps@hanbit.example")
    pages = [
        ("", "/"),
        ("", "/login"),
        ("", "/forgot"),
        ("", "/register"),
        ("", f"/register/{link}"),
        ("", f"/reset/{reset}"),
        ("", "/help"),
        ("", "/help/buyer"),
        ("", "/help/codes"),
        ("", "/help?q=mapex join"),
        ("", "/invite/nothing"),
        (OPERATOR, "/operate/applications"),
        (OPERATOR, "/operate/permits"),
        (OPERATOR, "/operate/persons"),
        (BUYER, "/account"),
        (BUYER, "/account/permits/request"),
        (BUYER, f"/orders/{st.order}"),
        (BUYER, f"/quotes/{st.quote}"),
    ]
    for lang in ("ko", "en"):
        windows = {}
        for who, path in pages:
            if who not in windows:
                windows[who] = market.site.visit(who, lang=lang, color_scheme="dark", device_scale_factor=1)
                windows[who].context.add_init_script(COUNT)
            page = windows[who]
            for width in (1440, 390):
                if lang == "en" and width == 1440 and who:
                    continue
                page.set_viewport_size({"width": width, "height": 900 if width == 1440 else 844})
                page.goto(market.site.url + path)
                try:
                    at_rest(page)
                except Exception as e:
                    print(path, e)
                wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
                if wide > 0:
                    print("WIDE", lang, path, width, wide)
                name = path.strip("/").replace("/", "_").replace("?", "_")[:30] or "start"
                page.screenshot(
                    path=str(OUT / f"{lang}-{width}-{name}.png"), full_page=width == 390 or "operate" in path or "account" in path
                )
        for w in windows.values():
            w.context.close()
    print(market.site.complaints)

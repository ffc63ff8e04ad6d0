from tests.e2e.test_choice import *
from tests.support.browser import map_idle
import itertools
def test_pictures(rivals):
    a_permit(rivals.site.ex, number="L-7")
    for lang, size, scheme in ((
        ("en",(1440,900),"dark")),("ko",(1440,900),"light"),("ko",(390,844),"dark"),("en",(390,844),"light")):
        page = explore(rivals, more="&p=research", lang=lang, size=size, color_scheme=scheme, device_scale_factor=1)
        map_idle(page)
        n=f"/tmp/u1-{lang}-{size[0]}"
        page.screenshot(path=n+"-explore.png")
        page.click("details.compare summary")
        page.check("[data-offer='nuri/fine/hdmap'] input")
        page.check("[data-offer='hanbit/drive/recording'] input")
        expect(page.locator("[data-offer='hanbit/drive/recording']")).to_have_attribute("data-chosen", "yes")
        page.locator("[data-group]").scroll_into_view_if_needed()
        page.screenshot(path=n+"-explore2.png", full_page=True)
        page.locator(".panel.quote").evaluate("e => e.scrollTo(0, 500)")
        page.screenshot(path=n+"-explore3.png")
        page.click("#review"); page.wait_for_url("**/quotes/*"); ready(page)
        page.screenshot(path=n+"-quote.png", full_page=True)
        if size[0]==390 and lang=="ko":
            page.check(f"[name=person][value='{BUYER}']"); 
            page.uncheck
        page.context.close()

"""The API documentation, as a person uses it: everything from this server, and calls that really happen."""

from playwright.async_api import Browser, expect

from tests.browser.conftest import open_page


async def test_a_call_can_be_tried_out_on_the_page(browser: Browser, gateway: str) -> None:
    async with open_page(browser, f"{gateway}/docs") as seen:
        page = seen.page
        assert page.url == f"{gateway}/docs/"
        await expect(page.locator(".swagger-ui .info h1")).to_contain_text("hfproxy")
        call = page.locator("#operations-account-show_account")
        await call.locator(".opblock-summary-control").click()
        await call.get_by_role("button", name="Try it out").click()
        await call.get_by_role("button", name="Execute").click()
        answer = call.locator(".live-responses-table .response").first
        await expect(answer.locator(".response-col_status")).to_contain_text("200")
        await expect(answer).to_contain_text("alice")


async def test_it_is_dark_where_the_reader_wants_it_so(browser: Browser, gateway: str) -> None:
    async with open_page(browser, f"{gateway}/docs/", scheme="dark") as seen:
        title = seen.page.locator(".swagger-ui .info h1")
        await expect(title).to_contain_text("hfproxy")
        await expect(seen.page.locator("body")).to_have_css("background-color", "rgb(28, 32, 34)")
        await seen.page.emulate_media(color_scheme="light")
        await expect(seen.page.locator("body")).to_have_css("background-color", "rgb(255, 255, 255)")

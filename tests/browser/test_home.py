"""The home page, as a person uses it."""

from pathlib import Path

import aiohttp
import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, expect

from tests.browser.conftest import open_page, sandboxed_gateway
from tests.support.path_prefix import below_prefix


async def _create(page: Page, name: str, kind: str = "Model") -> None:
    if await page.locator("#create").get_attribute("open") is None:
        await page.get_by_text("New repository").click()
    await page.locator("#create-type").select_option(label=kind)
    await page.locator("#create-name").fill(name)
    await page.get_by_role("button", name="Create").click()


async def _check_accessibility(page: Page) -> None:
    found = await Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


async def test_it_says_whether_the_gateway_is_ready_which_hub_and_whose_account(browser: Browser, gateway: str) -> None:
    async with open_page(browser, f"{gateway}/") as seen:
        await expect(seen.page.locator("#ready")).to_have_text("ready")
        await expect(seen.page.locator("#hub-state")).to_have_text("reachable")
        await expect(seen.page.locator("#hub")).to_contain_text("http://127.0.0.1:")
        await expect(seen.page.locator("#account")).to_contain_text("alice")
        await expect(seen.page.locator("#use-curl")).to_contain_text(f"curl {gateway}/api/account")
        await expect(seen.page.locator("#use-hf")).not_to_contain_text("HF_TOKEN")


async def test_a_repository_is_created_made_public_and_deleted_by_form(browser: Browser, gateway: str) -> None:
    async with open_page(browser, f"{gateway}/") as seen:
        page = seen.page
        await expect(page.locator("#message")).to_have_text("alice has no models here.")
        await _create(page, "demo")
        await expect(page.locator("#message")).to_have_text("alice/demo is created.")
        item = page.locator("#repos li")
        await expect(item).to_have_count(1)
        await expect(item.locator(".badge")).to_have_text("private")
        await page.get_by_role("button", name="Make alice/demo public").click()
        await expect(item.locator(".badge")).to_have_text("public")
        await page.get_by_role("button", name="Delete alice/demo").click()
        await expect(page.locator("#delete-confirm")).to_be_disabled()
        await page.locator("#delete-typed").fill("alice/dem")
        await expect(page.locator("#delete-confirm")).to_be_disabled()
        await page.locator("#delete-typed").fill("alice/demo")
        await page.get_by_role("button", name="Delete it").click()
        await expect(page.locator("#message")).to_contain_text("alice/demo is deleted.")
        await expect(item).to_have_count(0)
        await expect(page.locator("#delete")).to_be_hidden()


async def test_a_space_says_what_it_runs_on(browser: Browser, gateway: str) -> None:
    async with open_page(browser, f"{gateway}/") as seen:
        await expect(seen.page.locator("#create-sdk-label")).to_be_hidden()
        await _create(seen.page, "board", kind="Space")
        await expect(seen.page.locator("#message")).to_have_text("alice/board is created.")
        await expect(seen.page.locator("#list-type")).to_have_value("space")


async def test_what_goes_wrong_is_told_in_the_hubs_words_or_ours(browser: Browser, gateway: str) -> None:
    async with open_page(browser, f"{gateway}/") as seen:
        await _create(seen.page, "demo")
        await expect(seen.page.locator("#message")).to_have_text("alice/demo is created.")
        await _create(seen.page, "demo")
        await expect(seen.page.locator("#error")).to_contain_text("already created")
        await _create(seen.page, "no--name")
        await expect(seen.page.locator("#error")).to_contain_text("name:")
        await _create(seen.page, "nobody/demo")
        await expect(seen.page.locator("#error")).not_to_contain_text("name:")
        await expect(seen.page.locator("#error")).not_to_be_empty()
        await expect(seen.page.get_by_role("button", name="Create")).to_be_enabled()


async def test_it_asks_for_a_key_where_one_is_needed(browser: Browser, tmp_path: Path) -> None:
    async with (
        sandboxed_gateway(tmp_path, ACCESS__ANONYMOUS="none") as gateway,
        open_page(browser, f"{gateway}/") as seen,
    ):
        await expect(seen.page.locator("#key-form")).to_be_visible()
        await expect(seen.page.locator("#use-hf")).to_contain_text("HF_TOKEN=hfp_YOUR_KEY")
        await expect(seen.page.locator("#account")).to_contain_text("key")
        assert await seen.page.locator("#key").get_attribute("type") == "password"


async def test_it_works_with_the_keyboard_alone(browser: Browser, gateway: str) -> None:
    async with open_page(browser, f"{gateway}/") as seen:
        page = seen.page
        await expect(page.locator("#message")).not_to_be_empty()
        await page.keyboard.press("Tab")
        await expect(page.get_by_text("Skip to the content")).to_be_focused()
        await page.locator("#create > summary").focus()
        await page.keyboard.press("Enter")
        await page.locator("#create-name").focus()
        await page.keyboard.type("typed")
        await page.keyboard.press("Enter")
        await expect(page.locator("#message")).to_have_text("alice/typed is created.")
        await page.get_by_role("button", name="Delete alice/typed").focus()
        await page.keyboard.press("Enter")
        await expect(page.locator("#delete-typed")).to_be_focused()
        await page.keyboard.press("Escape")
        await expect(page.locator("#delete")).to_be_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_nothing_hinders_people_with_other_means(scheme: str, browser: Browser, gateway: str) -> None:
    async with open_page(browser, f"{gateway}/", scheme=scheme) as seen:
        page = seen.page
        await _create(page, "demo")
        await expect(page.locator("#repos li")).to_have_count(1)
        await _check_accessibility(page)
        await page.get_by_role("button", name="Delete alice/demo").click()
        await _check_accessibility(page)


async def test_it_fits_a_phone(browser: Browser, gateway: str) -> None:
    async with open_page(browser, f"{gateway}/", width=360) as seen:
        await _create(seen.page, "a-rather-long-name-for-a-repository-that-somebody-chose")
        await expect(seen.page.locator("#repos li")).to_have_count(1)
        assert await seen.page.evaluate("document.documentElement.scrollWidth") == 360


async def test_it_works_below_a_path_prefix(browser: Browser, gateway: str) -> None:
    async with below_prefix(gateway, "/tools/hub") as url, open_page(browser, f"{url}/") as seen:
        await expect(seen.page.locator("#account")).to_contain_text("alice")
        await _create(seen.page, "demo")
        await expect(seen.page.locator("#message")).to_have_text("alice/demo is created.")
        await expect(seen.page.locator("#use-hf")).to_contain_text(f"HF_ENDPOINT={url}\n")
        await seen.page.get_by_role("link", name="API documentation").click()
        await expect(seen.page.locator(".swagger-ui .info h1")).to_contain_text("hfproxy")


async def test_programs_get_json_and_browsers_the_page(gateway: str) -> None:
    async with aiohttp.ClientSession() as http:
        async with http.get(f"{gateway}/") as response:
            told = await response.json()
            assert (told["name"], told["links"]["docs"]) == ("hfproxy", "docs/")
        async with http.get(f"{gateway}/", headers={"Accept": "text/html,*/*;q=0.8"}) as response:
            assert response.content_type == "text/html"
            assert "'unsafe-inline'" not in response.headers["Content-Security-Policy"]
            etag = response.headers["ETag"]
            assert response.headers["Content-Encoding"] == "gzip"
            assert "Accept" in response.headers["Vary"]
        known = {"Accept": "text/html", "If-None-Match": etag}
        async with http.get(f"{gateway}/", headers=known) as response:
            assert (response.status, await response.read()) == (304, b"")

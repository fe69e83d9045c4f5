"""A real browser, and a gateway on the built-in Hub for it to look at.

Debian's Chromium (`apt-get install chromium fonts-dejavu-core`): playwright's own builds are a download.
"""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

from hfproxy.server import hub_ready, running_gateway
from hfproxy.settings_loading import load_settings

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
# A busy machine takes its time; playwright would wait for 5 s.
_PATIENCE_MS = 120_000
expect.set_options(timeout=_PATIENCE_MS)
_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


class Watched:
    """A page, and everything it complained about: errors, refused policies, requests that failed or went elsewhere."""

    def __init__(self, page: Page, origin: str) -> None:
        self.page = page
        self.complaints: list[str] = []
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        page.on("requestfailed", lambda request: self.complaints.append(f"failed: {request.url}"))
        page.on(
            "request",
            lambda request: (
                None
                if request.url.startswith((origin, "data:", "blob:"))
                else self.complaints.append(f"elsewhere: {request.url}")
            ),
        )
        page.on(
            "console",
            # Chromium writes a line for every answer of 400 or more: those the page itself must tell.
            lambda message: (
                self.complaints.append(f"{message.type}: {message.text}")
                if message.type in {"error", "warning"} and "Failed to load resource" not in message.text
                else None
            ),
        )


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """A browser of its own for each test."""
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed (apt-get install chromium)")
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(executable_path=CHROMIUM, args=_ARGUMENTS, timeout=_PATIENCE_MS)
        yield running
        await running.close()


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[str]:
    """The URL of a gateway on a sandbox Hub of its own."""
    async with sandboxed_gateway(tmp_path) as url:
        yield url


@asynccontextmanager
async def sandboxed_gateway(root: Path, **variables: str) -> AsyncIterator[str]:
    environ = {
        "HF_ENDPOINT": "sandbox",
        "HFPROXY_SERVER__PORT": "0",
        "HFPROXY_STORAGE__ROOT": str(root),
        "HFPROXY_SANDBOX__SEED": "none",
        **{f"HFPROXY_{name}": value for name, value in variables.items()},
    }
    settings = load_settings(environ=environ, dotenv=None).settings
    async with hub_ready(settings) as ready, running_gateway(ready) as url:
        yield url


@asynccontextmanager
async def open_page(browser: Browser, url: str, *, width: int = 1100, scheme: str = "light") -> AsyncIterator[Watched]:
    """A page that has loaded; on leaving, it must not have complained about anything."""
    page = await browser.new_page(
        viewport={"width": width, "height": 800}, color_scheme="dark" if scheme == "dark" else "light"
    )
    page.set_default_timeout(_PATIENCE_MS)
    watched = Watched(page, url.split("/", 3)[0] + "//" + url.split("/", 3)[2])
    await page.goto(url)
    yield watched
    assert watched.complaints == []
    await page.close()

"""Makes the pictures of the README: the first screen of the terminal, and the home page in Debian's Chromium.

.venv/bin/python docs/images/make.py
"""

import asyncio
import re
import tempfile
from pathlib import Path

from playwright.async_api import async_playwright
from pydantic import SecretStr
from rich.console import Console

from hfproxy.first_screen import gateway_screen
from hfproxy.server import hub_ready, running_gateway
from hfproxy.settings_loading import load_settings

HERE = Path(__file__).parent
ADDRESS = "http://127.0.0.1:8080"
HUB = "http://127.0.0.1:8090"


def draw_first_screen() -> None:
    given = load_settings(environ={"HF_ENDPOINT": "sandbox"}, dotenv=None).settings
    upstream = given.upstream.model_copy(update={"endpoint": HUB, "token": SecretStr("hf_sandbox_alice")})
    with (Path("/dev/null")).open("w") as nowhere:
        console = Console(record=True, width=104, file=nowhere, force_terminal=True)
        gateway_screen(console, ADDRESS, given, given.model_copy(update={"upstream": upstream}))
        drawn = console.export_svg(title="make run")
    # The fonts of the machine will do: a picture must not fetch any.
    (HERE / "first-screen.svg").write_text(re.sub(r"@font-face \{.*?\}", "", drawn, flags=re.DOTALL))


async def draw_home_page() -> None:
    with tempfile.TemporaryDirectory() as root:
        environ = {"HF_ENDPOINT": "sandbox", "HFPROXY_SERVER__PORT": "8080", "HFPROXY_SANDBOX__PORT": "8090"}
        settings = load_settings(environ={**environ, "HFPROXY_STORAGE__ROOT": root}, dotenv=None).settings
        async with hub_ready(settings) as ready, running_gateway(ready) as url, async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
            page = await browser.new_page(viewport={"width": 1040, "height": 690}, color_scheme="light")
            await page.goto(f"{url}/")
            await page.locator("#repos li").first.wait_for()
            await page.screenshot(path=HERE / "home.png")
            await browser.close()


if __name__ == "__main__":
    draw_first_screen()
    asyncio.run(draw_home_page())

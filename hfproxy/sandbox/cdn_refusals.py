"""What the CDN says when it does not give: XML, as object stores say it."""

import html

from aiohttp import web


class CdnRefusal(Exception):
    """An answer in XML, as object stores give it."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message

    def answer(self) -> web.Response:
        body = (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f"<Error><Code>{self.code}</Code><Message>{html.escape(self.message)}</Message></Error>"
        )
        return web.Response(status=self.status, body=body.encode(), headers={"Content-Type": "application/xml"})

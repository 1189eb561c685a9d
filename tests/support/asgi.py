"""A synchronous client for ASGI apps: requests go through the app in this process, without a port."""

from typing import Any

import anyio
import httpx

from monailabel_app.identity import LOCAL, SCOPE_KEY, Identity


def as_asked_by(app: Any, identity: Identity = LOCAL) -> Any:
    """An app as it is behind its guard, asked by one person."""

    async def identified(scope: Any, receive: Any, send: Any) -> None:
        scope[SCOPE_KEY] = identity
        await app(scope, receive, send)

    return identified


class AsgiClient:
    def __init__(self, app: Any, base_url: str = "http://127.0.0.1:8000") -> None:
        self._app = app
        self._base_url = base_url

    def request(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self._app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url=self._base_url) as client:
                return await client.request(method, path, **kwargs)

        return anyio.run(send)

    def get(self, path: str, **kwargs: Any) -> httpx.Response:
        return self.request("GET", path, **kwargs)

    def put(self, path: str, **kwargs: Any) -> httpx.Response:
        return self.request("PUT", path, **kwargs)

    def post(self, path: str, **kwargs: Any) -> httpx.Response:
        return self.request("POST", path, **kwargs)

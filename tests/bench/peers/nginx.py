"""nginx where it is installed: serving files, caching an upstream whole or in slices, in front of a gateway."""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from tests.bench.processes import Server, wait_for_port
from tests.support.waiting import free_port

Role = Literal["files", "cache", "slices", "front"]

_CONFIG = """
daemon off;
pid {folder}/pid;
error_log {folder}/error.log warn;
worker_processes {workers};
events {{ worker_connections 4096; }}
http {{
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000;
  types {{ }}
  default_type application/octet-stream;
  client_body_temp_path {folder}/bodies;
  proxy_temp_path {folder}/proxied;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  proxy_cache_path {folder}/kept levels=1:2 keys_zone=kept:10m max_size=20g inactive=1h use_temp_path=off;
  {servers}
}}
"""
_SERVERS = """
  upstream hub {{ server {upstream}; keepalive 64; }}
  server {{
    listen 127.0.0.1:{port} backlog=2048;
    {location}
  }}
"""
BEHIND_NGINX = {
    "HFPROXY_FILES__ACCEL_PREFIX": "/kept",
    "HFPROXY_FILES__ACCEL_ANSWERS": "true",
    "HFPROXY_SERVER__TRUSTED_PROXIES": '["127.0.0.1/32"]',
    "HFPROXY_ACCESS__ANONYMOUS": "reader",
}
"""Settings of a gateway that the documented configuration stands in front of."""
_FRONT = Path(__file__).parents[3] / "docs" / "nginx.conf"
_PROXY = """
      proxy_pass http://hub;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_cache kept;
      proxy_cache_lock on;
      proxy_cache_lock_timeout 300s;
      proxy_cache_valid 200 206 302 1h;
      proxy_ignore_headers Cache-Control Expires Vary;
"""
_LOCATIONS: dict[str, str] = {
    "files": "root {root};",
    "cache": "location / {" + _PROXY + "      proxy_cache_key $uri;\n    }",
    "slices": "location / {"
    + "      slice 4m;"
    + _PROXY
    + "      proxy_cache_key $uri$slice_range;\n      proxy_set_header Range $slice_range;\n    }",
}


def installed() -> bool:
    return shutil.which("nginx") is not None


@contextmanager
def nginx(role: Role, *, root: Path | None = None, upstream: str | None = None, workers: int = 1) -> Iterator[Server]:
    """A running nginx. root: the folder of `files`, or of the blobs of `front`, which is the documented configuration.
    upstream: what is cached, a server without redirects, or the gateway."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        config = folder / "nginx.conf"
        port = free_port()
        config.write_text(
            _CONFIG.format(
                folder=folder,
                workers=workers,
                servers=_servers(role, port, upstream=_host(upstream), root=root, folder=folder),
            )
        )
        # Its worker must be able to read what a root user's temporary folders hold.
        process = subprocess.Popen(
            ["nginx", "-c", str(config), "-p", str(folder), "-g", "user root;"], stderr=subprocess.DEVNULL
        )
        try:
            wait_for_port(port)
            yield Server(f"http://127.0.0.1:{port}", _worker_of(process.pid), folder / "error.log")
        finally:
            process.terminate()
            process.wait(10)


def _host(url: str | None) -> str:
    return urlsplit(url).netloc if url else "127.0.0.1:9"


def _servers(role: Role, port: int, *, upstream: str, root: Path | None, folder: Path) -> str:
    if role != "front":
        return _SERVERS.format(port=port, upstream=upstream, location=_LOCATIONS[role].replace("{root}", str(root)))
    text = _FRONT.read_text()
    for documented, ours in (
        ("listen 80;", f"listen 127.0.0.1:{port} backlog=2048;"),
        ("server 127.0.0.1:8080;", f"server {upstream};"),
        (" /data/blobs/;", f" {root}/;"),
        (" /run/hfproxy-answers ", f" {folder}/answers "),
    ):
        assert text.count(documented) == 1, documented
        text = text.replace(documented, ours)
    return text


def _worker_of(master: int) -> int:
    """The process that does the work, once the master has made it."""
    children = Path(f"/proc/{master}/task/{master}/children")
    give_up = time.monotonic() + 5
    while not (found := children.read_text().split()) and time.monotonic() < give_up:
        time.sleep(0.01)
    return int(found[0])

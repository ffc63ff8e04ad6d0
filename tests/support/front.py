"""The proxy of `docker-compose.yml`, as a real nginx on 127.0.0.1: its configuration is filled in as the image of nginx does."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.support.needs import absent
from tests.support.processes import until_open
from tests.support.servers import free_port

TEMPLATE = Path(__file__).parents[2] / "proxy" / "mapex.conf.template"
AROUND = """
{user}
daemon off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/answers;
    fastcgi_temp_path {folder}/f;
    uwsgi_temp_path {folder}/u;
    scgi_temp_path {folder}/s;
    {conf}
}}
"""


def nginx() -> str:
    """The program, or the test is told that it is absent."""
    found = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
    if found is None:
        absent("there is no nginx: apt-get install nginx")
    return str(found)


@contextlib.contextmanager
def running_proxy(web: int, *, tls: Path | None = None) -> Iterator[int]:
    """The port of the proxy before the web service on port `web`; `tls` is the folder that holds what proxy/tls would."""
    folder, port = Path(tempfile.mkdtemp(prefix="mapex-nginx-")), free_port()
    conf = TEMPLATE.read_text(encoding="utf-8")
    for name, value in {"WEB_HOST": "127.0.0.1", "WEB_PORT": str(web), "PROXY_PORT": f"127.0.0.1:{port}"}.items():
        conf = conf.replace(f"${{{name}}}", value)
    conf = conf.replace("/etc/nginx/tls", str(tls or folder / "tls"))
    user = "user root;" if os.geteuid() == 0 else ""  # the folder is private
    (folder / "nginx.conf").write_text(AROUND.format(user=user, folder=folder, conf=conf), encoding="utf-8")
    log = folder / "out.log"
    with log.open("wb") as out:
        process = subprocess.Popen([nginx(), "-p", str(folder), "-c", str(folder / "nginx.conf")], stdout=out, stderr=out)
    try:
        until_open(f"http://127.0.0.1:{port}/login", process, log)
        yield port
    finally:
        process.terminate()
        process.wait(20)
        shutil.rmtree(folder, ignore_errors=True)

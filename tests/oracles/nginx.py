"""A real nginx for the time of a test: a master with one worker on one loopback port, with all it writes in one directory."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

PROGRAM = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin") or ""

USER = "user root;" if os.geteuid() == 0 else ""  # or the worker could not read what root's tests wrote

CONFIG = """
{user}
daemon off;
worker_processes 1;  # with "master_process off" 1.22 crashes on a handed-over socket
pid {prefix}/nginx.pid;
error_log {prefix}/error.log info;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {prefix}/body;
    proxy_temp_path {prefix}/proxy;
    fastcgi_temp_path {prefix}/fastcgi;
    uwsgi_temp_path {prefix}/uwsgi;
    scgi_temp_path {prefix}/scgi;
    default_type video/mp4;
    keepalive_requests 1000000;
    large_client_header_buffers 4 64k;
    max_ranges 8;              # our limit, so that what is compared is how it works
    if_modified_since before;  # what RFC 9110 s13.1.3 says; the default is "exact"
    server {{
        listen 127.0.0.1:{port};
        root {root};
    }}
}}
"""


@contextmanager
def serving(root: Path, prefix: Path) -> Iterator[int]:
    """The port of an nginx that serves the files in `root`; it is gone afterwards.

    The listening socket is ours and is handed over (nginx's own way of upgrading itself: the variable NGINX). So the
    port is free for certain, and nobody has to wait: connections queue until nginx takes them.
    """
    if not PROGRAM:
        pytest.skip("nginx is absent (apt-get install nginx)")
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port: int = listener.getsockname()[1]
        config = prefix / "nginx.conf"
        config.write_text(CONFIG.format(user=USER, prefix=prefix, root=root, port=port))
        process = subprocess.Popen(
            [PROGRAM, "-p", str(prefix), "-e", str(prefix / "error.log"), "-c", str(config)],
            env={"NGINX": f"{listener.fileno()};"},
            pass_fds=[listener.fileno()],
            stderr=subprocess.DEVNULL,
        )
    try:
        yield port
    finally:
        process.terminate()  # the master ends its worker
        status = process.wait(timeout=10)
    assert status == 0, (prefix / "error.log").read_text()

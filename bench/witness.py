"""A process of its own that watches a cluster and notes when it heard of each change; standard library alone.

Usage: witness.py SERVER CERTIFICATES PATH...; it says ``watching`` once every watch is open, and when its stdin ends it
prints what it heard: one JSON object a line, with ``at`` (the monotonic clock's seconds) and ``object``.
"""

from __future__ import annotations

import http.client
import json
import ssl
import sys
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit


def main(server: str, certificates: str, *paths: str) -> None:
    """Watch until stdin ends."""
    folder = Path(certificates)
    tls = ssl.create_default_context(cafile=str(folder / "ca.crt"))
    tls.load_cert_chain(folder / "admin.crt", folder / "admin.key")
    heard: list[tuple[float, bytes]] = []
    for path in paths:
        target = urlsplit(server)
        connection = http.client.HTTPSConnection(str(target.hostname), target.port, context=tls)
        connection.request("GET", f"{path}{'&' if '?' in path else '?'}watch=true")
        answer = connection.getresponse()
        threading.Thread(target=_listen, args=(answer, heard), daemon=True).start()
    print("watching", flush=True)
    sys.stdin.read()
    for at, line in heard.copy():  # read last: parsing must not delay what is heard
        print(json.dumps({"at": at, "object": json.loads(line)["object"]}))


def _listen(answer: http.client.HTTPResponse, heard: list[tuple[float, bytes]]) -> None:
    while line := answer.readline():
        heard.append((time.monotonic(), line))


if __name__ == "__main__":
    main(*sys.argv[1:])

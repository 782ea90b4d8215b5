"""The Kubernetes client's package: what its import leaves behind in this process."""

from __future__ import annotations

import subprocess
import sys

_AUTHORITIES = """
import ssl
default = ssl.SSLContext.load_default_certs
read = []
ssl.SSLContext.load_default_certs = lambda *_: read.append(1)
patched = ssl.SSLContext.load_default_certs
import nksmesh.adapters.cluster.connection
assert not read, "the system's authorities were read"
assert ssl.SSLContext.load_default_certs is patched
ssl.SSLContext.load_default_certs = default
import aiohttp.connector as connector
assert connector._SSL_CONTEXT_VERIFIED.verify_mode is ssl.CERT_REQUIRED
assert connector._SSL_CONTEXT_VERIFIED.cert_store_stats()["x509"] == 0
print("as it was")
"""


def test_the_import_reads_no_authority_of_the_system_and_puts_ssl_back() -> None:
    ran = subprocess.run([sys.executable, "-c", _AUTHORITIES], capture_output=True, text=True, check=False)
    assert ran.stdout == "as it was\n", ran.stderr

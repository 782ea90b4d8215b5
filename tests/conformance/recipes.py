"""Each recipe with parameters, and the CRDs of Istio's charts that its objects are of."""

from __future__ import annotations

import tarfile
from functools import cache
from pathlib import Path
from typing import Any

from nksmesh.adapters.helm_yaml import documents

APPLIED = {
    "shift": ["v1=80 v2=20"],
    "header": ["header=end-user value=jason to=v2 match=prefix"],
    "timeout": ["timeout=2s"],
    "retry": ["attempts=2 per_try=500ms"],
    "circuit-breaker": ["connections=1 pending=1 per_connection=1 interval=1s ejection=3m most_ejected=100"],
    "delay": ["delay=2s percent=0.5"],
    "abort": ["status=500 percent=10"],
    "failover": ["interval=1s ejection=3m most_ejected=100"],
    "rate-limit": ["requests=4 per=1m"],
    "mutual-tls": ["mode=STRICT"],
    "jwt": ['issuer=https://a.example jwks={"keys":[]} audiences=a,b', "issuer=a jwks_uri=https://a.example/keys"],
    "authorization": ["from=default/sleep,edge/* methods=GET paths=/reviews/*", "from=a/b action=DENY"],
    "access-log": ["filter=response.code>=400"],
    "tracing": ["percent=0.5 provider=jaeger"],
}
"""Each recipe with every parameter that it has, so that no key of its objects is left out."""


@cache
def base_crds(archive: Path) -> tuple[dict[str, Any], ...]:
    """Read the CRDs in a base chart."""
    with tarfile.open(archive) as chart:
        names = [name for name in chart.getnames() if name.endswith("/crd-all.gen.yaml")]
        texts = [chart.extractfile(name) for name in names]
        return tuple(found for text in texts if text for found in documents(text.read()) if found)

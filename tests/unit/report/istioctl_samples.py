"""Results of ``nksmesh istioctl``, as its workflows would return them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from nksmesh.commands.istioctl.fetch import IstioctlFetched
from nksmesh.commands.istioctl.push import IstioctlPushed
from nksmesh.commands.istioctl.reports import IstioctlAnalysis, ProxyStatuses
from nksmesh.domain.istioctl.analysis import messages_of
from nksmesh.domain.istioctl.proxies import ProxyStatus, findings_of
from nksmesh.engine.copies import CopyState, MirroredImage

HUB: Final = "registry.example.com/istio"
FOLDER: Final = Path("/cache/istioctl/istio-1.20.0-linux-amd64")
SAID: Final = b"""[
  {"code": "IST0102", "documentationUrl": "https://istio.io/v1.20/docs/ist0102/?ref=istioctl-analyze",
   "level": "Info", "message": "The namespace is not enabled for Istio injection.", "origin": "Namespace default"},
  {"code": "IST0101", "documentationUrl": "https://istio.io/v1.20/docs/ist0101/?ref=istioctl-analyze",
   "level": "Error", "message": "Referenced gateway not found: \\"bookinfo\\"",
   "origin": "VirtualService default/bookinfo", "reference": ""}
]"""
PROXIES: Final = (
    ProxyStatus(
        name="productpage-v1-6f8.default",
        istiod="istiod-6c5",
        version="1.20.0",
        types={"CDS": "SYNCED", "LDS": "ERROR", "EDS": "SYNCED", "RDS": "NOT SENT"},
    ),
    ProxyStatus(
        name="ratings-v1-7d9.default",
        istiod="istiod-6c5",
        version="1.20.0",
        types={"CDS": "STALE", "LDS": "SYNCED", "EDS": "SYNCED", "RDS": "SYNCED"},
    ),
    ProxyStatus(
        name="reviews-v1-5b5.default",
        istiod="istiod-6c5",
        version="1.20.0",
        types={"CDS": "SYNCED", "LDS": "SYNCED", "EDS": "SYNCED", "RDS": "SYNCED"},
    ),
)


def istioctl_samples() -> dict[str, Any]:
    """Make one of each command."""
    return {
        "istioctl fetch": IstioctlFetched(
            version="1.20.0",
            platform="linux-amd64",
            source=HUB,
            digest=f"sha256:{'a' * 64}",
            manifest=f"sha256:{'b' * 64}",
            pinned=True,
            lock=Path("charts.lock"),
            folder=FOLDER,
            program=FOLDER / "bin/istioctl",
            samples=FOLDER / "samples",
            fetched=True,
        ),
        "istioctl push": IstioctlPushed(
            version="1.20.0",
            to=HUB,
            files=("istio-1.20.0-linux-amd64.tar.gz",),
            artifact=MirroredImage(
                source="files/istioctl-tool:1.20.0",
                image=f"{HUB}/istioctl-tool:1.20.0",
                digest=f"sha256:{'c' * 64}",
                state=CopyState.COPIED,
                bytes=26_000_002,
                missing_bytes=26_000_002,
                moved_bytes=26_000_002,
                verified=True,
            ),
            next_command=f"nksmesh istioctl fetch --hub {HUB} --version 1.20.0",
        ),
        "istioctl analyze": IstioctlAnalysis(istioctl="1.20.0", namespace="default", messages=messages_of(SAID)),
        "istioctl proxy-status": ProxyStatuses(
            istioctl="1.20.0", namespace="", proxies=PROXIES, findings=findings_of(PROXIES)
        ),
    }


def more_istioctl_samples() -> dict[str, Any]:
    """Make those that look otherwise."""
    return {
        "istioctl analyze, nothing found": IstioctlAnalysis(istioctl="1.20.0", namespace="", messages=()),
        "istioctl proxy-status, no proxy": ProxyStatuses(istioctl="1.20.0", namespace="default", proxies=()),
    }

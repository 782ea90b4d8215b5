"""The programs of a sandbox: of which modules and versions they are, and where the cache keeps them."""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from nksmesh.sandbox.releases import Kubernetes

HELM_VERSION: Final = "4.3.1"
REGISTRY_VERSION: Final = "3.1.2"
ISTIO_VERSION: Final = "1.31.0-alpha.eed52ebb66ad"
"""What the data plane's programs and charts call themselves: the module's VERSION is 1.31, its last part a commit."""
OLDEST_CHARTS: Final = (1, 22)
"""The first charts that the data plane's istiod takes: CRDs of older ones lack ``v1``, and it reads nothing else."""
CACHE_VARIABLE: Final = "NKSMESH_CACHE"
MODULES: Final = Path(__file__).with_name("go")


class Host(StrEnum):
    """Who publishes programs, and where."""

    KUBERNETES = "https://dl.k8s.io"
    GITHUB = "https://github.com"


@dataclass(frozen=True)
class Published:
    """A program that its project publishes.

    Attributes:
        host: Whose server it is on.
        path: Where it is there; ``{arch}`` stands for Go's name of the processor.
        checksums: Where the file with its SHA-256 is.
        member: Its place in the archive that ``path`` names; empty where that is the program itself.
    """

    host: Host
    path: str
    checksums: str
    member: str = ""


@dataclass(frozen=True, kw_only=True)
class Build:
    """Programs that one call of Go builds, or that are downloaded together.

    Attributes:
        module: The folder with go.mod and go.sum; None where ``packages`` name a version themselves.
        packages: Each program's name, and its Go package.
        published: The same programs where their projects publish them all with checksums; else nothing.
        minutes: About how long it takes on two processors.
        go: The oldest Go that builds it. -checklinkname came with 1.23, and Helm 4 asks for 1.24.
        source: The Go module that ``files`` are of; it is one that ``module`` requires.
        files: What is copied out of that module beside the programs: the name it gets, and its path there.
    """

    title: str
    module: str | None
    flags: tuple[str, ...]
    packages: Mapping[str, str]
    minutes: int
    published: Mapping[str, Published] = field(default_factory=dict)
    go: tuple[int, int] = (1, 24)
    source: str = ""
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """What tells one build's result from another's: the pinned modules, our own code, the flags, the platform."""
        digest = hashlib.sha256()
        if self.module:
            folder = MODULES / self.module
            # tools.go only keeps what go.mod requires; a module of our own has programs beside it
            own = sorted(path.name for path in folder.glob("*.go") if not path.name.endswith(("tools.go", "_test.go")))
            for name in ("go.mod", "go.sum", *own):
                digest.update((folder / name).read_bytes())
        digest.update(repr((self.flags, sorted(self.packages.items()))).encode())
        if self.files:
            digest.update(repr((self.source, sorted(self.files.items()))).encode())
        digest.update(f"{sys.platform} {platform.machine()}".encode())
        return digest.hexdigest()[:16]

    @property
    def folder(self) -> Path:
        """Where its programs are, once built."""
        from nksmesh.adapters.charts.cache import cache_folder

        return cache_folder(os.environ) / "programs" / self.key

    @property
    def built(self) -> bool:
        """Whether its programs and files are there."""
        return all((self.folder / name).exists() for name in (*self.packages, *self.files))


def control_plane(kubernetes: Kubernetes) -> Build:
    """The programs of a control plane of one Kubernetes, and the etcd that it asks for."""
    major, minor = kubernetes.split(".")
    numbers = {"gitVersion": f"v{kubernetes.release}", "gitMajor": major, "gitMinor": minor}
    # without these the API server says that it is v0.0.0, which no client can read
    version = " ".join(f"-X k8s.io/component-base/version.{name}={value}" for name, value in numbers.items())
    flags: Mapping[Kubernetes, tuple[str, ...]] = {
        Kubernetes.V1_28: ("-trimpath", "-tags=providerless", f"-ldflags=-s -w -checklinkname=0 {version}"),
    }
    server = f"release/v{kubernetes.release}/bin/linux/{{arch}}"
    etcd = f"etcd-io/etcd/releases/download/v{kubernetes.etcd}"
    archive = f"etcd-v{kubernetes.etcd}-linux-{{arch}}"
    return Build(
        title=f"the programs of Kubernetes {kubernetes.release}",
        module=f"kubernetes-{kubernetes}",
        flags=flags.get(kubernetes, ("-trimpath", f"-ldflags=-s -w {version}")),
        packages={
            "etcd": "go.etcd.io/etcd/server/v3",
            "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
            "kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
            "kube-scheduler": "k8s.io/kubernetes/cmd/kube-scheduler",
        },
        minutes=9,
        published={
            "etcd": Published(Host.GITHUB, f"{etcd}/{archive}.tar.gz", f"{etcd}/SHA256SUMS", f"{archive}/etcd"),
            **{
                name: Published(Host.KUBERNETES, f"{server}/{name}", f"{server}/{name}.sha256")
                for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
            },
        },
    )


KWOK: Final = Build(
    title="kwok",
    module="kwok",
    flags=("-trimpath", "-ldflags=-s -w"),
    # its releases have programs, but no checksums of them (hack/releases.sh): none of them is used
    packages={"kwok": "sigs.k8s.io/kwok/cmd/kwok"},
    minutes=4,
)
HELM: Final = Build(
    title=f"Helm {HELM_VERSION}",
    module=None,
    flags=("-trimpath", f"-ldflags=-s -w -X helm.sh/helm/v4/internal/version.version=v{HELM_VERSION}"),
    packages={"helm": f"helm.sh/helm/v4/cmd/helm@v{HELM_VERSION}"},
    minutes=4,
)
_ISTIO_SAYS: Final = " ".join(
    f"-X istio.io/istio/pkg/version.{name}={value}"
    for name, value in {
        "buildVersion": ISTIO_VERSION,
        "buildTag": ISTIO_VERSION,
        "buildGitRevision": ISTIO_VERSION.rpartition(".")[2],
        "buildStatus": "Clean",
        "buildHub": "docker.io/istio",
    }.items()
)
ISTIO: Final = Build(
    title=f"Istio {ISTIO_VERSION}",
    module="istio",
    flags=(
        "-trimpath",
        "-tags=vtprotobuf,disable_pgv",  # as Istio's own Makefile builds them
        f"-ldflags=-s -w {_ISTIO_SAYS}",
    ),
    packages={
        "pilot-discovery": "istio.io/istio/pilot/cmd/pilot-discovery",
        "pilot-agent": "istio.io/istio/pilot/cmd/pilot-agent",
        "istioctl": "istio.io/istio/istioctl/cmd/istioctl",
    },
    minutes=8,
    go=(1, 26),
    source="istio.io/istio",
    files={
        "envoy_bootstrap.json": "tools/packaging/common/envoy_bootstrap.json",
        "charts": "manifests/charts",
        "samples": "samples",
    },
)
DATA_PLANE: Final = Build(
    title="the data plane",
    module="data-plane",
    flags=("-trimpath", "-ldflags=-s -w"),
    packages={"data-plane": "nksmesh.local/data-plane"},
    minutes=1,
)
_REGISTRY_ARCHIVE: Final = (
    f"distribution/distribution/releases/download/v{REGISTRY_VERSION}/registry_{REGISTRY_VERSION}_linux_{{arch}}"
)
REGISTRY: Final = Build(
    title=f"the registry (distribution {REGISTRY_VERSION})",
    module=None,
    flags=("-trimpath", "-ldflags=-s -w"),
    packages={"registry": f"github.com/distribution/distribution/v3/cmd/registry@v{REGISTRY_VERSION}"},
    minutes=2,
    published={
        "registry": Published(
            Host.GITHUB, f"{_REGISTRY_ARCHIVE}.tar.gz", f"{_REGISTRY_ARCHIVE}.tar.gz.sha256", member="registry"
        )
    },
)

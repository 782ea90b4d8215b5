"""The parts of a sandbox: which programs, in which order, with which flags."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from enum import StrEnum
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Final

from nksmesh.adapters.files.private import write_private
from nksmesh.sandbox.builds import CACHE_VARIABLE
from nksmesh.sandbox.credentials import program_kubeconfig
from nksmesh.sandbox.documents import to_yaml
from nksmesh.sandbox.layout import Layout, Settings
from nksmesh.sandbox.nodes import NODE_RANGE
from nksmesh.sandbox.processes import Program
from nksmesh.sandbox.stages import stages

SERVICE_RANGE: Final = "10.96.0.0/16"
SERVICE_ADDRESS: Final = "10.96.0.1"
POD_RANGE: Final = "10.244.0.1/16"
LOAD_BALANCER_RANGE: Final = "203.0.113.0/24"
"""For Services of type LoadBalancer: a network kept for documentation (RFC 5737)."""

EGRESS_SOCKET: Final = "egress.sock"
REGISTRY_CONFIGURATION: Final = "registry.yaml"

# a unix socket's URL needs the form of a host and a port, and no path: the socket is a file of this
# name in the working folder. It is reachable for its owner alone, which a loopback port is not.
_ETCD: Final = "unix://etcd:0"
_ETCD_PEER: Final = "unix://etcd-peer:0"


class Part(StrEnum):
    """One process of a sandbox, in starting order."""

    REGISTRY = "registry"
    ETCD = "etcd"
    DATA_PLANE = "data-plane"
    AGENT = "agent"
    API_SERVER = "kube-apiserver"
    CONTROLLER_MANAGER = "kube-controller-manager"
    SCHEDULER = "kube-scheduler"
    KWOK = "kwok"


CLIENTS_OF_THE_API_SERVER: Final = (Part.CONTROLLER_MANAGER, Part.SCHEDULER, Part.KWOK)


def parts_of(settings: Settings | None) -> tuple[Part, ...]:
    """Name the parts that a sandbox has: a registry and a data plane only where one was asked for."""
    asked = {
        Part.REGISTRY: bool(settings and settings.registry_port),
        Part.DATA_PLANE: bool(settings and settings.data_plane),
    }
    return tuple(part for part in Part if asked.get(part, True))


def program(part: Part, layout: Layout, binaries: Mapping[str, Path], settings: Settings) -> Program:
    """Say how a part is started."""
    environment: dict[str, str] = {}
    command: tuple[str, ...]
    match part:
        case Part.REGISTRY:
            command = (str(binaries[part]), "serve", str(layout.run / REGISTRY_CONFIGURATION))
            # without this it looks for a collector of traces
            environment["OTEL_TRACES_EXPORTER"] = "none"
        case Part.ETCD:
            command = _etcd(layout, binaries)
        case Part.DATA_PLANE:
            command = _data_plane(layout, binaries, settings.port)
        case Part.API_SERVER:
            command = _api_server(layout, binaries, settings.port)
        case Part.CONTROLLER_MANAGER:
            command = _controller_manager(layout, binaries)
        case Part.SCHEDULER:
            command = _client(part, layout, binaries)
        case Part.KWOK:
            command = _kwok(layout, binaries)
        case Part.AGENT:
            command = _agent(layout, settings, binaries)
            from nksmesh.adapters.charts.cache import cache_folder

            package_root = str(Path(__file__).parents[2])
            environment["PYTHONPATH"] = os.pathsep.join([package_root, *filter(None, [os.environ.get("PYTHONPATH")])])
            # what runs in pods is in the cache that this command has, whatever variable names it
            environment[CACHE_VARIABLE] = str(cache_folder(os.environ))
    return Program(
        command=command,
        directory=layout.run,
        log=layout.log(part),
        process=layout.process(part),
        environment=environment,
    )


def write_configuration(layout: Layout, settings: Settings) -> None:
    """Write the files that the programs read beside their flags."""
    egress = {
        "apiVersion": "apiserver.k8s.io/v1beta1",
        "kind": "EgressSelectorConfiguration",
        "egressSelections": [
            {
                "name": "cluster",
                "connection": {
                    "proxyProtocol": "HTTPConnect",
                    "transport": {"uds": {"udsName": EGRESS_SOCKET}},
                },
            }
        ],
    }
    write_private(layout.run / "egress.yaml", to_yaml([egress]))
    write_private(layout.run / "kwok.yaml", to_yaml(stages(settings.registry, data_plane=settings.data_plane)))


def _etcd(layout: Layout, binaries: Mapping[str, Path]) -> tuple[str, ...]:
    return (
        str(binaries["etcd"]),
        f"--data-dir={layout.data}",
        "--name=sandbox",
        f"--listen-client-urls={_ETCD}",
        f"--advertise-client-urls={_ETCD}",
        f"--listen-peer-urls={_ETCD_PEER}",
        f"--initial-advertise-peer-urls={_ETCD_PEER}",
        f"--initial-cluster=sandbox={_ETCD_PEER}",
        # its gateway dials the server by URL, and does not know a socket's
        "--enable-grpc-gateway=false",
        # a sandbox need not survive a power cut
        "--unsafe-no-fsync",
        # a member of one, started again, waits for its election before it serves: by default over 1 s
        "--heartbeat-interval=10",
        "--election-timeout=100",
        "--auto-compaction-retention=1h",
        "--log-level=warn",
    )


def _api_server(layout: Layout, binaries: Mapping[str, Path], port: int) -> tuple[str, ...]:
    certificates = layout.certificates
    return (
        str(binaries["kube-apiserver"]),
        f"--etcd-servers={_ETCD}",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        # never dialled: it may not be a loopback address, and nothing is written to Endpoints
        "--advertise-address=192.0.2.1",
        "--endpoint-reconciler-type=none",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        f"--client-ca-file={certificates / 'ca.crt'}",
        f"--tls-cert-file={certificates / 'kube-apiserver.crt'}",
        f"--tls-private-key-file={certificates / 'kube-apiserver.key'}",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={certificates / 'service-accounts.key'}",
        f"--service-account-signing-key-file={certificates / 'service-accounts.key'}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        f"--egress-selector-config-file={layout.run / 'egress.yaml'}",
        "--kubelet-preferred-address-types=InternalIP",
        "--profiling=false",
    )


def _controller_manager(layout: Layout, binaries: Mapping[str, Path]) -> tuple[str, ...]:
    certificates = layout.certificates
    return (
        *_client(Part.CONTROLLER_MANAGER, layout, binaries),
        "--use-service-account-credentials",
        f"--service-account-private-key-file={certificates / 'service-accounts.key'}",
        f"--root-ca-file={certificates / 'ca.crt'}",
        f"--cluster-signing-cert-file={certificates / 'ca.crt'}",
        f"--cluster-signing-key-file={certificates / 'ca.key'}",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        "--allocate-node-cidrs=false",
    )


def _client(part: Part, layout: Layout, binaries: Mapping[str, Path]) -> tuple[str, ...]:
    kubeconfig = program_kubeconfig(layout, part)
    return (
        str(binaries[part]),
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        "--secure-port=0",
        "--leader-elect=false",
        # with its default of 20 requests a second the controller manager takes 4 s to start all its controllers
        "--kube-api-qps=500",
        "--kube-api-burst=1000",
        "--profiling=false",
    )


def _kwok(layout: Layout, binaries: Mapping[str, Path]) -> tuple[str, ...]:
    return (
        str(binaries["kwok"]),
        f"--kubeconfig={program_kubeconfig(layout, Part.KWOK)}",
        f"--config={layout.run / 'kwok.yaml'}",
        f"--cidr={POD_RANGE}",
        "--manage-all-nodes",
        # without leases nodes turn NotReady after 40 s, and nothing is scheduled any more
        "--node-lease-duration-seconds=40",
    )


def _data_plane(layout: Layout, binaries: Mapping[str, Path], port: int) -> tuple[str, ...]:
    networks = (SERVICE_RANGE, str(IPv4Interface(POD_RANGE).network), LOAD_BALANCER_RANGE, NODE_RANGE)
    return (
        str(binaries[Part.DATA_PLANE]),
        f"-server=127.0.0.1:{port}",
        "--",
        f"-certificate={layout.certificates / 'agent-server'}",
        *(f"-network={network}" for network in networks),
    )


def _agent(layout: Layout, settings: Settings, binaries: Mapping[str, Path]) -> tuple[str, ...]:
    return (
        sys.executable,
        "-m",
        "nksmesh.sandbox.agent",
        f"--certificates={layout.certificates}",
        f"--kubeconfig={program_kubeconfig(layout, Part.AGENT)}",
        *(() if settings.load_balancer else ("--no-load-balancer",)),
        *((f"--registry={settings.registry}",) if settings.registry else ()),
        *((f"--istio={binaries['pilot-agent'].parent}", f"--envoy={binaries['envoy']}") if settings.data_plane else ()),
    )

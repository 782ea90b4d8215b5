"""Rules about the cluster's network: what NKS's CNIs do to sidecars (nks-facts 6), and the Gateway API."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from nksmesh.domain.checks.facts import ClusterFacts
from nksmesh.domain.checks.rule import Rule
from nksmesh.domain.common.findings import Finding, Level
from nksmesh.domain.kube.objects import Manifest, pod_template
from nksmesh.domain.mesh.mesh import Network
from nksmesh.domain.mesh.ncr import is_private, region_code
from nksmesh.domain.plan.plan import ReleaseChange
from nksmesh.domain.values.layers import dotted

_CALICO: Final = "calico-node"
_CILIUM: Final = "cilium"
_CNI: Final = "cni"
_CNI_FOLDER: Final = "/etc/cni/net.d"
_TRUE: Final = "true"
_FELIX_TRUE: Final = frozenset({"true", "1", "yes", "y", "t"})
_FELIX_FALSE: Final = frozenset({"false", "0", "no", "n", "f"})
"""How Felix reads a boolean, in upper or lower case (projectcalico/calico, felix/config/param_types.go)."""

_REPLACING: Final = frozenset({"true", "strict", "partial", "probe"})
"""Values of Cilium's kube-proxy-replacement with which it may balance on sockets."""


def _calico_ebpf(facts: ClusterFacts) -> Iterator[Finding]:
    environment = {key.upper(): text for key, text in _environment(facts.daemon_sets, _CALICO).items()}

    def setting(key: str) -> str:
        """Return a setting of Felix; its environment is stronger (docs.tigera.io, Configuring Felix)."""
        value = (facts.felix or {}).get(key)
        return (environment.get(f"FELIX_{key.upper()}") or ("" if value is None else str(value))).lower()

    disabled = (
        setting("bpfConnectTimeLoadBalancing") == "disabled"
        or setting("bpfConnectTimeLoadBalancingEnabled") in _FELIX_FALSE
    )
    if setting("bpfEnabled") in _FELIX_TRUE and not disabled:
        yield Finding(
            id="network.calico-ebpf",
            message="Calico runs in eBPF mode, and its connect-time load balancing bypasses the sidecar",
            hint="NHN's advice is a cluster with Calico-VXLAN; the CNI of a cluster cannot be changed.",
        )


def _cilium_settings(facts: ClusterFacts) -> Iterator[Finding]:
    if not _named(facts.daemon_sets, _CILIUM):
        return
    config = {key: str(value).lower() for key, value in (facts.cilium or {}).items()}
    on_sockets = config.get("kube-proxy-replacement") in _REPLACING or config.get("bpf-lb-sock") == _TRUE
    wanted = {}
    if on_sockets and config.get("bpf-lb-sock-hostns-only") != _TRUE:
        wanted["bpf-lb-sock-hostns-only"] = _TRUE  # docs.cilium.io, Integration with Istio
    if _change_of(facts, _CNI) and config.get("cni-exclusive", _TRUE) == _TRUE:
        wanted["cni-exclusive"] = "false"
    if wanted:
        data = ",".join(f'"{key}":"{value}"' for key, value in wanted.items())
        yield Finding(
            id="network.cilium-settings",
            message=f"Cilium's settings do not let Istio work: {', '.join(wanted)} must be set",
            hint=f"Run kubectl patch configmap cilium-config -n kube-system --type merge -p '{{\"data\":{{{data}}}}}', "
            "then kubectl rollout restart daemonset/cilium -n kube-system.",
        )


def _cni_folder(facts: ClusterFacts) -> Iterator[Finding]:
    change = _change_of(facts, _CNI)
    folder = _environment(facts.daemon_sets, _CALICO).get("CNI_NET_DIR", "")
    if change is None or not folder:
        return
    found = [(path, value) for path, value, _ in change.composed.leaves() if path[-1] == "cniConfDir"]
    own = next((str(value) for _, value in found if value), _CNI_FOLDER)
    if own.rstrip("/") != folder.rstrip("/"):
        key = dotted(found[0][0]) if found else "cniConfDir"
        yield Finding(
            id="network.cni-folder",
            subject=change.release.name,
            message=f"Calico keeps its CNI configuration in {folder}; istio-cni waits for one in {own}, for ever",
            hint=f"Run nksmesh install --set {change.release.name}:{key}={folder}.",
        )


def _registry_address(facts: ClusterFacts) -> Iterator[Finding]:
    mesh = facts.mesh
    if mesh is None or not region_code(mesh.hub) or is_private(mesh.hub) is (mesh.network is Network.PRIVATE):
        return
    host, private = mesh.hub.partition("/")[0], is_private(mesh.hub)
    yield Finding(
        id="network.registry-address",
        level=Level.WARNING,
        subject=host,
        message=f"{host} is the {'private' if private else 'public'} address of a registry, and the network is "
        f"{mesh.network.value}",
        hint=f"Pass --network {'private' if private else 'public'}, or the registry's other address with --hub.",
    )


def _gateway_api(facts: ClusterFacts) -> Iterator[Finding]:
    there = "are there" if facts.gateway_api else "are not there: they are needed for Gateways of the Gateway API alone"
    yield Finding(id="network.gateway-api", level=Level.NOTE, message=f"the CRDs of the Gateway API {there}")


def _change_of(facts: ClusterFacts, component: str) -> ReleaseChange | None:
    changes = (facts.changes or {}).values()
    return next((change for change in changes if change.release.component == component), None)


def _named(daemon_sets: Iterable[Manifest] | None, name: str) -> Sequence[Manifest]:
    return [found for found in daemon_sets or () if found["metadata"]["name"] == name]


def _environment(daemon_sets: Iterable[Manifest] | None, name: str) -> Mapping[str, str]:
    """Return the environment variables of all containers of a DaemonSet; empty without it."""
    specs: list[Mapping[str, Any]] = [pod_template(found).get("spec") or {} for found in _named(daemon_sets, name)]
    return {
        str(variable["name"]): str(variable.get("value") or "")
        for spec in specs
        for container in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ()))
        for variable in container.get("env") or ()
    }


RULES: Final = (
    Rule(
        id="network.calico-ebpf",
        passed="Calico does not take Services past the sidecars",
        judge=_calico_ebpf,
        needs=("daemon_sets",),
        on_install=True,
    ),
    Rule(
        id="network.cilium-settings",
        passed="Cilium lets Istio work, or is not there",
        judge=_cilium_settings,
        needs=("daemon_sets", "cilium"),
        on_install=True,
    ),
    Rule(
        id="network.cni-folder",
        passed="istio-cni looks where the CNI keeps its configuration, or is not installed",
        judge=_cni_folder,
        needs=("daemon_sets", "changes"),
        on_install=True,
    ),
    Rule(
        id="network.registry-address",
        passed="the registry's address fits the network",
        judge=_registry_address,
        needs=("mesh",),
    ),
    Rule(id="network.gateway-api", passed="", judge=_gateway_api, needs=("gateway_api",)),
)

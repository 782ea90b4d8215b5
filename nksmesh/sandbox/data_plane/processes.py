"""A container as a process: its command, its variables, and where it writes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from nksmesh.domain.kube.objects import Manifest
from nksmesh.sandbox.control_plane import SERVICE_ADDRESS
from nksmesh.sandbox.data_plane.plane import Process
from nksmesh.sandbox.data_plane.programs import Programs, is_istiod, is_proxy
from nksmesh.sandbox.documents import mapping_from_yaml
from nksmesh.sandbox.workloads.images import Program

KUBECONFIG: Final = "kubeconfig"
"""The file in istiod's folder that leads it to the API server."""

_STOCK_ENVOY: Final = {"PILOT_ENABLE_METADATA_EXCHANGE": "false", "PILOT_ENABLE_ALPN_FILTER": "false"}
"""A stock Envoy has none of Istio's own filters, and refuses a listener that names one."""

_REFERENCE: Final = re.compile(r"\$\(([A-Za-z_][A-Za-z0-9_.-]*)\)")


@dataclass(frozen=True)
class Played:
    """A container, and the program that runs in it.

    Attributes:
        folder: The container's root folder: Istio's programs start there, and name their files relatively.
    """

    spec: Mapping[str, Any]
    program: Program
    programs: Programs
    folder: Path

    def process(self, pod: Manifest) -> Process:
        """Return the container's process; the pod must have its address."""
        environment = self._environment(pod)
        command = list(self.program.command)
        if is_istiod(self.spec) or is_proxy(self.spec):
            command += [expanded(str(text), environment) for text in self.spec.get("args") or ()]
        if is_istiod(self.spec):
            command += ["--kubeconfig", KUBECONFIG]
        return self._process(command, environment)

    def hook(self, pod: Manifest, command: list[str]) -> Process:
        """Return the process of a command that the pod names, beside the container's own."""
        return self._process(command, self._environment(pod))

    def _process(self, command: list[str], environment: Mapping[str, str]) -> Process:
        return Process(
            command=command,
            environment=[f"{name}={text}" for name, text in environment.items()],
            directory=str(self.program.folder or self.folder),
            log=f"{self.folder}.log",
            application=not is_proxy(self.spec),
        )

    def _environment(self, pod: Manifest) -> dict[str, str]:
        own = environment_of(pod, self.spec, self.programs, self.folder)
        return {**self.program.environment, **own}


def environment_of(pod: Manifest, container: Manifest, programs: Programs, folder: Path) -> dict[str, str]:
    """Return a container's variables. Those of its limits are left out: nothing is limited here."""
    found = {
        "PATH": programs.search_path,
        "HOME": str(folder),
        "HOSTNAME": str(pod["metadata"]["name"]),
        "KUBERNETES_SERVICE_HOST": SERVICE_ADDRESS,
        "KUBERNETES_SERVICE_PORT": "443",
    }
    for variable in container.get("env") or ():
        source = variable.get("valueFrom") or {}
        if field := (source.get("fieldRef") or {}).get("fieldPath"):
            found[variable["name"]] = field_of(pod, field)
        elif not source:
            found[variable["name"]] = expanded(str(variable.get("value", "")), found)
    if is_istiod(container):
        found |= _STOCK_ENVOY
    if is_proxy(container):
        settings = mapping_from_yaml(found.get("PROXY_CONFIG", ""))
        own = {"binaryPath": str(programs.envoy), "configPath": "./etc/istio/proxy", "concurrency": 1}
        found["PROXY_CONFIG"] = json.dumps({**settings, **own})
        found["ISTIO_BOOTSTRAP"] = str(programs.istio / "envoy_bootstrap.json")
    return found


def expanded(text: str, environment: Mapping[str, str]) -> str:
    """Replace ``$(NAME)``; a name that is not known stays as it is written."""
    return _REFERENCE.sub(lambda match: environment.get(match[1], match[0]), text)


def field_of(pod: Manifest, path: str) -> str:
    """Read a field of the downward API; a map becomes lines of ``key="value"``."""
    metadata, status, spec = pod["metadata"], pod.get("status") or {}, pod["spec"]
    if match := re.fullmatch(r"metadata\.(labels|annotations)\['(.+)'\]", path):
        return str((metadata.get(match[1]) or {}).get(match[2], ""))
    if path in {"metadata.labels", "metadata.annotations"}:
        pairs = metadata.get(path.partition(".")[2]) or {}
        return "\n".join(f"{key}={json.dumps(text)}" for key, text in sorted(pairs.items()))
    known = {
        "metadata.name": metadata["name"],
        "metadata.namespace": metadata["namespace"],
        "metadata.uid": metadata["uid"],
        "spec.nodeName": spec.get("nodeName", ""),
        "spec.serviceAccountName": spec.get("serviceAccountName", "default"),
        "status.hostIP": status.get("hostIP", ""),
        "status.podIP": status.get("podIP", ""),
        "status.podIPs": status.get("podIP", ""),
    }
    return str(known.get(path, ""))

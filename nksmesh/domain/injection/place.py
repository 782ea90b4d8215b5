"""Which injector the API server calls for a pod: the selectors of Istio's webhooks, and no rule of labels of our own.

A webhook is called where its namespaceSelector matches the namespace and its objectSelector the pod. Several injectors
may match: they are called in the order of their names, and the last one wins (``stripPod()`` in istio's
pkg/kube/inject/inject.go). What an injector does with a pod that it is called for is ``injectRequired()`` there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from nksmesh.domain.common.findings import Finding, Level
from nksmesh.domain.kube.disruption import selects
from nksmesh.domain.kube.objects import Manifest, called_services
from nksmesh.domain.mesh.revisions import DEFAULT_TAG, INJECTION_LABEL, REVISION_LABEL, injection_labels, served_by

IGNORED: Final = frozenset({"kube-system", "kube-public", "kube-node-lease", "local-path-storage"})
"""``IgnoredNamespaces`` of inject.go: an injector that is called for their pods leaves them alone."""

_OWN_SETTING: Final = "sidecar.istio.io/inject"
"""What a pod says itself, as a label or, where it has none, as an annotation."""

_YES: Final = frozenset({"y", "yes", "true", "on", ""})
"""What counts as yes; an empty text as nothing said."""

_NAMED: Final = "kubernetes.io/metadata.name"
"""The label that the API server gives every namespace."""

_INJECTOR: Final = "MutatingWebhookConfiguration"


@dataclass(frozen=True, kw_only=True)
class Place:
    """A namespace, and the injectors that there are.

    Attributes:
        labels: The namespace's labels.
        injectors: Istio's webhook configurations, as ``kind`` says.
        services: The (namespace, name) of the Services that those call, and that exist; None where that is not known.
    """

    name: str
    labels: Mapping[str, str]
    injectors: Collection[Manifest]
    services: frozenset[tuple[str, str]] | None = None

    def labelled(self, labels: Mapping[str, str]) -> Place:
        """Return the same namespace with other injection labels, and these alone."""
        injecting = injection_labels(self.labels)
        others = {key: label for key, label in self.labels.items() if key not in injecting}
        return replace(self, labels={**others, **labels})

    def injector_of(self, labels: Mapping[str, str]) -> Manifest | None:
        """Return the injector that is called for a pod with these labels; None where none is."""
        own = {_NAMED: self.name, **self.labels}
        called = [
            injector
            for injector in self._injectors()
            if any(
                selects(webhook.get("namespaceSelector") or {}, own)
                and selects(webhook.get("objectSelector") or {}, labels)
                for webhook in injector.get("webhooks") or ()
            )
        ]
        return max(called, key=lambda injector: str(injector["metadata"]["name"]), default=None)

    def revision_of(self, labels: Mapping[str, str]) -> str:
        """Return the Istio revision that injects a pod with these labels, in words; empty where none does."""
        injector = self.injector_of(labels)
        if injector is None or self.name in IGNORED:
            return ""
        return str((injector["metadata"].get("labels") or {}).get(REVISION_LABEL) or DEFAULT_TAG)

    def why_not(self, pod: Manifest) -> Finding | None:
        """Say why a pod that is created now gets no proxy; None where it gets one."""
        return next(self._reasons(pod), None)

    def _injectors(self) -> Iterator[Manifest]:
        return (injector for injector in self.injectors if injector.get("kind", _INJECTOR) == _INJECTOR)

    def _reasons(self, pod: Manifest) -> Iterator[Finding]:
        metadata = pod["metadata"]
        labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
        injector = self.injector_of(labels)
        asked = labels.get(_OWN_SETTING, annotations.get(_OWN_SETTING))
        if self.name in IGNORED:
            yield Finding(
                id="inject.ignored-namespace",
                level=Level.NOTE,
                message=f"istiod injects no pod in namespace {self.name}",
            )
        if asked is not None and asked.lower() not in _YES:
            where = "label" if _OWN_SETTING in labels else "annotation"
            yield Finding(
                id="inject.pod-opted-out",
                level=Level.NOTE,
                message=f"its pods have the {where} {_OWN_SETTING}={asked}",
                hint=f"Remove the {where} from its pod template if it should have a proxy.",
            )
        if injector is None:
            yield self._unserved(labels)
        if (pod.get("spec") or {}).get("hostNetwork"):
            yield Finding(
                id="inject.host-network",
                level=Level.NOTE,
                message="its pods use the node's network (hostNetwork), where istiod injects nothing",
            )
        if injector is not None and (dead := self._dead(injector)):
            yield self._no_istiod(f"injector {injector['metadata']['name']} calls Service {dead}, which does not exist")

    def _unserved(self, labels: Mapping[str, str]) -> Finding:
        """Say why no injector is called for a pod with these labels."""
        setting = self.labels.get(INJECTION_LABEL)
        named = self.labels.get(REVISION_LABEL) or labels.get(REVISION_LABEL, "")
        if setting == "enabled" or (setting is None and named):
            served = ", ".join(sorted({served_by(injector) for injector in self._injectors()})) or "none"
            wanted = f"{INJECTION_LABEL}={setting}" if setting else f"{REVISION_LABEL}={named}"
            return self._no_istiod(f"no istiod serves {wanted} (Istio revisions and tags that are served: {served})")
        said = "no injection label" if setting is None else f"the label {INJECTION_LABEL}={setting}"
        return Finding(
            id="inject.namespace-off",
            level=Level.NOTE,
            message=f"namespace {self.name} has {said}",
            hint=f"Run nksmesh inject enable {self.name} --restart if it should have a proxy.",
        )

    def _no_istiod(self, message: str) -> Finding:
        return Finding(
            id="inject.no-istiod",
            level=Level.WARNING,
            message=message,
            hint=f"Run nksmesh inject enable {self.name} to use the mesh's own istiod, or nksmesh status to see it.",
        )

    def _dead(self, injector: Manifest) -> str:
        """Name a Service that an injector calls and that does not exist; one with a URL calls none."""
        missing = sorted(called_services(injector) - (self.services or frozenset()) - {("", "")})
        return "/".join(missing[0]) if missing and self.services is not None else ""

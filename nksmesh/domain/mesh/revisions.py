"""Istio revisions: their names, what a revisioned istiod's objects are called, and how far apart two may be.

An Istio revision (``istio.io/rev``) is one istiod of several in a mesh; it has nothing to do with Helm's revisions.
The facts are those of istio-facts 5: every object of a revisioned istiod carries the Istio revision in its name, and
its injector leaves ``istio-injection=enabled`` alone until a revision tag ``default`` points to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from nksmesh.domain.common.errors import ConfigError
from nksmesh.domain.common.findings import Finding, Level
from nksmesh.domain.mesh.catalog import check_label
from nksmesh.domain.mesh.mesh import ISTIO_NAMESPACE, Mesh
from nksmesh.domain.mesh.versions import CANARY_MINORS, minors_between, parse_version

DEFAULT_TAG: Final = "default"
"""The revision tag that ``istio-injection=enabled``, gateways, and pods which ask for injection follow."""

REVISION_LABEL: Final = "istio.io/rev"
TAG_LABEL: Final = "istio.io/tag"
INJECTION_LABEL: Final = "istio-injection"

_OF_A_VERSION: Final = re.compile(r"\d+-\d+-\d+(-|$)")
"""An Istio revision that is called after a version; one that somebody chose himself says nothing of it."""

LONGEST_REVISION: Final = 40
"""Characters: ``istiod-gateway-controller-REV-NAMESPACE`` is the longest name it becomes a part of."""

DEFAULT_VALIDATOR: Final = "istiod-default-validator"
"""base's validating webhook: it is called at the istiod that base's ``defaultRevision`` names."""


@dataclass(frozen=True, kw_only=True)
class RevisionNames:
    """What the objects of an istiod are called.

    Attributes:
        workload: Deployment, Service, ServiceAccount, HorizontalPodAutoscaler.
        injector: The MutatingWebhookConfiguration.
        validator: The ValidatingWebhookConfiguration (charts from 1.22 on; before it with ``configValidation``).
    """

    release: str
    workload: str
    injector: str
    validator: str


def revision_of(version: str) -> str:
    """Name the Istio revision of a version: ``1.22.8`` is ``1-22-8``, for dots are not allowed.

    Raises:
        ConfigError: It is not written X.Y.Z.
    """
    parse_version(version)
    return check_revision(_called_after(version), f"Istio revision of {version}")


def _called_after(version: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", version.lower()).strip("-")


def kept_name(istio_revision: str, version: str) -> Finding | None:
    """Find an istiod whose Istio revision is called after another version than it is of; None where it is not."""
    if not _OF_A_VERSION.match(istio_revision) or istio_revision == _called_after(version):
        return None
    return Finding(
        id="mesh.kept-revision-name",
        level=Level.WARNING,
        subject=f"istiod-{istio_revision}",
        message=f"Istio revision {istio_revision} keeps its name at Istio {version}: an upgrade "
        "in place changes no names, because namespaces select it by this name",
        hint="It works as any other. The next nksmesh canary start installs an istiod that is named after its version.",
    )


def check_revision(name: str, title: str) -> str:
    """Return the name of an Istio revision or of a revision tag, which becomes a part of objects' names.

    Raises:
        ConfigError: Istio or Kubernetes does not take it.
    """
    if "." in name:
        raise ConfigError(
            f"{title}: {name!r} contains dots, which are not allowed in the name of an Istio revision",
            hint=f"Write {name.replace('.', '-')}.",
        )
    return check_label(name, title, LONGEST_REVISION)


def names_of(istio_revision: str, namespace: str = ISTIO_NAMESPACE) -> RevisionNames:
    """Name the objects of an istiod.

    Args:
        istio_revision: Its Istio revision; empty for the istiod without one.
        namespace: The control plane's namespace: outside of istio-system it is a part of the injector's name.
    """
    suffix = f"-{istio_revision}" if istio_revision else ""
    elsewhere = "" if namespace == ISTIO_NAMESPACE else f"-{namespace}"
    return RevisionNames(
        release=f"istiod{suffix}",
        workload=f"istiod{suffix}",
        injector=f"istio-sidecar-injector{suffix}{elsewhere}",
        validator=f"istio-validator{suffix}-{namespace}",
    )


def spoken_revision(istio_revision: str) -> str:
    """Name an Istio revision for a reader: the istiod without one is called ``default``, as its label has it."""
    return istio_revision or DEFAULT_TAG


def check_canary(installed: str, wanted: str) -> tuple[Finding, ...]:
    """Judge a version that is to run beside an installed one: a failure unless it is newer, by two minors at most.

    Raises:
        ConfigError: A version is not written X.Y.Z.
    """
    before, after = parse_version(installed), parse_version(wanted)
    if after <= before:
        rule = "canary.not-newer"
        message = f"a canary must be newer than the installed {installed}; {wanted} is not"
        hint = "Pass a newer version with --to X.Y.Z."
    elif after[0] != before[0] or minors_between(installed, wanted) > CANARY_MINORS:
        rule = "canary.too-far-ahead"
        message = f"Istio {wanted} is more than {CANARY_MINORS} minor versions ahead of the installed {installed}"
        hint = f"Start a canary of {before[0]}.{before[1] + CANARY_MINORS} and promote it first, then start the next."
    else:
        return ()
    return (Finding(id=rule, subject=wanted, message=message, hint=hint),)


def follows(labels: Mapping[str, str], *, istio_revision: str, tags: Iterable[str] = (), default: bool = False) -> bool:
    """Tell whether a namespace's labels lead its pods to an istiod; ``istio-injection`` has precedence.

    Args:
        istio_revision: The istiod's Istio revision; empty for the one without.
        tags: The revision tags that point to it.
        default: It is the one that ``istio-injection=enabled`` means.
    """
    if INJECTION_LABEL in labels:
        return default and labels[INJECTION_LABEL] == "enabled"
    named = labels.get(REVISION_LABEL, "")
    return bool(named) and (named in tags or named == spoken_revision(istio_revision))


def injected_by(mesh: Mesh, labels: Mapping[str, str]) -> bool:
    """Tell whether a namespace's labels have a mesh inject its pods."""
    names = mesh.revisions
    default = not names.istio_revision or DEFAULT_TAG in names.tags
    return follows(labels, istio_revision=names.istio_revision, tags=names.tags, default=default)


def injection_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """Return those of a namespace's labels that decide which istiod injects its pods."""
    return {key: labels[key] for key in (INJECTION_LABEL, REVISION_LABEL) if key in labels}


def served_by(injector: Mapping[str, Any]) -> str:
    """Return the revision tag or the Istio revision, in words, that an injector's webhook configuration serves."""
    labels = injector["metadata"].get("labels") or {}
    return str(labels.get(TAG_LABEL) or labels.get(REVISION_LABEL) or DEFAULT_TAG)

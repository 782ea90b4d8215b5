"""Pull secrets: which of them pods will be given, in which namespace, who makes them, and which do not exist.

The charts name them in service accounts and pod templates; istiod's injector adds istiod's own to every pod it injects
(``global.imagePullSecrets`` in its templates, Istio 1.19 to 1.30). The kubelet passes over one that does not exist.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from nksmesh.domain.charts.releases import ISTIOD
from nksmesh.domain.common.errors import ConfigError
from nksmesh.domain.common.findings import Finding, Level
from nksmesh.domain.common.spelling import first_few
from nksmesh.domain.images.login import CONFIG_KEY, Login, config_of, login_for, logins_in
from nksmesh.domain.images.reference import Reference
from nksmesh.domain.kube.objects import Manifest, ObjectRef, pod_template, ref_of
from nksmesh.domain.plan.plan import Action, Need, ReleaseChange, Step

DEFAULT_NAME: Final = "nksmesh-pull-secret"
"""What a pull secret is called where mesh.yaml names none."""

MADE_FOR: Final = "nksmesh.io/pull-secret-of"
"""The label of a pull secret that nksmesh made: the namespace of its mesh's control plane."""

_MOST_NAMES: Final = 3


@dataclass(frozen=True, kw_only=True)
class PullSecretOrder:
    """What was asked for with ``--create-pull-secret``.

    Attributes:
        login: The login that was typed in; None where it is the environment's, or one that this machine stores.
        stored: A login of Docker's config.json, or of a credential helper, may be taken.
    """

    login: Login | None = None
    stored: bool = False


@dataclass(frozen=True, kw_only=True)
class NewPullSecret:
    """The pull secret that a run makes, the same in each namespace.

    Attributes:
        registry: The registry's host, as images name it.
        mesh: The control plane's namespace.
    """

    name: str
    registry: str
    mesh: str
    login: Login = field(repr=False)

    @property
    def manifest(self) -> Manifest:
        """The Secret; it holds the password."""
        config = json.dumps(config_of(self.registry, self.login))
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": self.name,
                "labels": {"app.kubernetes.io/managed-by": "nksmesh", MADE_FOR: self.mesh},
            },
            "type": "kubernetes.io/dockerconfigjson",
            "data": {CONFIG_KEY: base64.b64encode(config.encode()).decode()},
        }

    def may_replace(self, secret: Manifest | None) -> bool:
        """Tell whether a Secret of its name is not there, or is one that nksmesh made for this mesh."""
        return secret is None or (secret["metadata"].get("labels") or {}).get(MADE_FOR) == self.mesh

    def is_in(self, secret: Manifest) -> bool:
        """Tell whether a Secret holds its login already."""
        try:
            found = login_for(Reference(self.registry, "any"), logins_in(secret, ""))
        except ConfigError:
            return False
        own = (self.login.username, self.login.password)
        return found is not None and (found.username, found.password) == own


@dataclass(frozen=True, kw_only=True)
class PullSecretStep(Step):
    """A pull secret is there, with a login."""

    secret: ObjectRef
    new: NewPullSecret


def pull_secret_step(
    secret: ObjectRef, live: Manifest | None, new: NewPullSecret, needs: tuple[Need, ...]
) -> PullSecretStep:
    """Make a pull secret, or renew its login; one that somebody else made stays as it is.

    Args:
        live: The Secret as it is; None where it does not exist.
        needs: The step that makes its namespace, where the mesh does.
    """
    account = f"account {new.login.username} of {new.registry}, from {new.login.source}"
    reasons: tuple[str, ...] = ()
    if live is None:
        action, reasons = Action.CREATE, ("it does not exist", account)
    elif not new.may_replace(live):
        action, reasons = Action.KEEP, ("it was not made by nksmesh for this mesh, and stays as it is",)
    elif new.is_in(live):
        action = Action.KEEP
    else:
        action, reasons = Action.APPLY, ("it has another login", account)
    return PullSecretStep(
        name=f"pull secret {secret.name} in {secret.namespace}",
        action=action,
        reasons=reasons,
        needs=needs,
        secret=secret,
        new=new,
    )


def about_the_account(steps: Iterable[PullSecretStep]) -> tuple[Finding, ...]:
    """Say who can read the password of the pull secrets that are to be written."""
    written = [step for step in steps if step.changes]
    where = first_few([step.secret.namespace for step in written], _MOST_NAMES)
    return tuple(
        Finding(
            id="images.pull-secret-account",
            level=Level.WARNING,
            subject=f"Secret {step.secret.name}",
            message=f"anyone who can read Secrets in {where} can read the password of account "
            f"{step.new.login.username}",
            hint="Use an account that may pull and nothing else: in NCR, the key of a Service Viewer.",
        )
        for step in written[:1]
    )


def wanted_secrets(changes: Iterable[ReleaseChange]) -> tuple[ObjectRef, ...]:
    """List the Secrets that pods of a mesh will be given to pull with, in the namespaces where those pods will run.

    Args:
        changes: What is to become of each release; Secrets that a release itself makes are left out.
    """
    some = tuple(changes)
    made = {
        ref_of(manifest, change.release.namespace)
        for change in some
        for manifest in change.manifests
        if manifest.get("kind") == "Secret"
    }
    injected = injected_secrets(some)
    wanted = [ref for change in some for ref in named_secrets(change.manifests, change.release.namespace)]
    wanted += [
        _secret(name, change.release.namespace) for change in some if change.release.kind.injected for name in injected
    ]
    return tuple(ref for ref in dict.fromkeys(wanted) if ref not in made)


def injected_secrets(changes: Iterable[ReleaseChange]) -> tuple[str, ...]:
    """Name the pull secrets that istiod's injector gives to every pod it injects: istiod's own."""
    istiods = [change for change in changes if change.release.component == ISTIOD.name]
    named = {ref.name for change in istiods for ref in named_secrets(change.manifests, change.release.namespace)}
    return tuple(sorted(named))


def named_secrets(manifests: Iterable[Manifest], namespace: str) -> Iterator[ObjectRef]:
    """List the pull secrets that service accounts and pod templates name.

    Args:
        namespace: Where objects are that name no namespace.
    """
    for manifest in manifests:
        for secret in _pull_secrets(manifest):
            yield _secret(str(secret.get("name") or ""), ref_of(manifest, namespace).namespace)


def missing_secrets(missing: Iterable[ObjectRef], hub: str, absent: Collection[str]) -> tuple[Finding, ...]:
    """Find the pull secrets that do not exist: a warning each, for the nodes may be able to pull without.

    Args:
        hub: The registry path that they are for.
        absent: The namespaces that do not exist either.
    """
    namespaces: dict[str, list[str]] = {}
    for ref in missing:
        namespaces.setdefault(ref.name, []).append(ref.namespace)
    host = hub.partition("/")[0]
    return tuple(
        Finding(
            id="images.missing-pull-secret",
            level=Level.WARNING,
            subject=f"Secret {name}",
            message=f"pull secret {name} does not exist in {'namespaces' if len(where) > 1 else 'namespace'} "
            f"{first_few(where, _MOST_NAMES)}: pods there pull their images without it",
            hint="Run nksmesh install with --create-pull-secret to create it. Or create it yourself, with a login for "
            f"{host} alone: export DOCKER_CONFIG=$(mktemp -d) && docker login {host} && "
            + " && ".join(
                command for namespace in where[:_MOST_NAMES] for command in _commands(name, namespace, absent)
            ),
        )
        for name, where in namespaces.items()
    )


def _commands(name: str, namespace: str, absent: Collection[str]) -> Iterator[str]:
    """Yield the commands that make a pull secret; the password stays in the file that docker login wrote."""
    if namespace in absent:
        yield f"kubectl create namespace {namespace}"
    yield (
        f"kubectl create secret docker-registry {name} -n {namespace} "
        '--from-file=.dockerconfigjson="$DOCKER_CONFIG/config.json"'
    )


def _pull_secrets(manifest: Manifest) -> Iterable[Manifest]:
    """Return a manifest's ``imagePullSecrets``: its own of a service account, its pod template's of a workload."""
    account = manifest.get("kind") == "ServiceAccount"
    holder = manifest if account else (pod_template(manifest).get("spec") or {})
    return holder.get("imagePullSecrets") or ()


def _secret(name: str, namespace: str) -> ObjectRef:
    return ObjectRef("v1", "Secret", name, namespace)

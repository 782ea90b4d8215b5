"""Why pods do not start: what is certain never to heal, and what deserves a grace.

Reads what the kubelet and the scheduler say of pods; what their controllers say is in ``refusals``. Certain failures
end a wait at once; the others are given their grace, counted from when this run first saw them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeAlias

from nksmesh.domain.common.durations import parse_duration
from nksmesh.domain.common.errors import ConfigError
from nksmesh.domain.kube.objects import INJECTED_IMAGE, Manifest, containers
from nksmesh.domain.kube.readiness import conditions_of, is_ready


class Cause(StrEnum):
    """What keeps a pod from becoming ready."""

    IMAGE = "image"
    PULL = "pull"
    CRASH = "crash"
    CONFIG = "config"
    PROBE = "probe"
    UNSCHEDULABLE = "unschedulable"
    WEBHOOK = "webhook"
    QUOTA = "quota"
    POLICY = "policy"
    NOT_INJECTED = "not-injected"


CERTAIN: Final = frozenset({Cause.IMAGE, Cause.QUOTA, Cause.POLICY})
"""Waiting does not heal these."""

GRACES: Final[Mapping[Cause, float]] = {
    Cause.PULL: 60.0,
    Cause.CRASH: 60.0,
    Cause.CONFIG: 60.0,
    Cause.PROBE: 60.0,
    Cause.WEBHOOK: 60.0,
    Cause.UNSCHEDULABLE: 120.0,  # an autoscaler brings a node within two minutes
    Cause.NOT_INJECTED: 60.0,
}
"""How long each of the others is given to heal, in seconds; ``--grace CAUSE=DURATION`` changes one."""

TRIED_AGAIN_GRACE: Final = 5.0
"""How long what is certain is given, in seconds, where it is from before the run, which had it tried again."""

RETRIED: Final = frozenset({Cause.IMAGE, Cause.PULL, Cause.QUOTA, Cause.POLICY})
"""Kubernetes tries these again by itself, minutes later, and shows the old words until then."""

_NEXT_STEP: Final[Mapping[Cause, str]] = {
    Cause.IMAGE: "Check that the registry has this image, and that its pull secret is set (pull_secrets in mesh.yaml).",
    Cause.PULL: "Check that the nodes reach the registry: --network private uses its address for closed networks.",
    Cause.CRASH: "Read the container's last log lines above. Fix the cause, then run the same command again.",
    Cause.CONFIG: "Create the ConfigMap or Secret that the container names, then run the same command again.",
    Cause.PROBE: "Run kubectl logs -n {namespace} {name} to read the container's log.",
    Cause.UNSCHEDULABLE: "Add a node, or lower the requests: --set COMPONENT:resources.requests.cpu=100m.",
    Cause.WEBHOOK: "Check that the API server reaches istiod's port 15017 on the nodes (security groups).",
    Cause.QUOTA: "Raise the namespace's quota, or lower the requests.",
    Cause.POLICY: "Ask the policy's owner to admit this pod, then run the same command again.",
    Cause.NOT_INJECTED: "Check the namespace's istio-injection and istio.io/rev labels.",
}

_REFUSED: Final = re.compile(
    r"not found|manifest unknown|no such image|does not exist|unauthorized|authentication required|"
    r"\b40[13]\b|denied|no basic auth|invalid reference",
    re.IGNORECASE,
)
_OF_A_CLAIM: Final = re.compile(r"volume|free storage", re.IGNORECASE)
"""What the scheduler says of volume claims (the reasons of its plugins VolumeBinding and NodeVolumeLimits)."""

_HEALS: Final = re.compile(r"no such host|i/o timeout|connection refused|TLS handshake", re.IGNORECASE)


Identity: TypeAlias = tuple[Cause, str, str]
"""A trouble's cause, subject and container."""


@dataclass(frozen=True)
class Trouble:
    """One thing that keeps one pod, or a controller's pods, from being ready.

    Attributes:
        subject: ``Pod istio-system/istiod-x``, ``ReplicaSet ...`` or ``DaemonSet ...``.
        reason: The component's own short reason (ErrImagePull, FailedScheduling).
        words: The component's own sentence.
        image: The image it is about, or empty.
        container: The container it is about, or empty.
        hint: A next step of its own, where its cause's does not fit.
        from_before: It was there before the run, and somebody may have mended meanwhile what it is about.
    """

    cause: Cause
    subject: str
    reason: str
    words: str
    image: str = ""
    container: str = ""
    hint: str = ""
    from_before: bool = False

    @property
    def certain(self) -> bool:
        """Whether waiting cannot heal it."""
        return self.cause in CERTAIN and not self.from_before

    @property
    def identity(self) -> Identity:
        """What stays the same while its words change: a back-off grows longer, a pull is tried again."""
        return self.cause, self.subject, self.container

    @property
    def next_step(self) -> str:
        """What the reader can do about it."""
        namespace, _, name = self.subject.partition(" ")[2].partition("/")
        return self.hint or next_step(self.cause, namespace, name)

    def __str__(self) -> str:
        about = f" (image {self.image})" if self.image and self.image not in self.words else ""
        return (
            f"{self.subject}: {self.reason}{about}: {self.words}"
            if self.words
            else f"{self.subject}: {self.reason}{about}"
        )


def next_step(cause: Cause, namespace: str = "", name: str = "") -> str:
    """Say what a reader can do about a cause."""
    return _NEXT_STEP[cause].format(namespace=namespace, name=name)


def grace_option(text: str) -> tuple[Cause, float]:
    """Read ``--grace CAUSE=DURATION``.

    Raises:
        ConfigError: The cause is none that has a grace, or the duration is none.
    """
    name, _, duration = text.partition("=")
    if name not in {cause.value for cause in GRACES}:
        raise ConfigError(
            f"--grace {text}: {name!r} has no grace period",
            hint=f"Write CAUSE=DURATION; the causes are {', '.join(GRACES)}.",
        )
    return Cause(name), parse_duration(duration, f"--grace {name}")


def troubles_of_pod(pod: Manifest, events: Iterable[Manifest]) -> list[Trouble]:
    """List what keeps a pod from being ready.

    Args:
        events: The Warning events about it, oldest first.
    """
    metadata, status = pod["metadata"], pod.get("status") or {}
    subject = f"Pod {metadata.get('namespace')}/{metadata['name']}"
    if metadata.get("deletionTimestamp"):
        return []
    spoken = [(str(event.get("reason", "")), str(event.get("message", ""))) for event in events]
    found = [
        *_scheduling(subject, pod),
        *(
            trouble
            for state in [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
            for trouble in _of_container(subject, pod, state, spoken)
        ),
    ]
    if not found and status.get("phase") == "Running" and not is_ready(pod):
        words = next((text for reason, text in reversed(spoken) if reason == "Unhealthy"), "")
        if words:
            found.append(Trouble(Cause.PROBE, subject, "Unhealthy", words))
    return found


def pull_cause(words: str) -> Cause:
    """Classify why an image was not pulled: certain, or perhaps only now."""
    return Cause.IMAGE if _REFUSED.search(words) and not _HEALS.search(words) else Cause.PULL


def _of_container(
    subject: str, pod: Manifest, state: Mapping[str, Any], spoken: list[tuple[str, str]]
) -> list[Trouble]:
    """List what one container's status tells."""
    held = (state.get("state") or {}).get("waiting") or {}
    reason, words = str(held.get("reason", "")), str(held.get("message", ""))
    name = str(state.get("name", ""))
    image = next((str(spec.get("image", "")) for spec in containers(pod) if spec.get("name") == name), "")
    if reason in {"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "RegistryUnavailable"}:
        # ImagePullBackOff only says that it waits: the cause is in the kubelet's event before it.
        message = next((text for _, text in reversed(spoken) if "Failed to pull" in text and image in text), words)
        cause = pull_cause(message)
        if reason in {"InvalidImageName", "ErrImageNeverPull"}:
            cause = Cause.IMAGE
        if image == INJECTED_IMAGE:
            cause = Cause.NOT_INJECTED
        return [Trouble(cause, subject, reason, message, image, name)]
    if reason == "CrashLoopBackOff":
        ended = (state.get("lastState") or {}).get("terminated") or {}
        code = f"exit code {ended['exitCode']}" if "exitCode" in ended else ""
        return [Trouble(Cause.CRASH, subject, reason, ", ".join(filter(None, (code, words))), image, name)]
    if reason in {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}:
        return [Trouble(Cause.CONFIG, subject, reason, words, image, name)]
    ended = _crash(state)
    if ended:
        words = f"exit code {ended['exitCode']}"
        return [Trouble(Cause.CRASH, subject, str(ended.get("reason") or "Error"), words, image, name)]
    return []


def _crash(state: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return how a container crashed that has not become ready since: between two crashes it runs for a moment."""
    if state.get("ready"):
        return {}
    for known in ("state", "lastState"):
        ended = (state.get(known) or {}).get("terminated") or {}
        if ended:
            return ended if ended.get("exitCode") else {}
    return {}


def _scheduling(subject: str, pod: Manifest) -> list[Trouble]:
    scheduled = conditions_of(pod).get("PodScheduled", {})
    if scheduled.get("status") == "False" and scheduled.get("reason") == "Unschedulable":
        words = str(scheduled.get("message", ""))
        by_a_claim = _OF_A_CLAIM.search(words) and "Insufficient" not in words
        hint = _about_claims(pod) if by_a_claim else ""
        return [Trouble(Cause.UNSCHEDULABLE, subject, "Unschedulable", words, hint=hint)]
    return []


def _about_claims(pod: Manifest) -> str:
    volumes = [volume.get("persistentVolumeClaim") or {} for volume in pod["spec"].get("volumes") or ()]
    names = [str(volume["claimName"]) for volume in volumes if "claimName" in volume]
    why = "they have no volume" if len(names) > 1 else "it has no volume"
    return f"Run kubectl describe pvc {' '.join(names)} -n {pod['metadata'].get('namespace')} to see why {why}."

"""What simulated pods do, as kwok Stages: the ordinary life of a pod, and its failures.

A failure is staged by the annotation ``nksmesh.io/failure`` on a pod (see ``failures``). A container
whose image is still ``auto``, as Istio's gateway chart has it before injection, fails without it.
"""

from __future__ import annotations

from typing import Any, Final

from nksmesh.sandbox.pod_statuses import COMPLETED, status

Stage = dict[str, Any]

FAILURES_SERVICE: Final = ("kube-system", "nksmesh-sandbox-failures")
FAILURE_ANNOTATION: Final = "nksmesh.io/failure"
PULL_ANNOTATION: Final = "nksmesh.io/sandbox-pull"
PULL_ERROR_ANNOTATION: Final = "nksmesh.io/sandbox-pull-error"
PULLED: Final = "pulled"
PLAYED_ANNOTATION: Final = "nksmesh.io/sandbox-played"
"""Whether a pod is simulated, or has processes, in a sandbox with a data plane."""

SIMULATED: Final = "simulated"
WITH_PROCESSES: Final = "processes"
CRASH: Final = "crash"
UNREADY: Final = "unready"
CRASH_EXIT_CODE: Final = 255
# the words of containerd and of the kubelet; %s is the image
PULL_ERRORS: Final = {
    "not-found": (
        'rpc error: code = NotFound desc = failed to pull and unpack image "%s": failed to resolve reference '
        '"%s": %s: not found'
    ),
    "unauthorized": (
        'rpc error: code = Unknown desc = failed to pull and unpack image "%s": failed to resolve reference '
        '"%s": failed to authorize: failed to fetch anonymous token: unexpected status from GET request: '
        "401 Unauthorized"
    ),
    "unknown": (
        'rpc error: code = Unknown desc = failed to pull and unpack image "%s": failed to resolve reference '
        '"%s": failed to do request: dial tcp: i/o timeout'
    ),
}
INVALID_NAME: Final = "invalid-name"
INVALID_NAME_ERROR: Final = (
    'Failed to apply default image tag "%s": couldn\'t parse image name "%s": invalid reference format'
)
AUTO_IMAGE: Final = "auto"
AUTO_PULL_ERROR: Final = (
    'failed to pull and unpack image "docker.io/library/auto:latest": failed to resolve reference '
    '"docker.io/library/auto:latest": pull access denied, repository does not exist or may require '
    "authorization: server message: insufficient_scope: authorization failed"
)
IMAGE_FAILURES: Final = tuple(f"image-{reason}" for reason in (*PULL_ERRORS, INVALID_NAME))

# a container of a pulled image needs about that long to start and to pass its first probe
_START_MS: Final = 700
_BACK_OFF_AFTER_MS: Final = 2_000
_CRASH_AGAIN_MS: Final = 10_000
_PULL_AGAIN_MS: Final = 10_000

_PLAYED = f'.metadata.annotations["{PLAYED_ANNOTATION}"]'
_FAILURE = f'.metadata.annotations["{FAILURE_ANNOTATION}"]'
_READY = '.status.conditions.[] | select( .type == "Ready" ) | .status'
_WAITING = "((.status.containerStatuses // []) + (.status.initContainerStatuses // [])).[] | .state.waiting.reason"
_IMAGES = ".spec.containers.[].image"
_FIRST = "{{ if eq $index 0 }}"
# two tags, or capitals in a repository: what no registry could have, and the kubelet does not even ask for
_BROKEN = ":[^/@]*:|/[^:@]*[A-Z]"
_BROKEN_IMAGE = f'[.spec.containers[].image | test("{_BROKEN}")] | any'
_BROKEN_INIT_IMAGE = f'[(.spec.initContainers // [])[].image | test("{_BROKEN}")] | any'
_IF_BROKEN = f'{{{{ if regexMatch "{_BROKEN}" .image }}}}'
# an image of the registry that stands in for %s, in a pod that the agent has not found to be pulled
_UNPULLED = (
    '([.spec.containers[], (.spec.initContainers // [])[] | .image | startswith("%s/")] | any) '
    f'and .metadata.annotations["{PULL_ANNOTATION}"] != "{PULLED}"'
)
_NOT_PULLED = f'.metadata.annotations["{PULL_ANNOTATION}"]'
_NOT_PULLED_IN_INIT = f"{_NOT_PULLED} as $image | [(.spec.initContainers // [])[].image == $image] | any"
_IF_NOT_PULLED = f'{{{{ if eq .image (index $root.metadata.annotations "{PULL_ANNOTATION}") }}}}'
_PULL_ERROR = f'{{{{ index $root.metadata.annotations "{PULL_ERROR_ANNOTATION}" | Quote }}}}'
_OVER = ("Succeeded", "Failed")


def stages(registry: str = "", *, data_plane: bool = False) -> list[Stage]:
    """Every stage of a pod; kwok's own are not used once stages for pods are given.

    Args:
        registry: The host of the registry that the nodes pull from. A pod with an image of it waits until the agent
            has marked it.
        data_plane: Whether the sandbox has one. A pod then waits until the agent has marked it as simulated.
    """
    return [
        _ready(registry, data_plane=data_plane),
        *(_pulls_from_registry(registry) if registry else ()),
        _complete(),
        _delete(data_plane=data_plane),
        *_pulls_of_auto(),
        *(stage for reason, words in PULL_ERRORS.items() for stage in _pulls(reason, words)),
        _invalid_name(),
        *_broken_names(),
        *_crashes(),
        _unready(),
    ]


def _ready(registry: str, *, data_plane: bool) -> Stage:
    return _stage(
        "pod-ready",
        [
            _expression(_READY, "NotIn", "True"),
            _expression(".status.phase", "NotIn", *_OVER),
            _expression(_FAILURE, "NotIn", *IMAGE_FAILURES, CRASH, UNREADY),
            _expression(_IMAGES, "NotIn", AUTO_IMAGE),
            _expression(_BROKEN_IMAGE, "In", "false"),
            _expression(_BROKEN_INIT_IMAGE, "In", "false"),
            *([_expression(_UNPULLED % registry, "In", "false")] if registry else []),
            *([_expression(_PLAYED, "In", SIMULATED)] if data_plane else []),
        ],
        status(ready=True),
        delay_ms=_START_MS,
    )


def _complete() -> Stage:
    return _stage(
        "pod-complete",
        [
            _expression(".status.phase", "In", "Running"),
            _expression(".metadata.ownerReferences.[].kind", "In", "Job"),
            _expression(_READY, "In", "True"),
        ],
        COMPLETED,
    )


def _delete(*, data_plane: bool) -> Stage:
    return {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "Stage",
        "metadata": {"name": "pod-delete"},
        "spec": {
            "resourceRef": {"apiGroup": "v1", "kind": "Pod"},
            "selector": {
                "matchExpressions": [
                    _expression(".metadata.deletionTimestamp", "Exists"),
                    # the agent ends its processes first
                    *([_expression(_PLAYED, "NotIn", WITH_PROCESSES)] if data_plane else []),
                ]
            },
            "next": {"finalizers": {"empty": True}, "delete": True},
        },
    }


def _pulls_of_auto() -> list[Stage]:
    matches = [_expression(_IMAGES, "In", AUTO_IMAGE), _expression(_FAILURE, "NotIn", *IMAGE_FAILURES, CRASH, UNREADY)]
    waits = '{{ if eq .image "auto" }}'
    back_off = 'Back-off pulling image "auto"'
    return [
        _stage(
            "pod-auto-err-image-pull",
            [*matches, _expression(_WAITING, "NotIn", "ErrImagePull", "ImagePullBackOff")],
            status(waiting=("ErrImagePull", AUTO_PULL_ERROR), only=waits),
        ),
        _stage(
            "pod-auto-image-pull-back-off",
            [*matches, _expression(_WAITING, "In", "ErrImagePull")],
            status(waiting=("ImagePullBackOff", back_off), only=waits),
            delay_ms=_BACK_OFF_AFTER_MS,
        ),
    ]


def _pulls_from_registry(registry: str) -> list[Stage]:
    """What a pod goes through whose image the registry does not give, in a container or in an init container."""
    refused, back_off = ("ErrImagePull", _PULL_ERROR), ("ImagePullBackOff", 'Back-off pulling image "%s"')
    found: list[Stage] = []
    for name, in_init, init_only in (("pod-registry", "false", ""), ("pod-registry-init", "true", _IF_NOT_PULLED)):
        matches = [
            _expression(_FAILURE, "NotIn", *IMAGE_FAILURES, CRASH, UNREADY),
            _expression(_NOT_PULLED, "Exists"),
            _expression(_UNPULLED % registry, "In", "true"),
            _expression(_NOT_PULLED_IN_INIT, "In", in_init),
        ]
        for step, before, waiting, delay_ms in (
            ("err-image-pull", _expression(_WAITING, "NotIn", refused[0], back_off[0]), refused, 0),
            ("image-pull-back-off", _expression(_WAITING, "In", refused[0]), back_off, _BACK_OFF_AFTER_MS),
            # by then the reason may be another one
            ("pull-again", _expression(_WAITING, "In", back_off[0]), refused, _PULL_AGAIN_MS),
        ):
            template = status(waiting=waiting, only=_IF_NOT_PULLED, init_only=init_only)
            found.append(_stage(f"{name}-{step}", [*matches, before], template, delay_ms=delay_ms))
    return found


def _pulls(reason: str, words: str) -> list[Stage]:
    matches = [_expression(_FAILURE, "In", f"image-{reason}"), _expression(_READY, "NotIn", "True")]
    return [
        _stage(
            f"pod-{reason}-err-image-pull",
            [*matches, _expression(_WAITING, "NotIn", "ErrImagePull", "ImagePullBackOff")],
            status(waiting=("ErrImagePull", words), init_only=_FIRST),
        ),
        _stage(
            f"pod-{reason}-image-pull-back-off",
            [*matches, _expression(_WAITING, "In", "ErrImagePull")],
            status(waiting=("ImagePullBackOff", 'Back-off pulling image "%s"'), init_only=_FIRST),
            delay_ms=_BACK_OFF_AFTER_MS,
        ),
    ]


def _invalid_name() -> Stage:
    return _stage(
        "pod-invalid-image-name",
        [
            _expression(_FAILURE, "In", f"image-{INVALID_NAME}"),
            _expression(_READY, "NotIn", "True"),
            _expression(_WAITING, "NotIn", "InvalidImageName"),
        ],
        status(waiting=("InvalidImageName", INVALID_NAME_ERROR), init_only=_FIRST),
    )


def _broken_names() -> list[Stage]:
    waiting = ("InvalidImageName", INVALID_NAME_ERROR)
    unseen = [_expression(_WAITING, "NotIn", "InvalidImageName"), _expression(_FAILURE, "NotIn", *IMAGE_FAILURES)]
    return [
        _stage(
            "pod-broken-image-name",
            [
                *unseen,
                _expression(_BROKEN_IMAGE, "In", "true"),
                _expression(_BROKEN_INIT_IMAGE, "In", "false"),
            ],
            status(waiting=waiting, only=_IF_BROKEN),
        ),
        _stage(
            "pod-broken-init-image-name",
            [*unseen, _expression(_BROKEN_INIT_IMAGE, "In", "true")],
            status(waiting=waiting, init_only=_IF_BROKEN),
        ),
    ]


def _crashes() -> list[Stage]:
    matches = [_expression(_FAILURE, "In", CRASH), _expression(".status.phase", "NotIn", *_OVER)]
    return [
        _stage("pod-crash", [*matches, _expression(_WAITING, "NotIn", "CrashLoopBackOff")], status(crashed=True)),
        _stage(
            "pod-crash-again",
            [*matches, _expression(_WAITING, "In", "CrashLoopBackOff")],
            status(crashed=True),
            delay_ms=_CRASH_AGAIN_MS,
        ),
    ]


def _unready() -> Stage:
    reason = '.status.conditions.[] | select( .type == "Ready" ) | .reason'
    return _stage(
        "pod-unready",
        [
            _expression(_FAILURE, "In", UNREADY),
            _expression(".status.phase", "NotIn", *_OVER),
            _expression(reason, "NotIn", "ContainersNotReady"),
        ],
        status(ready=False),
    )


def _stage(name: str, expressions: list[dict[str, Any]], template: str, *, delay_ms: int = 0) -> Stage:
    spec: dict[str, Any] = {
        "resourceRef": {"apiGroup": "v1", "kind": "Pod"},
        "selector": {"matchExpressions": [_expression(".metadata.deletionTimestamp", "DoesNotExist"), *expressions]},
        "next": {"statusTemplate": template},
    }
    if delay_ms:
        spec["delay"] = {"durationMilliseconds": delay_ms}
    return {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "Stage",
        "metadata": {"name": name},
        "spec": spec,
    }


def _expression(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"key": key, "operator": operator, **({"values": list(values)} if values else {})}

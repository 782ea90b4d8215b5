from __future__ import annotations

import pytest

from nksmesh.domain.common.errors import ConfigError
from nksmesh.domain.kube.diagnosis import CERTAIN, GRACES, Cause, Trouble, grace_option, pull_cause, troubles_of_pod
from tests.unit.domain.manifests import read, read_all

IMAGE = "registry.example/istio/pilot:1.20.0"


def pod(status: str, *, image: str = IMAGE, ending: bool = False) -> str:
    stamp = ', deletionTimestamp: "2026-01-01T00:00:00Z"' if ending else ""
    return f"""
metadata: {{name: istiod-x, namespace: istio-system{stamp}}}
spec: {{containers: [{{name: discovery, image: "{image}"}}]}}
status: {status}
"""


def held(reason: str, message: str = "") -> str:
    return (
        "{phase: Pending, containerStatuses: [{name: discovery, "
        f'state: {{waiting: {{reason: {reason}, message: "{message}"}}}}}}]}}'
    )


def event(reason: str, message: str) -> str:
    return f"---\n{{reason: {reason}, message: '{message}'}}\n"


PULL_FAILED = f'Failed to pull image "{IMAGE}": rpc error: code = '

CONTAINERS: dict[str, tuple[str, str, Cause, str]] = {
    "the event tells that the image is not there": (
        held("ImagePullBackOff", "Back-off pulling image"),
        event("Failed", f"{PULL_FAILED}NotFound desc = manifest unknown"),
        Cause.IMAGE,
        f"{PULL_FAILED}NotFound desc = manifest unknown",
    ),
    "a refused credential": (
        held("ErrImagePull", "pull access denied, unauthorized: authentication required"),
        "",
        Cause.IMAGE,
        "pull access denied, unauthorized: authentication required",
    ),
    "a registry that does not answer may come back": (
        held("ErrImagePull", "dial tcp 10.0.0.1:443: i/o timeout"),
        "",
        Cause.PULL,
        "dial tcp 10.0.0.1:443: i/o timeout",
    ),
    "a name server that does not know the registry may learn": (
        held("ErrImagePull", "lookup registry.example: no such host (not found)"),
        "",
        Cause.PULL,
        "lookup registry.example: no such host (not found)",
    ),
    "a back-off without an event": (
        held("ImagePullBackOff", "Back-off pulling image"),
        "",
        Cause.PULL,
        "Back-off pulling image",
    ),
    "the newest event counts": (
        held("ImagePullBackOff", "Back-off"),
        event("Failed", f"{PULL_FAILED}NotFound desc = not found")
        + event("Failed", f"{PULL_FAILED}Unavailable desc = i/o timeout"),
        Cause.PULL,
        f"{PULL_FAILED}Unavailable desc = i/o timeout",
    ),
    "an event about another image does not count": (
        held("ImagePullBackOff", "Back-off"),
        event("Failed", 'Failed to pull image "busybox:1": not found'),
        Cause.PULL,
        "Back-off",
    ),
    "a name that is none": (held("InvalidImageName", "couldn't parse"), "", Cause.IMAGE, "couldn't parse"),
    "a policy that never pulls": (held("ErrImageNeverPull", "not present"), "", Cause.IMAGE, "not present"),
    "a Secret that is missing": (
        held("CreateContainerConfigError", "secret istio-kubeconfig not found"),
        "",
        Cause.CONFIG,
        "secret istio-kubeconfig not found",
    ),
    "a command that does not run": (held("RunContainerError", "no such file"), "", Cause.CONFIG, "no such file"),
    "a crash loop with its exit code": (
        (
            "{containerStatuses: [{name: discovery, lastState: {terminated: {exitCode: 137}},"
            " state: {waiting: {reason: CrashLoopBackOff, message: back-off 10s}}}]}"
        ),
        "",
        Cause.CRASH,
        "exit code 137, back-off 10s",
    ),
    "a crash loop that says nothing": (held("CrashLoopBackOff"), "", Cause.CRASH, ""),
}


@pytest.mark.parametrize(("status", "events", "cause", "words"), CONTAINERS.values(), ids=CONTAINERS)
def test_container(status: str, events: str, cause: Cause, words: str) -> None:
    (trouble,) = troubles_of_pod(read(pod(status)), read_all(events))
    assert (trouble.cause, trouble.words) == (cause, words)
    assert trouble.subject == "Pod istio-system/istiod-x"
    assert (trouble.image, trouble.container) == (IMAGE, "discovery")


def test_an_init_container_counts_too() -> None:
    found = troubles_of_pod(
        read(
            """
            metadata: {name: x, namespace: y}
            spec: {initContainers: [{name: istio-init, image: "i:1"}]}
            status: {initContainerStatuses: [{name: istio-init, state: {waiting: {reason: InvalidImageName}}}]}
            """
        ),
        [],
    )
    assert [(trouble.cause, trouble.image, trouble.container) for trouble in found] == [
        (Cause.IMAGE, "i:1", "istio-init")
    ]


def test_the_image_auto_was_never_injected() -> None:
    (trouble,) = troubles_of_pod(read(pod(held("ErrImagePull", "auto: not found"), image="auto")), [])
    assert trouble.cause is Cause.NOT_INJECTED
    assert not trouble.certain


HEALTHY = {
    "creating its containers": held("ContainerCreating"),
    "running and ready": (
        '{phase: Running, conditions: [{type: Ready, status: "True"}], '
        "containerStatuses: [{name: discovery, ready: true, state: {running: {}}}]}"
    ),
    "running and not ready yet, and nobody complains": (
        '{phase: Running, conditions: [{type: Ready, status: "False"}], '
        "containerStatuses: [{name: discovery, ready: false, state: {running: {}}}]}"
    ),
    "ready after a crash": (
        '{phase: Running, conditions: [{type: Ready, status: "True"}], containerStatuses: [{name: discovery, '
        "ready: true, restartCount: 1, state: {running: {}}, lastState: {terminated: {exitCode: 1}}}]}"
    ),
    "nothing known yet": "{}",
}


@pytest.mark.parametrize("status", HEALTHY.values(), ids=HEALTHY)
def test_nothing_is_wrong_with_a_pod(status: str) -> None:
    assert troubles_of_pod(read(pod(status)), []) == []


BETWEEN_CRASHES = {
    "ended a moment ago": "state: {terminated: {exitCode: 1, reason: Error}}",
    "running once more": "state: {running: {}}, lastState: {terminated: {exitCode: 1, reason: Error}}",
}


@pytest.mark.parametrize("state", BETWEEN_CRASHES.values(), ids=BETWEEN_CRASHES)
def test_a_crash_is_not_healed_by_running_once_more(state: str) -> None:
    status = f"{{phase: Running, containerStatuses: [{{name: discovery, ready: false, restartCount: 1, {state}}}]}}"
    (trouble,) = troubles_of_pod(read(pod(status)), [])
    assert (trouble.cause, trouble.reason, trouble.words) == (Cause.CRASH, "Error", "exit code 1")


def test_an_init_container_that_is_done_has_not_crashed() -> None:
    status = (
        "{initContainerStatuses: [{name: istio-init, ready: true, restartCount: 0, "
        "state: {terminated: {exitCode: 0, reason: Completed}}}]}"
    )
    assert troubles_of_pod(read(pod(status)), []) == []


def test_a_pod_that_is_ending_is_nobodys_trouble() -> None:
    assert troubles_of_pod(read(pod(held("ErrImagePull"), ending=True)), []) == []


def test_a_failing_probe_is_known_by_its_event() -> None:
    unready = pod('{phase: Running, conditions: [{type: Ready, status: "False"}]}')
    events = read_all(event("Unhealthy", "connection refused") + event("Unhealthy", "HTTP 503"))
    (trouble,) = troubles_of_pod(read(unready), events)
    assert (trouble.cause, trouble.reason, trouble.words) == (Cause.PROBE, "Unhealthy", "HTTP 503")
    assert trouble.next_step == "Run kubectl logs -n istio-system istiod-x to read the container's log."


def test_an_old_probe_event_of_a_ready_pod_is_history() -> None:
    status = '{phase: Running, conditions: [{type: Ready, status: "True"}]}'
    assert troubles_of_pod(read(pod(status)), read_all(event("Unhealthy", "HTTP 503"))) == []


def test_a_pod_without_a_node_has_the_schedulers_words() -> None:
    status = (
        '{phase: Pending, conditions: [{type: PodScheduled, status: "False", reason: Unschedulable, '
        "message: 0/2 nodes are available}]}"
    )
    (trouble,) = troubles_of_pod(read(pod(status)), [])
    assert (trouble.cause, trouble.words) == (Cause.UNSCHEDULABLE, "0/2 nodes are available")


@pytest.mark.parametrize(
    ("words", "helps"),
    [
        (
            "0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims.",
            "Run kubectl describe pvc storage-loki-0 -n istio-system to see why it has no volume.",
        ),
        (
            '0/3 nodes are available: persistentvolumeclaim "storage-loki-0" not found.',
            "Run kubectl describe pvc storage-loki-0 -n istio-system to see why it has no volume.",
        ),
        (
            "0/3 nodes are available: 3 node(s) had volume node affinity conflict.",
            "Run kubectl describe pvc storage-loki-0 -n istio-system to see why it has no volume.",
        ),
        (
            "0/3 nodes are available: 1 node(s) had volume node affinity conflict, 2 Insufficient cpu.",
            "Add a node, or lower the requests: --set COMPONENT:resources.requests.cpu=100m.",
        ),
    ],
)
def test_a_pod_whose_volume_claim_holds_it_back_is_not_told_of_requests(words: str, helps: str) -> None:
    pending = read(pod("{phase: Pending}"))
    pending["status"]["conditions"] = [
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": words}
    ]
    pending["spec"]["volumes"] = [{"name": "storage", "persistentVolumeClaim": {"claimName": "storage-loki-0"}}]
    (trouble,) = troubles_of_pod(pending, [])
    assert (trouble.cause, trouble.next_step) == (Cause.UNSCHEDULABLE, helps)


def test_a_pod_held_back_by_a_scheduling_gate_is_not_unschedulable() -> None:
    status = '{conditions: [{type: PodScheduled, status: "False", reason: SchedulingGated}]}'
    assert troubles_of_pod(read(pod(status)), []) == []


PULLS = {
    "manifest for x:1 not found: manifest unknown": Cause.IMAGE,
    "failed to authorize: failed to fetch oauth token: 401": Cause.IMAGE,
    "unexpected status from HEAD request: 403 Forbidden": Cause.IMAGE,
    "invalid reference format": Cause.IMAGE,
    "net/http: TLS handshake timeout": Cause.PULL,
    "unexpected status 503 Service Unavailable": Cause.PULL,
    "layer sha256:401f not yet there": Cause.PULL,
    "": Cause.PULL,
}


@pytest.mark.parametrize(("words", "cause"), PULLS.items())
def test_why_an_image_was_not_pulled(words: str, cause: Cause) -> None:
    assert pull_cause(words) is cause


def test_every_cause_either_is_certain_or_has_a_grace_and_always_a_next_step() -> None:
    assert {*CERTAIN} | {*GRACES} == {*Cause}
    assert not {*CERTAIN} & {*GRACES}
    for cause in Cause:
        assert Trouble(cause, "Pod a/b", "X", "").next_step.endswith(".")


def test_a_trouble_names_its_image_once() -> None:
    assert str(Trouble(Cause.IMAGE, "Pod a/b", "ErrImagePull", "x:1 not found", "x:1")) == (
        "Pod a/b: ErrImagePull: x:1 not found"
    )
    assert str(Trouble(Cause.IMAGE, "Pod a/b", "ErrImagePull", "not found", "x:1")) == (
        "Pod a/b: ErrImagePull (image x:1): not found"
    )
    assert str(Trouble(Cause.CRASH, "Pod a/b", "CrashLoopBackOff", "", "x:1")) == (
        "Pod a/b: CrashLoopBackOff (image x:1)"
    )


def test_two_words_for_one_trouble_are_one_trouble() -> None:
    trouble = Trouble(Cause.PULL, "Pod a/b", "ErrImagePull", "i/o timeout", "x:1", "app")
    other = Trouble(Cause.PULL, "Pod a/b", "ImagePullBackOff", "Back-off 20s", "x:1", "app")
    assert trouble.identity == other.identity
    assert trouble.identity != Trouble(Cause.PULL, "Pod a/b", "ErrImagePull", "i/o timeout", "x:1", "init").identity


def test_a_grace_is_read() -> None:
    assert grace_option("crash=2m") == (Cause.CRASH, 120.0)
    assert grace_option("not-injected=0") == (Cause.NOT_INJECTED, 0.0)


@pytest.mark.parametrize("text", ["image=1m", "nonsense=1m", "", "crash", "crash=", "crash=soon", "=1m"])
def test_a_grace_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--grace"):
        grace_option(text)

"""The steps of the NKS guide and of the Bookinfo tutorial as nksmesh's own commands, and the way back.

A step is data: the command line that is run and shown is one and the same. What proves it is read from the command's
JSON, whose keys are kept by the schemas. The commands themselves end with an exit code where they prove something.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from nksmesh.domain.common.data import HIDDEN
from nksmesh.domain.common.spelling import counted

SAMPLE: Final = "bookinfo"
SERVICE: Final = "reviews"
GATEWAY: Final = "istio-ingressgateway"
"""The gateway that the guide reaches the sample by; the profile demo has another one for egress."""

PAGE: Final = "/productpage"

_FILES: Final = "-f samples/bookinfo/platform/kube/bookinfo.yaml -f samples/bookinfo/networking/bookinfo-gateway.yaml"
_SPLIT_FILES: Final = (
    "-f samples/bookinfo/networking/virtual-service-reviews-80-20.yaml "
    "-f samples/bookinfo/networking/destination-rule-reviews.yaml"
)

Proof = Callable[[Mapping[str, Any]], str]
"""Returns what a command's JSON proves, in a sentence; empty where it proves nothing."""


@dataclass(frozen=True, kw_only=True)
class GuideStep:
    """One step of the guide.

    Attributes:
        title: What it is for.
        words: The command line, without ``nksmesh``.
        instead_of: What the guide types.
        proof: Reads the proof from the command's JSON.
    """

    title: str
    words: tuple[str, ...] = field(metadata=HIDDEN)
    instead_of: str = ""
    proof: Proof = field(metadata=HIDDEN, repr=False, compare=False)

    @property
    def line(self) -> str:
        """The command line, as a user would type it."""
        return shlex.join(("nksmesh", *self.words))


@dataclass(frozen=True, kw_only=True)
class Choices:
    """What the walk was told.

    Attributes:
        install: Words for ``install``: where Istio is from, and which.
        fetch: Words for ``istioctl fetch``; None where the samples are there already.
        where: Words for every command: the environment and its folder.
        samples: Words for ``sample deploy``: the folder, and the registry of the images.
        namespace: The sample's namespace.
        wait: How long the load balancer's address is waited for.
    """

    install: tuple[str, ...]
    fetch: tuple[str, ...] | None = None
    where: tuple[str, ...] = ()
    samples: tuple[str, ...] = ()
    namespace: str = "default"
    wait: str = "5m"


@dataclass(frozen=True, kw_only=True)
class Made:
    """What a walk has made that is still there.

    Attributes:
        traffic: Recipes stand on the sample's Service.
        sample: Objects of the sample are there.
        label: The sample's namespace has a label for injection.
        mesh: There is a mesh, or what is left of one.
    """

    traffic: bool = False
    sample: bool = False
    label: bool = False
    mesh: bool = False


def walk_of(choices: Choices) -> tuple[GuideStep, ...]:
    """Return the guide's steps, from the first to the last."""
    here = ("-n", choices.namespace, *choices.where)
    by = ("--gateway", GATEWAY)
    return (
        *(_fetch(choices.fetch, choices.where) if choices.fetch is not None else ()),
        GuideStep(
            title="Install Istio",
            words=("install", *choices.install, *choices.where),
            instead_of="istioctl install --set profile=demo --set hub=${REGISTRY} -y",
            proof=lambda data: "; ".join((_last(data["done"]), *_addresses(data["addresses"]))),
        ),
        GuideStep(
            title="Look at the mesh",
            words=("status", "--exit-code", *choices.where),
            instead_of="kubectl get all -n istio-system",
            proof=lambda data: f"{counted(len(data['releases']), 'release is', 'releases are')} ready",
        ),
        GuideStep(
            title=f"Have the pods of namespace {choices.namespace} injected",
            words=("inject", "enable", choices.namespace, *choices.where, "--yes"),
            instead_of=f"kubectl label namespace {choices.namespace} istio-injection=enabled",
            proof=lambda data: f"{data['moves'][0]['namespace']} has {_pairs(data['moves'][0]['after'])}",
        ),
        GuideStep(
            title="Deploy Bookinfo with its Gateway, and wait for every pod and its proxy",
            words=("sample", "deploy", SAMPLE, *choices.samples, *here, "--yes"),
            instead_of="kubectl apply " + _FILES,
            proof=lambda data: _last(data["done"]),
        ),
        GuideStep(
            title="Verify Bookinfo: its page from inside the mesh, its Gateway, its page from outside",
            words=("sample", "verify", SAMPLE, *by, "--wait", choices.wait, *here),
            instead_of="kubectl exec RATINGS-POD -c ratings -- curl -sS productpage:9080/productpage",
            proof=lambda data: "; ".join(check["message"] for check in data["checks"]),
        ),
        *(_analyze(here) if choices.fetch is not None else ()),
        GuideStep(
            title="Ask the gateway for the page",
            words=("gateway", "url", *by, "--check", PAGE, *choices.where),
            instead_of="export GATEWAY_URL=$INGRESS_HOST:$INGRESS_PORT; curl http://$GATEWAY_URL/productpage",
            proof=lambda data: f"{data['answer']['url']} answers {data['answer']['status']}: {data['answer']['title']}",
        ),
        *(_shift(weights, here) for weights in ({"v1": 80, "v2": 20}, {"v1": 0, "v2": 100})),
        GuideStep(
            title="Look at the traffic rules, with the ready pods of each version",
            words=("traffic", "show", SERVICE, *here),
            instead_of="kubectl get virtualservice,destinationrule",
            proof=lambda data: ", ".join(
                f"{version['name']}: {version['ready']} of {counted(version['pods'], 'pod')} ready"
                for version in data["services"][0]["versions"]
            ),
        ),
    )


def way_back(choices: Choices, made: Made) -> tuple[GuideStep, ...]:
    """Return the steps that take back what a walk has made, the last first."""
    here = ("-n", choices.namespace, *choices.where)
    steps = (
        (
            made.traffic,
            GuideStep(
                title=f"Take the traffic rules of {SERVICE} away",
                words=("traffic", "reset", SERVICE, *here, "--write", "--yes"),
                proof=lambda data: _many(data["written"], "gone"),
            ),
        ),
        (
            made.sample,
            GuideStep(
                title="Delete Bookinfo and its Gateway",
                words=("sample", "delete", SAMPLE, *here, "--yes"),
                instead_of="kubectl delete " + _FILES,
                proof=lambda data: _many(data["done"], "gone"),
            ),
        ),
        (
            made.label,
            GuideStep(
                title=f"Remove the injection label of namespace {choices.namespace}",
                words=("inject", "disable", choices.namespace, *choices.where, "--yes"),
                instead_of=f"kubectl label namespace {choices.namespace} istio-injection-",
                proof=lambda data: f"{data['moves'][0]['namespace']} has no injection label",
            ),
        ),
        (
            made.mesh,
            GuideStep(
                title="Remove Istio, its CRDs and its namespace",
                words=("uninstall", "--purge", *choices.where, "--yes"),
                instead_of="istioctl uninstall --purge -y; kubectl delete namespace istio-system",
                proof=lambda data: f"{counted(len(data['removed']), 'thing is', 'things are')} gone",
            ),
        ),
    )
    return tuple(step for there, step in steps if there)


def _fetch(words: Sequence[str], where: Sequence[str]) -> Iterator[GuideStep]:
    yield GuideStep(
        title="Fetch istioctl and Istio's samples",
        words=("istioctl", "fetch", *words, *where),
        instead_of="oras pull ${REGISTRY}/istioctl-tool:${VERSION}",
        proof=lambda data: f"istioctl {data['version']} is {data['digest']}, and its samples are in {data['samples']}",
    )


def _analyze(here: Sequence[str]) -> Iterator[GuideStep]:
    yield GuideStep(
        title="Have istioctl analyze the configuration",
        words=("istioctl", "analyze", *here),
        instead_of="istioctl analyze",
        proof=lambda data: f"istioctl {data['istioctl']} finds no error; {counted(len(data['messages']), 'message')}",
    )


def _shift(weights: Mapping[str, int], here: Sequence[str]) -> GuideStep:
    split = tuple(f"{version}={weight}" for version, weight in weights.items())
    return GuideStep(
        title=f"Split the requests of {SERVICE}: {', '.join(split)}",
        words=("traffic", "shift", SERVICE, *split, *here, "--write", "--yes"),
        instead_of="kubectl apply " + _SPLIT_FILES,
        proof=lambda data: _many(data["written"], "written"),
    )


def _last(done: Sequence[Mapping[str, Any]]) -> str:
    return str(done[-1]["message"]) if done else ""


def _many(objects: Sequence[Any], what: str) -> str:
    """Count what was done to objects; nothing proves nothing."""
    return f"{counted(len(objects), 'object is', 'objects are')} {what}" if objects else ""


def _addresses(addresses: Mapping[str, Sequence[str]]) -> list[str]:
    return [f"{gateway} has {', '.join(found)}" for gateway, found in addresses.items() if found]


def _pairs(labels: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in labels.items())

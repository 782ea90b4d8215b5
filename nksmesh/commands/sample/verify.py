"""``nksmesh sample verify``: what the NKS guide looks at, step by step, each with what it found."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from nksmesh.commands.gateway import GatewayUrl, UrlOrder, gateway_url
from nksmesh.commands.istioctl.reports import analyze
from nksmesh.domain.checks.rule import Checked, Status, checked
from nksmesh.domain.common.errors import CheckError, MeshError
from nksmesh.domain.common.findings import Finding, Level
from nksmesh.domain.gateways.answers import title_of
from nksmesh.domain.gateways.listeners import check_listeners
from nksmesh.domain.kube.objects import Manifest, ObjectRef
from nksmesh.domain.kube.readiness import is_ready
from nksmesh.domain.samples.sample import Page, Sample
from nksmesh.engine.gateways import read_gateways
from nksmesh.engine.ports import IstioctlProgram, Pages
from nksmesh.engine.rollouts import queries_in
from nksmesh.engine.runtime import Runtime
from nksmesh.engine.samples import applied_objects, pods_ready

_GATEWAYS: Final = ("Gateway", "VirtualService")


@dataclass(frozen=True, kw_only=True)
class Verified:
    """What came of verifying a sample.

    Attributes:
        url: The page's URL through the gateway; empty where it has no address.
        checks: What was looked at, in the guide's order.
    """

    sample: str
    namespace: str
    url: str
    checks: tuple[Checked, ...]

    @property
    def exit_code(self) -> int:
        """7 where something is not as the guide has it, else 0."""
        return CheckError.exit_code if any(found.status is Status.FAILURE for found in self.checks) else 0


@dataclass(frozen=True, kw_only=True)
class Analyzer:
    """An istioctl that was fetched.

    Attributes:
        version: Its Istio version.
    """

    program: IstioctlProgram
    version: str


async def verify(
    sample: Sample, namespace: str, runtime: Runtime, pages: Pages, order: UrlOrder, analyzer: Analyzer | None = None
) -> Verified:
    """Look at a sample that was deployed: its pods, its page from inside, its gateway objects, its page from outside.

    Args:
        pages: Asks for the page through the gateway.
        order: Which gateway is asked, and how long its address is waited for.
        analyzer: What analyzes the namespace's configuration; None where no istioctl was fetched.

    Raises:
        ClusterError: The cluster cannot be reached, or refuses.
    """
    applied = await applied_objects(sample, namespace, runtime.cluster)
    await runtime.cluster.live.follow(queries_in(namespace))
    pods = tuple(_about_pods(sample, namespace, applied, runtime))
    inside = () if pods else await _about_inside(sample.page, namespace, runtime)
    objects = await _about_objects(applied, runtime)
    asked = replace(order, check=sample.page.path)
    (url, outside), analyzed = await asyncio.gather(
        _about_outside(sample.page, asked, runtime, pages), _analyzed(analyzer, namespace)
    )
    outside = tuple(finding for finding in outside if finding not in objects)
    deployments = sum(ref.kind == "Deployment" for ref in applied)
    return Verified(
        sample=sample.name,
        namespace=namespace,
        url=url,
        checks=(
            *_told("sample.pods", f"the pods of {deployments} Deployments are ready, each with its proxy", pods),
            *_told("sample.page-inside", f"pod {sample.page.app} gets the page {sample.page.title!r}", inside, pods),
            *_told("sample.gateway-objects", f"{' and '.join(_GATEWAYS)} are there", objects),
            *analyzed,
            *_told("sample.page-outside", f"{url} has the title {sample.page.title!r}", outside),
        ),
    )


def _told(rule: str, passed: str, findings: Iterable[Finding], before: Iterable[Finding] = ()) -> Iterator[Checked]:
    """Say what came of one look; nothing where another had to come first and failed."""
    found = tuple(findings)
    yield from map(checked, found)
    if not found and not tuple(before):
        yield Checked(id=rule, status=Status.OK, message=passed)


def _about_pods(
    sample: Sample, namespace: str, applied: Mapping[ObjectRef, Manifest], runtime: Runtime
) -> Iterator[Finding]:
    deployments = [ref for ref in applied if ref.kind == "Deployment"]
    answer = pods_ready(runtime.cluster.live, deployments)
    if not deployments:
        yield Finding(
            id="sample.pods",
            message=f"nksmesh has not deployed {sample.name} in namespace {namespace}",
            hint=f"Run nksmesh sample deploy {sample.name} -n {namespace} --samples FOLDER.",
        )
    elif not answer.ready:
        yield Finding(
            id="sample.pods",
            message=f"not ready: {answer.message}",
            hint=f"Run nksmesh inject status {namespace}, and kubectl get pods -n {namespace}.",
        )


async def _about_inside(page: Page, namespace: str, runtime: Runtime) -> tuple[Finding, ...]:
    """Ask for the page from a pod of the mesh, as the guide does with kubectl exec."""
    command = ("curl", "-sS", f"{page.service}{page.path}")
    try:
        title, words = title_of(await _run(command, page.app, namespace, runtime)), ""
    except MeshError as error:
        title, words = "", f"{error.message} {error.detail}".strip()
    if title == page.title:
        return ()
    return (
        Finding(
            id="sample.page-inside",
            message=f"{' '.join(command)} in a pod of {page.app}: {words or f'the page has the title {title!r}'}",
            hint=f"Run kubectl exec -n {namespace} deploy/{page.app}-v1 -c {page.app} -- {' '.join(command)}.",
        ),
    )


async def _run(command: Sequence[str], app: str, namespace: str, runtime: Runtime) -> str:
    """Run a command in the first ready pod of an app, in the container of the same name."""
    for pod in runtime.cluster.live.find("Pod", namespace):
        metadata = pod["metadata"]
        if (metadata.get("labels") or {}).get("app") == app and is_ready(pod):
            return await runtime.cluster.pods.run(namespace, str(metadata["name"]), app, command)
    return ""


async def _about_objects(applied: Mapping[ObjectRef, Manifest], runtime: Runtime) -> tuple[Finding, ...]:
    """Look for the objects that lead the gateway to the sample, and whether its ports do."""
    missing = [kind for kind in _GATEWAYS if not any(ref.kind == kind for ref in applied)]
    lacking = Finding(
        id="sample.gateway-objects",
        message=f"there is no {' and no '.join(missing)} that nksmesh applied",
        hint="Run nksmesh sample deploy again.",
    )
    gateways = await read_gateways(runtime.cluster, runtime.helm, "")
    endpoints = [gateway.endpoint(runtime.cluster.live) for gateway in gateways.seen]
    found = check_listeners([live for ref, live in applied.items() if ref.kind == "Gateway"], endpoints)
    return (*((lacking,) if missing else ()), *(replace(finding, level=Level.FAILURE) for finding in found))


async def _analyzed(analyzer: Analyzer | None, namespace: str) -> tuple[Checked, ...]:
    """Have istioctl analyze the namespace: what it finds, a message each; or why it was not asked."""
    if analyzer is None:
        words = "istioctl analyze was not run: run nksmesh istioctl fetch first to have it run"
        return (checked(Finding(id="sample.not-analyzed", level=Level.NOTE, message=words)),)
    try:
        found = await analyze(analyzer.program, analyzer.version, namespace)
    except MeshError as error:
        words = f"{error.message}: {error.detail}" if error.detail else error.message
        hint = f"Run nksmesh istioctl analyze -n {namespace}."
        return (checked(Finding(id="sample.not-analyzed", level=Level.WARNING, message=words, hint=hint)),)
    if not found.messages:
        words = f"istioctl {found.istioctl} has no message on namespace {namespace}"
        return (Checked(id="istioctl.analyzer-message", status=Status.OK, message=words),)
    coded = (replace(said.finding, message=f"{said.code} {said.finding.message}") for said in found.messages)
    return tuple(map(checked, coded))


async def _about_outside(
    page: Page, order: UrlOrder, runtime: Runtime, pages: Pages
) -> tuple[str, tuple[Finding, ...]]:
    try:
        asked = await gateway_url(order, runtime, "", pages)
    except MeshError as error:
        return "", (Finding(id="sample.page-outside", message=error.message, hint=error.hint),)
    return f"{asked.url}{page.path}", tuple(_about_answer(page, asked))


def _about_answer(page: Page, asked: GatewayUrl) -> Iterator[Finding]:
    answer = asked.answer
    if answer is None or not answer.good:
        yield from (replace(found, level=Level.FAILURE) for found in asked.findings)
    elif answer.title != page.title:
        yield Finding(
            id="sample.page-outside",
            message=f"{answer.url} has the title {answer.title!r}, not {page.title!r}",
            hint="Another Gateway or VirtualService takes its requests: run nksmesh gateway list.",
        )

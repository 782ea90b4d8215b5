"""How ``nksmesh sandbox`` looks."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from nksmesh.domain.common.durations import spoken
from nksmesh.domain.common.spelling import counted
from nksmesh.report.charts import DIGEST
from nksmesh.report.layout import BAD, FAINT, GOOD, facts, gap, rows, sentence
from nksmesh.report.text import renders
from nksmesh.sandbox.builds import OLDEST_CHARTS
from nksmesh.sandbox.failures import Staged
from nksmesh.sandbox.layout import DEFAULT_NAME
from nksmesh.sandbox.results import (
    Built,
    DataPlaneStatus,
    Deleted,
    FailuresEnded,
    PackagedCharts,
    PartStatus,
    SandboxStarted,
    SandboxStatus,
    SandboxStopped,
    State,
    Statuses,
)


@renders(SandboxStarted)
def _raised(result: SandboxStarted, console: Console, _verbose: bool) -> None:
    how = f"up in {spoken(result.seconds)}" if result.started else "already up"
    sentence(console, f"sandbox {result.name} is {how}", GOOD)
    _facts(result, console)
    sentence(console, f"Try it: kubectl --kubeconfig {result.kubeconfig} get nodes", FAINT)


@renders(Statuses)
def _statuses(result: Statuses, console: Console, verbose: bool) -> None:
    for number, sandbox in enumerate(result.sandboxes):
        if number:
            gap(console)
        _status(sandbox, console, verbose)


@renders(SandboxStatus)
def _status(status: SandboxStatus, console: Console, verbose: bool) -> None:
    console.print(Text.assemble((f"sandbox {status.name}", "bold"), ": ", _state(status.state)))
    if status.state is State.ABSENT:
        return
    _facts(status, console)
    headers = ["part", "state", "pid", *(["log"] if verbose else [])]
    rows(console, headers, [_part(part)[: len(headers)] for part in status.parts])
    if status.data_plane:
        _data_plane(status.data_plane, console)
    for part in status.parts:
        if part.log_tail:
            gap(console)
            sentence(console, f"the end of {part.log}:", FAINT)
            for line in part.log_tail.splitlines():
                console.print(Text(f"  {line}"), soft_wrap=True)


def _data_plane(status: DataPlaneStatus, console: Console) -> None:
    gap(console)
    version = status.control_plane
    oldest = ".".join(map(str, OLDEST_CHARTS))
    none = f"no istiod runs; an Istio older than {oldest} stays simulated"
    runs = f"istiod {version}, whatever the chart's version" if version else none
    sentence(console, f"data plane: {runs}")
    images = [[image.kind, str(image.containers), image.image] for image in status.images]
    rows(console, ["what runs", "containers", "image"], images)
    if status.relays:
        rows(console, ["external address", "on this machine"], [[r.address, r.relay] for r in status.relays])


def _facts(sandbox: SandboxStarted | SandboxStatus, console: Console) -> None:
    known = [
        ("server", f"{sandbox.server}, Kubernetes {sandbox.kubernetes}"),
        ("kubeconfig", str(sandbox.kubeconfig)),
        ("context", sandbox.context),
        ("registry", sandbox.registry),
    ]
    facts(console, [fact for fact in known if fact[1]])
    if sandbox.registry:
        sentence(console, f"Log in to the registry: export DOCKER_CONFIG={sandbox.docker_config}", FAINT)


def _part(part: PartStatus) -> list[str | Text]:
    return [str(part.part), _state(part.state), str(part.pid or ""), str(part.log)]


def _state(state: State) -> Text:
    return Text(str(state), style={State.RUNNING: GOOD, State.CRASHED: BAD}.get(state, FAINT))


@renders(Built)
def _built(result: Built, console: Console, _verbose: bool) -> None:
    rows(console, ["program", "path"], sorted(result.programs.items()))


@renders(PackagedCharts)
def _packaged(result: PackagedCharts, console: Console, _verbose: bool) -> None:
    rows(console, ["archive", "digest"], [[chart.file, chart.digest[:DIGEST]] for chart in result.charts])
    sentence(console, f"{counted(len(result.charts), 'chart')} of Istio {result.version} written to {result.folder}")
    if result.samples:
        sentence(console, f"Istio's samples are in {result.samples}")
    options = f"--version {result.version} --charts {result.folder} --hub docker.io/istio"
    sentence(console, f"Install them: nksmesh install -e sandbox {options}", FAINT)


@renders(SandboxStopped)
def _lowered(result: SandboxStopped, console: Console, _verbose: bool) -> None:
    done = "is down; its data is kept" if result.stopped else "did not run"
    sentence(console, f"sandbox {result.name} {done}")


@renders(Deleted)
def _deleted(result: Deleted, console: Console, _verbose: bool) -> None:
    sentence(
        console, f"sandbox {result.name} " + ("was deleted with all its data" if result.existed else "did not exist")
    )


@renders(FailuresEnded)
def _healed(result: FailuresEnded, console: Console, _verbose: bool) -> None:
    sentence(console, f"sandbox {result.name}: {counted(result.ended, 'simulated failure')} ended")


@renders(Staged)
def _staged(result: Staged, console: Console, _verbose: bool) -> None:
    pods = f"pods with {result.selector}" if result.selector else "every pod"
    reason = f" ({result.reason})" if result.failure.value == "image" else ""
    sentence(console, f"simulated: {result.failure.value}{reason}, for {pods}")
    if result.marked:
        sentence(console, f"{result.marked} existing pods now fail too")
    which = "" if result.name == DEFAULT_NAME else f" --name {result.name}"
    sentence(console, f"Run nksmesh sandbox heal{which} to end it.", FAINT)

"""The statuses that kwok gives simulated pods, as its Go templates."""

from __future__ import annotations

from typing import Final


def status(
    *,
    ready: bool = False,
    waiting: tuple[str, str] | None = None,
    crashed: bool = False,
    only: str = "{{ if true }}",
    init_only: str = "",
) -> str:
    """Write the template of a pod's status.

    Args:
        waiting: The reason and the message (%s: the image; or a template) that its containers wait for.
        crashed: Whether its containers crashed and wait to be started again.
        only: The template condition that picks the containers that wait.
        init_only: The one that picks the init containers that wait; where there are any, the pod has
            come no further than to them. Empty: they are done.
    """
    state = "running: {startedAt: {{ $now | Quote }}}"
    container = f"  ready: {str(ready).lower()}\n  started: true\n  restartCount: 0\n  state: {{{state}}}"
    phase = "Running"
    initialized = "True"
    if crashed:
        container = _CRASHED
    if waiting:
        fine = f"  ready: true\n  started: true\n  restartCount: 0\n  state: {{{state}}}"
        container = f"{only}\n{_waiting(*waiting)}\n{{{{ else }}}}\n{fine}\n{{{{ end }}}}"
        phase = "Pending"
    init_container = _INIT_DONE
    if waiting and init_only:
        initialized = "{{ if .spec.initContainers }}False{{ else }}True{{ end }}"
        container = (
            f"{{{{ if $root.spec.initContainers }}}}\n{_waiting('PodInitializing', '')}\n"
            f"{{{{ else }}}}\n{container}\n{{{{ end }}}}"
        )
        init_container = (
            f"{init_only}\n{_waiting(*waiting)}\n{{{{ else }}}}\n{_waiting('PodInitializing', '')}\n{{{{ end }}}}"
        )
    return (
        _STATUS.replace("@READY@", str(ready))
        .replace("@WHY@", "" if ready else _NOT_READY)
        .replace("@GATES@", _GATES if ready else "")
        .replace("@INITIALIZED@", initialized)
        .replace("@CONTAINER@", container)
        .replace("@INIT_CONTAINER@", init_container)
        .replace("@PHASE@", phase)
    )


def _waiting(reason: str, message: str) -> str:
    words = message.replace('"', '\\"')
    count = message.count("%s")
    text = f'{{{{ printf "{words}"{" .image" * count} | Quote }}}}' if count else f'{{{{ "{words}" | Quote }}}}'
    if message.startswith("{{"):
        text = message
    said = f", message: {text}" if message else ""
    return f"  ready: false\n  started: false\n  restartCount: 0\n  state: {{waiting: {{reason: {reason}{said}}}}}"


_NOT_READY = """
  reason: ContainersNotReady
  message: {{ printf "containers with unready status: [%s]" $names | Quote }}"""

_GATES = """{{ range .spec.readinessGates }}
- type: {{ .conditionType | Quote }}
  status: "True"
  lastTransitionTime: {{ $now | Quote }}
{{ end }}"""

_INIT_DONE = """{{ if eq (or .restartPolicy "") "Always" }}
  ready: true
  started: true
  restartCount: 0
  state: {running: {startedAt: {{ $now | Quote }}}}
{{ else }}
  ready: true
  started: false
  restartCount: 0
  state: {terminated: {exitCode: 0, reason: Completed, startedAt: {{ $now | Quote }}, finishedAt: {{ $now | Quote }}}}
{{ end }}"""

_CRASHED = """{{ $restarts := 0 }}
{{ range $root.status.containerStatuses }}{{ if eq .name $name }}{{ $restarts = .restartCount }}{{ end }}{{ end }}
  ready: false
  started: false
  restartCount: {{ add $restarts 1 }}
  lastState: {terminated: {exitCode: 255, reason: Error, startedAt: {{ $now | Quote }}, finishedAt: {{ $now | Quote }}}}
{{ $pod := printf "%s_%s(%s)" $root.metadata.name $root.metadata.namespace $root.metadata.uid }}
{{ $message := printf "back-off 10s restarting failed container=%s pod=%s" $name $pod }}
  state: {waiting: {reason: CrashLoopBackOff, message: {{ $message | Quote }}}}"""

_STATUS = """
{{ $now := Now }}
{{ $root := . }}
{{ $names := "" }}
{{ range .spec.containers }}{{ $names = trim (printf "%s %s" $names .name) }}{{ end }}
conditions:
- type: Initialized
  status: "@INITIALIZED@"
  lastTransitionTime: {{ $now | Quote }}
- type: Ready
  status: "@READY@"
  lastTransitionTime: {{ $now | Quote }}@WHY@
- type: ContainersReady
  status: "@READY@"
  lastTransitionTime: {{ $now | Quote }}@WHY@
@GATES@
containerStatuses:
{{ range .spec.containers }}
{{ $name := .name }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
@CONTAINER@
{{ end }}
initContainerStatuses:
{{ range $index, $item := .spec.initContainers }}
{{ with $item }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
@INIT_CONTAINER@
{{ end }}
{{ end }}
hostIP: {{ NodeIPWith .spec.nodeName | Quote }}
{{ if .status.podIP }}
podIP: {{ .status.podIP | Quote }}
{{ else }}
{{ $host := or .spec.hostNetwork false }}
podIP: {{ PodIPWith .spec.nodeName $host .metadata.uid .metadata.name .metadata.namespace | Quote }}
{{ end }}
phase: @PHASE@
startTime: {{ or .status.startTime $now | Quote }}
"""

COMPLETED: Final = """
{{ $now := Now }}
containerStatuses:
{{ range .spec.containers }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  ready: false
  restartCount: 0
  started: false
  state: {terminated: {exitCode: 0, reason: Completed, startedAt: {{ $now | Quote }}, finishedAt: {{ $now | Quote }}}}
{{ end }}
phase: Succeeded
"""

"""Helm 3 and Helm 4, for real, and a chart small enough to read."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from nksmesh.domain.charts.chart import Chart, ChartRef
from nksmesh.domain.charts.releases import Release
from nksmesh.sandbox.programs import helm4

RELEASE = Release(component="gateway", name="tiny", namespace="default")

TEMPLATE = """\
{{- if not .Values.quiet }}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}
data:
  mode: {{ ternary "upgrade" "install" .Release.IsUpgrade }}
  kubernetes: {{ .Capabilities.KubeVersion.Version | quote }}
  greeting: {{ .Values.greeting | quote }}
{{- end }}
---
# nothing in this document
---
apiVersion: v1
kind: Secret
metadata:
  name: {{ .Release.Name }}
stringData:
  sign: =
  lines: |
    one
    two
"""

SLOW = """\
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ .Release.Name }}-slow
  annotations: {helm.sh/hook: "post-install,post-upgrade,pre-delete"}
spec:
  template:
    metadata: {labels: {app: slow}}
    spec:
      restartPolicy: Never
      containers: [{name: slow, image: "example/slow:1"}]
"""


def make_chart(folder: Path, *, name: str = "tiny", version: str = "1.0.0", slow: bool = False) -> Chart:
    """Write a chart, and describe it as the chart store would."""
    (folder / "templates").mkdir(parents=True)
    (folder / "Chart.yaml").write_text(f"apiVersion: v2\nname: {name}\nversion: {version}\nappVersion: 1.2.3\n")
    (folder / "values.yaml").write_text("greeting: hello\nquiet: false\n")
    (folder / "templates/objects.yaml").write_text(TEMPLATE)
    if slow:
        (folder / "templates/slow.yaml").write_text(SLOW)
    return Chart(
        ref=ChartRef(name=name, version=version, source=str(folder.parent)),
        folder=folder,
        digest="sha256:0",
        app_version="1.2.3",
        defaults={},
    )


@pytest.fixture
def chart(tmp_path: Path) -> Chart:
    """A chart of a ConfigMap, a Secret and an empty document."""
    return make_chart(tmp_path / "tiny")


@pytest.fixture
def slow_chart(tmp_path: Path) -> Chart:
    """The same, with a hook that Helm waits for."""
    return make_chart(tmp_path / "slow", slow=True)


@pytest.fixture(scope="session")
def helm4_program() -> str:
    """Helm 4, built once and cached with the sandbox's programs."""
    return str(asyncio.run(helm4()))


@pytest.fixture(params=["helm3", "helm4"])
def program(request: pytest.FixtureRequest) -> str:
    """Each Helm in turn."""
    return str(request.getfixturevalue("helm3" if request.param == "helm3" else "helm4_program"))

"""An integer of ``--set`` from 1,000,000 on: in the cluster it is what plain Helm's own ``--set`` makes of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.plain_helm import PlainHelm
from tests.cluster.program import Program
from tests.cluster.reader import Reader

pytestmark = pytest.mark.cluster

GATEWAY = "istio-ingressgateway"
TICKET = 356136738
OPTIONS = ("--set", f"labels.ticket={TICKET},autoscaling.maxReplicas=3", "--set-string", "labels.text=1000000")


@pytest.mark.parametrize("driven", ["helm3", "helm4"])
def test_an_integer_of_set_stays_one_through_every_later_run(
    driven: str, mesh: Program, cluster: Reader, helm3: str, helm4: str, example_charts: Path
) -> None:
    program = {"helm3": helm3, "helm4": helm4}[driven]
    run, helm = replace(mesh, helm=program), PlainHelm(program, mesh.kubeconfig)
    options = tuple(f"gateway:{text}" if "=" in text else text for text in OPTIONS)

    def labels() -> dict[str, str]:
        return dict(cluster.deployment(GATEWAY)["metadata"]["labels"])

    def values() -> dict[str, Any]:
        return dict(json.loads(helm("get", "values", GATEWAY, "-o", "json")))

    run("install", "--region", "kr1", *options)
    assert (labels()["ticket"], labels()["text"]) == (str(TICKET), "1000000")
    stored, manifest = values(), helm.manifest(GATEWAY)
    assert stored["labels"] == {"ticket": TICKET, "text": "1000000"}

    # plain Helm's own --set over the other values of the release gives the same
    others = {key: value for key, value in stored.items() if key not in {"labels", "autoscaling"}}
    (mesh.folder / "others.yaml").write_text(json.dumps(others))
    helm("upgrade", GATEWAY, str(example_charts / "gateway"), "-f", str(mesh.folder / "others.yaml"), *OPTIONS)
    assert values() == stored
    assert helm.manifest(GATEWAY) == manifest

    for again in ((), options):
        assert run("plan", "--exit-code", *again).changes == {}
        assert run("install", *again).changes == {}
    assert run("drift", "--exit-code").data["drift"] == []

    # from JSON it is a float, as to Helm: it renders 3.56136738e+08, and no label may have a plus
    refused = run("plan", "--exit-code", "--set-json", f"gateway:labels.ticket={TICKET}", code=7).error
    assert f"Deployment istio-system/{GATEWAY} cannot be changed to what the chart renders" in refused["message"]
    assert "metadata.labels" in refused["message"]

    # another change keeps it, and so does the way back
    run("install", "-f", f"istiod={_file(mesh, {'pilot': {'traceSampling': 1.5}})}")
    assert labels()["ticket"] == str(TICKET)
    run("install", "--set", "gateway:labels.ticket=1000001")
    assert labels()["ticket"] == "1000001"
    run("rollback", "--yes")
    assert labels()["ticket"] == str(TICKET)
    assert run("plan", "--exit-code").changes == {}

    # plain Helm's --reuse-values reads floats from its own record: that is seen, and put right
    helm("upgrade", GATEWAY, str(example_charts / "gateway"), "--reuse-values", "--set-string", "labels.ticket=x")
    assert run("plan", "--exit-code", code=10).changes == {GATEWAY: "upgrade"}
    run("install")
    assert labels()["ticket"] == str(TICKET)


def _file(mesh: Program, values: dict[str, Any]) -> Path:
    file = mesh.folder / "own.yaml"
    file.write_text(json.dumps(values))
    return file

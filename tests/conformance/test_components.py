"""A mesh with the CNI plugin, of Istio's own charts: installed after istiod, proved on every node, and taken away."""

from __future__ import annotations

import asyncio

import pytest

from nksmesh.sandbox.failures import Failure
from nksmesh.sandbox.sandbox import Sandbox
from tests.cluster.program import Program
from tests.cluster.reader import Reader
from tests.cluster.test_environments import write

pytestmark = [pytest.mark.cluster, pytest.mark.conformance]

HUB = "mirror.example/istio"
NODES = "/apis/apps/v1/namespaces/istio-system/daemonsets/istio-cni-node"
PODS = "k8s-app=istio-cni-node"


def test_the_cni_plugin_comes_after_istiod_and_is_proved_on_every_node(
    istio: Program, cluster: Reader, sandbox: Sandbox
) -> None:
    before = set(cluster.everything())
    folder = istio.folder / "meshes"
    istio("init", str(folder))
    here = ("--dir", str(folder), "-e", "nodes")
    mesh = {"context": sandbox.context, "hub": HUB, "version": "1.20.0", "components": ["cni"]}
    write(folder, "nodes", mesh=mesh, cni={"cni": {"logLevel": "info"}})

    ran = istio("install", *here)
    assert list(ran.actions).index("istiod") < list(ran.actions).index("istio-cni")
    done = {one["name"]: one["message"] for one in ran.data["done"]}
    assert done["istio-cni"] == "DaemonSet istio-cni-node is available on every node"
    assert cluster.images(PODS) == {f"{HUB}/install-cni:1.20.0"}
    assert len(cluster.pods(PODS)) == len(cluster.items("/api/v1/nodes"))
    told = {release["name"]: release for release in istio("status").data["releases"]}
    assert (told["istio-cni"]["ready"], told["istio-cni"]["images"]) == (True, [f"{HUB}/install-cni:1.20.0"])
    # as installed, without the environment
    assert istio("install", charts="").changes == {}
    assert "the mesh has no ztunnel" in istio("plan", "--set", "ztunnel:logLevel=debug", code=2).error["message"]

    # a change that no node's pod comes to run ends the run early, with the reason
    asyncio.run(sandbox.fail(Failure.IMAGE, selector=PODS))
    failed = istio("install", "--set", "cni:cni.logLevel=debug", "--timeout", "5m", code=6)
    assert "istio-cni cannot become ready: Pod istio-system/istio-cni-node-" in failed.error["message"]
    assert f"ErrImagePull of image {HUB}/install-cni:1.20.0" in failed.error["message"]
    asyncio.run(sandbox.heal())
    istio("install", "--set", "cni:cni.logLevel=debug")

    # taken off the list it is shown, until --prune takes it away; uninstall takes it with the rest
    write(folder, "nodes", mesh={**mesh, "components": []})
    (folder / "values/environments/nodes/cni.yaml").unlink()
    planned = istio("plan", *here, "--prune")
    assert planned.data["unwanted"] == ["istio-cni"]
    assert planned.changes["remove istio-cni"] == "remove"
    istio("uninstall", "--yes")
    assert cluster.find(NODES) is None
    left = {ref.name for ref in set(cluster.everything()) - before}
    assert not [name for name in left if "cni" in name]

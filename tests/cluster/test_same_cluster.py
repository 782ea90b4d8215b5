"""Helm is proved to reach the cluster that this program reaches."""

from __future__ import annotations

import pytest

from nksmesh.adapters.helm.releases import Helm
from nksmesh.domain.common.errors import ClusterError
from nksmesh.sandbox.sandbox import Sandbox

pytestmark = pytest.mark.cluster


@pytest.mark.parametrize("major", [3, 4])
async def test_helm_proves_which_cluster_it_reaches(
    shared_sandbox: Sandbox, helm3: str, helm4: str, major: int
) -> None:
    program = {3: helm3, 4: helm4}[major]
    helm = Helm(program, kubeconfig=shared_sandbox.kubeconfig, context=shared_sandbox.context)
    async with shared_sandbox.api() as api:
        uid = (await api.request("GET", "/api/v1/namespaces/kube-system"))["metadata"]["uid"]

    await helm.prove_same_cluster(uid)

    with pytest.raises(ClusterError, match="a different cluster"):
        await helm.prove_same_cluster("00000000-0000-0000-0000-000000000000")

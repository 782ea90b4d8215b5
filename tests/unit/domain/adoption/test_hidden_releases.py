from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from nksmesh.domain.adoption.hidden_releases import Unseen, judge_elsewhere, stored_elsewhere
from nksmesh.domain.charts.installed import InstalledRelease
from nksmesh.domain.kube.objects import ObjectRef
from tests.unit.domain.meshes import ISTIOD, installed

AWAY = installed(ISTIOD, storage_namespace="flux-system")
FLUX = {"helm.toolkit.fluxcd.io/name": "mesh", "helm.toolkit.fluxcd.io/namespace": "apps"}
KUSTOMIZE = {"kustomize.toolkit.fluxcd.io/name": "infra", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"}


def labelled(**labels: str) -> dict[str, Any]:
    return {"metadata": {"name": "istiod", "labels": labels}}


@pytest.mark.parametrize(
    ("release", "elsewhere"),
    [(AWAY, True), (installed(ISTIOD), False), (installed(ISTIOD, storage_namespace=ISTIOD.namespace), False)],
)
def test_a_release_knows_where_its_record_lies(release: InstalledRelease, elsewhere: bool) -> None:
    assert release.elsewhere is elsewhere


@pytest.mark.parametrize(
    ("record", "objects", "said", "command"),
    [
        ({"labels": FLUX}, [], "HelmRelease apps/mesh", "flux suspend helmrelease mesh -n apps"),
        ({}, [labelled(), labelled(**FLUX)], "HelmRelease apps/mesh", "flux delete helmrelease mesh -n apps"),
        ({}, [labelled(**KUSTOMIZE), labelled(**FLUX)], "HelmRelease apps/mesh", "flux suspend helmrelease mesh"),
        (
            {"managedFields": [{"manager": "helm-controller"}]},
            [labelled(**FLUX)],
            "HelmRelease apps/mesh",
            "mesh -n apps",
        ),
        (
            {"managedFields": [{"manager": "helm-controller"}]},
            [],
            "(Flux)",
            "flux suspend helmrelease NAME -n flux-system",
        ),
        ({}, [labelled()], "", "helm uninstall istiod -n flux-system"),
    ],
)
def test_the_tool_and_the_way_on_are_said(
    record: dict[str, Any], objects: list[dict[str, Any]], said: str, command: str
) -> None:
    (error,) = judge_elsewhere([stored_elsewhere(replace(AWAY, record=record), objects)])
    assert "record of release istiod is in namespace flux-system" in error.message
    assert "nothing was changed" in error.message
    assert said in error.message
    assert command in error.hint
    assert ("Flux" in f"{error.message} {error.hint}") is bool(said)


HERE = (ObjectRef("apps/v1", "Deployment", "istiod", "istio-system"),)


@pytest.mark.parametrize(
    ("recorded", "shell", "under_other", "named"),
    [
        ("configmap", "secret", False, "configmap"),
        ("secret", "configmap", False, "secret"),
        ("", "secret", True, "configmap"),
        ("", "configmap", True, "secret"),
        ("secret", "secret", True, "configmap"),
    ],
)
def test_where_the_other_driver_is_known_it_alone_is_said(
    recorded: str, shell: str, under_other: bool, named: str
) -> None:
    error = Unseen(
        namespace="istio-system", recorded=recorded, driver=shell, under_other=under_other, objects=HERE
    ).finding
    assert f"HELM_DRIVER={named}" in error.message
    assert f"this shell has HELM_DRIVER={shell}" in error.message
    assert f"HELM_DRIVER={named} nksmesh" in error.hint
    assert "deleted" not in f"{error.message} {error.hint}"


@pytest.mark.parametrize("recorded", ["", "secret"])
def test_else_both_explanations_are_said(recorded: str) -> None:
    error = Unseen(namespace="mesh", recorded=recorded, driver="secret", objects=HERE * 5).finding
    assert "Deployment istio-system/istiod" in error.message
    assert "and 2 more" in error.message
    assert "HELM_DRIVER=configmap nksmesh status -n mesh" in error.hint
    assert "were deleted" in error.hint
    assert error.detail.count("istiod") == 5

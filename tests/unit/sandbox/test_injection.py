from __future__ import annotations

import json
from typing import Any

import pytest

from nksmesh.sandbox.agent.injection import STATUS_ANNOTATION, InjectorConfiguration, injected

HUB = "registry.example/istio"


def configuration(image_type: str = "", revision: str = "default", **global_values: Any) -> InjectorConfiguration:
    values = {"global": {"hub": HUB, "tag": "1.20.0", **global_values}}
    return InjectorConfiguration(values=values, image_type=image_type, revision=revision)


def pod(image: str = "", **annotations: str) -> dict[str, Any]:
    container = {"name": "istio-proxy", "image": image} if image else {"name": "app", "image": "app:1"}
    return {"metadata": {"name": "p", "annotations": annotations}, "spec": {"containers": [container]}}


def value(patch: list[dict[str, Any]], path: str) -> Any:
    return next((op["value"] for op in patch if op["path"] == path), None)


def images(patch: list[dict[str, Any]]) -> dict[str, str]:
    containers = [*value(patch, "/spec/containers"), *(value(patch, "/spec/initContainers") or [])]
    return {container["name"]: container["image"] for container in containers}


def test_a_pod_gets_a_proxy_and_an_init_container_from_the_hub() -> None:
    patch = injected(pod(), configuration())
    assert images(patch) == {
        "app": "app:1",
        "istio-proxy": f"{HUB}/proxyv2:1.20.0",
        "istio-init": f"{HUB}/proxyv2:1.20.0",
    }
    status = json.loads(value(patch, "/metadata/annotations")[STATUS_ANNOTATION])
    assert status["containers"] == ["istio-proxy"]


def test_a_gateway_has_its_auto_image_replaced_and_gets_no_init_container() -> None:
    gateway = pod("auto", **{"inject.istio.io/templates": "gateway"})
    assert images(injected(gateway, configuration())) == {"istio-proxy": f"{HUB}/proxyv2:1.20.0"}


def test_a_proxy_image_of_the_users_own_stays() -> None:
    gateway = pod("mine:1", **{"inject.istio.io/templates": "gateway"})
    assert images(injected(gateway, configuration())) == {"istio-proxy": "mine:1"}


def test_an_annotation_wins_for_both_containers() -> None:
    patch = injected(pod(**{"sidecar.istio.io/proxyImage": "mine:1"}), configuration())
    assert images(patch) == {"app": "app:1", "istio-proxy": "mine:1", "istio-init": "mine:1"}


def test_a_full_proxy_path_with_a_bare_init_name_gives_the_broken_name_that_istio_gives() -> None:
    full = "other.example/proxyv2:9"
    patch = injected(pod(), configuration(proxy={"image": full}, proxy_init={"image": "proxyv2"}))
    assert images(patch)["istio-proxy"] == full
    assert images(patch)["istio-init"] == f"{HUB}/{full}:1.20.0"


@pytest.mark.parametrize(
    ("image_type", "tag"), [("distroless", "1.20.0-distroless"), ("default", "1.20.0"), ("", "1.20.0")]
)
def test_the_image_type_is_a_suffix_of_the_tag(image_type: str, tag: str) -> None:
    assert images(injected(pod(), configuration(image_type)))["istio-proxy"] == f"{HUB}/proxyv2:{tag}"


def test_pull_secrets_and_policy_are_copied() -> None:
    patch = injected(pod(), configuration(imagePullSecrets=["ncr"], imagePullPolicy="Always"))
    assert value(patch, "/spec/imagePullSecrets") == [{"name": "ncr"}]
    assert value(patch, "/spec/containers")[1]["imagePullPolicy"] == "Always"


@pytest.mark.parametrize(
    "untouched",
    [
        pod(**{"sidecar.istio.io/inject": "false"}),
        {"metadata": {}, "spec": {"hostNetwork": True, "containers": []}},
    ],
)
def test_some_pods_are_left_alone(untouched: dict[str, Any]) -> None:
    assert injected(untouched, configuration()) == []


def applied(before: dict[str, Any], patch: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the pod as the API server has it after the patch."""
    spec = {**before["spec"], "containers": value(patch, "/spec/containers")}
    spec["initContainers"] = value(patch, "/spec/initContainers") or []
    return {"metadata": {**before["metadata"], "annotations": value(patch, "/metadata/annotations")}, "spec": spec}


@pytest.mark.parametrize("before", [pod(), pod("auto", **{"inject.istio.io/templates": "gateway"})])
def test_of_two_injectors_the_last_wins(before: dict[str, Any]) -> None:
    first = applied(before, injected(before, configuration(revision="1-22-8", tag="1.22.8")))
    both = applied(first, injected(first, configuration()))
    alone = applied(before, injected(before, configuration()))
    assert both == alone
    assert both["metadata"]["annotations"]["istio.io/rev"] == "default"

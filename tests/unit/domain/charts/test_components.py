"""The table of components: its order is the one that installs, rollbacks and uninstalls go by."""

from __future__ import annotations

from nksmesh.domain.charts.releases import ALWAYS, COMPONENTS, OPTIONAL, Release
from nksmesh.domain.mesh.mesh import Network
from nksmesh.domain.plan.ordering import components_in_order
from nksmesh.domain.plan.plan import Action
from nksmesh.domain.plan.rollback_target import steps_back
from tests.unit.domain.meshes import change, changes_of, installed


def releases() -> list[Release]:
    return [Release(component=name, name=f"the-{name}", namespace="istio-system") for name in COMPONENTS]


def test_each_component_stands_behind_those_it_stands_on() -> None:
    names = list(COMPONENTS)
    assert (ALWAYS, OPTIONAL) == (("base", "istiod", "gateway"), ("cni", "ztunnel"))
    for place, component in enumerate(COMPONENTS.values()):
        assert set(component.after) <= set(names[:place])
    ordered = [component.name for component in components_in_order()]
    assert ordered.index("istiod") < ordered.index("cni") < ordered.index("ztunnel")


def test_only_what_names_itself_has_no_usual_release() -> None:
    assert [name for name, component in COMPONENTS.items() if not component.default_release] == ["gateway"]


def test_a_way_back_knows_every_component() -> None:
    changes = changes_of(*(change(release, installed=installed(release), reasons=("back",)) for release in releases()))
    steps = [step.name for step in steps_back(changes, {}, proxy_image="proxyv2", network=Network.PUBLIC)]
    assert steps.index("the-istiod") < steps.index("the-cni") < steps.index("the-ztunnel") < steps.index("the-gateway")
    going = {release: installed(release) for release in releases()}
    gone = [
        step
        for step in steps_back({}, going, proxy_image="proxyv2", network=Network.PUBLIC)
        if step.action is Action.REMOVE
    ]
    assert [step.name for step in gone] == [
        f"remove the-{name}" for name in ("gateway", "ztunnel", "cni", "istiod", "base")
    ]

"""``nksmesh addons install`` and ``remove``: the objects of add-ons applied and awaited, and these alone deleted."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from nksmesh.domain.addons.addons import PROMETHEUS, Addon, check_kept_volumes, check_place, check_sources
from nksmesh.domain.common.findings import refuse_failures
from nksmesh.domain.kube.objects import Manifest, ObjectRef
from nksmesh.domain.mesh.mesh import ISTIO_NAMESPACE
from nksmesh.domain.samples.object_set import placed_objects
from nksmesh.engine.runtime import Runtime
from nksmesh.engine.samples import (
    ObjectsPlan,
    ObjectsResult,
    follow_plan,
    plan_applying,
    plan_deleting,
    pods_step,
    prove_pulled,
)


@dataclass(frozen=True, kw_only=True)
class AddonsPlan(ObjectsPlan):
    """What installing or removing add-ons would do.

    Attributes:
        install: They are installed; else they are removed.
    """

    addons: tuple[str, ...]
    namespace: str
    install: bool

    @property
    def more(self) -> tuple[str, str]:
        """What it would do more of, and what was not done."""
        return f"addons {'install' if self.install else 'remove'} would now do", "changed"

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do; what is installed is at least waited for."""
        return not self.install and not self.steps


class AddonsResult(ObjectsResult[AddonsPlan]):
    """What came of it."""


@dataclass(frozen=True, kw_only=True)
class AddonsOrder:
    """What is asked for.

    Attributes:
        namespace: The namespace that was asked for; empty for the add-ons' own.
        manifests: The objects of each add-on as its file has them; empty where they are removed.
        image_hub: The registry path that their images come from; empty for those in the files.
    """

    addons: tuple[Addon, ...]
    namespace: str = ""
    manifests: Mapping[Addon, tuple[Manifest, ...]] = field(default_factory=dict)
    image_hub: str = ""


async def plan_install(order: AddonsOrder, runtime: Runtime) -> AddonsPlan:
    """See what installing add-ons would do; nothing is written.

    Raises:
        ConfigError: There is no namespace istio-system, or an object or an image may not be used.
        ClusterError: An object is somebody else's; or the cluster cannot be reached, or refuses an object.
        ImageError: A pod would not get its image.
    """
    cluster = runtime.cluster
    placed = {
        addon: placed_objects(addon, order.manifests[addon], ISTIO_NAMESPACE, order.image_hub) for addon in order.addons
    }
    namespace, prometheus = await asyncio.gather(
        cluster.objects.get(ObjectRef("v1", "Namespace", ISTIO_NAMESPACE), metadata_only=True),
        cluster.objects.get(ObjectRef("v1", "Service", PROMETHEUS, ISTIO_NAMESPACE), metadata_only=True),
    )
    refuse_failures(check_place(order.namespace, namespace))
    plans = await asyncio.gather(*(plan_applying(addon, objects, cluster) for addon, objects in placed.items()))
    names = tuple(addon.name for addon in order.addons)
    steps = tuple(step for plan in plans for step in plan.steps)
    pulled = await prove_pulled(steps, runtime, hub=order.image_hub)
    return AddonsPlan(
        addons=names,
        namespace=ISTIO_NAMESPACE,
        install=True,
        steps=(*steps, pods_step(steps, injected=False)),
        images=tuple(dict.fromkeys(image for plan in plans for image in plan.images)),
        findings=(
            *(finding for plan in plans for finding in plan.findings),
            *pulled,
            *check_sources(names, prometheus),
        ),
    )


async def plan_remove(order: AddonsOrder, runtime: Runtime) -> AddonsPlan:
    """See which objects of add-ons there are that nksmesh applied, those that expose them included.

    Raises:
        ConfigError: Another namespace was asked for.
        ClusterError: One of them is kept by somebody else now; or the cluster cannot be reached, or refuses.
    """
    cluster = runtime.cluster
    refuse_failures(check_place(order.namespace, {}))
    claims, *plans = await asyncio.gather(
        cluster.objects.list("v1", "PersistentVolumeClaim", ISTIO_NAMESPACE, metadata_only=True),
        *(plan_deleting(addon, ISTIO_NAMESPACE, cluster) for addon in order.addons),
    )
    names = [str(claim["metadata"]["name"]) for claim in claims]
    going = [(addon, plan) for addon, plan in zip(order.addons, plans, strict=True) if plan.steps]
    kept = (finding for addon, _ in going for finding in check_kept_volumes(addon, names))
    return AddonsPlan(
        addons=tuple(addon.name for addon in order.addons),
        namespace=ISTIO_NAMESPACE,
        install=False,
        steps=tuple(step for _, plan in going for step in plan.steps),
        findings=(*(finding for _, plan in going for finding in plan.findings), *kept),
    )


async def follow(shown: AddonsPlan, order: AddonsOrder, runtime: Runtime) -> AddonsResult:
    """Do what was shown: apply the objects and wait for every pod, or delete the objects.

    Raises:
        MeshError: As ``follow_plan`` says.
    """
    plan_again = plan_install if shown.install else plan_remove
    command = f"addons {'install' if shown.install else 'remove'} {' '.join(shown.addons)}"
    plan, progress = await follow_plan(shown, lambda quiet: plan_again(order, quiet), runtime, command)
    return AddonsResult(plan=plan, progress=progress)

"""What a run is told: the user's options, and what an earlier run recorded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from nksmesh.domain.charts.lock import public_source
from nksmesh.domain.mesh.catalog import ValuesFile
from nksmesh.domain.mesh.mesh import DeployedRevisions, GatewaySpec, Mesh, MeshSettings
from nksmesh.domain.values.layers import Layer
from nksmesh.domain.values.set_values import SetOption


@dataclass(frozen=True, kw_only=True)
class Request(MeshSettings):
    """What the user said on the command line.

    Attributes:
        values_files: Each ``-f``: the component or release, and the file, read, in the order given.
        sets: Each ``--set``, or option of its kind, read; of one kind in the order given.
        pull_secrets: The pull secrets to use where neither the environment nor the record names any.
    """

    values_files: tuple[tuple[str, ValuesFile], ...] = ()
    sets: tuple[SetOption, ...] = ()
    pull_secrets: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Recorded(MeshSettings):
    """What an earlier run resolved, as the record in the cluster has it; its source of charts has no password.

    Attributes:
        gateways: The gateways; None where the record has none to tell.
        components: The optional components; None where the record has none to tell.
        layers: For each release's name, the layers that options brought: ``-e``, ``-f``, ``--set``.
        revisions: The deployed Istio revisions and tags.
        forced: What was found against the version, word for word, and gone on with all the same (--force-version).
    """

    gateways: tuple[GatewaySpec, ...] | None = None
    components: tuple[str, ...] | None = None
    full_image_paths: bool = False
    pull_secrets: tuple[str, ...] = ()
    layers: Mapping[str, tuple[Layer, ...]] = field(default_factory=dict, repr=False)
    revisions: DeployedRevisions = field(default_factory=DeployedRevisions)
    forced: tuple[str, ...] = ()

    @classmethod
    def of(cls, mesh: Mesh) -> Recorded:
        """Keep what a later run should find of a mesh."""
        return cls(
            region=mesh.region,
            network=mesh.network,
            hub=mesh.hub if mesh.own_hub else "",
            version=mesh.version,
            profile=mesh.profile,
            namespace=mesh.namespace,
            charts=public_source(mesh.chart_source),
            gateways=mesh.gateways,
            components=mesh.components,
            full_image_paths=mesh.full_image_paths,
            pull_secrets=mesh.pull_secrets,
            allow_images=mesh.allow_images,
            release_names=mesh.release_names,
            forced=mesh.forced,
            layers={
                name: brought
                for name, layers in mesh.layers.items()
                if (brought := tuple(layer for layer in layers if layer.option))
            },
            revisions=mesh.revisions,
        )

"""Helm's releases: rendered, installed, upgraded, removed."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import semver
import yaml

from nksmesh.adapters.helm.program import HelmProgram, find_helm
from nksmesh.adapters.helm_yaml import NotYamlError, documents, reads_as_number
from nksmesh.domain.charts.chart import Chart
from nksmesh.domain.charts.gateway_schema import STRICT_SCHEMAS, has_broken_schema
from nksmesh.domain.charts.releases import Release
from nksmesh.domain.common.errors import ChartError, ClusterError, HelmStartError, ReleaseError
from nksmesh.domain.kube.objects import Manifest
from nksmesh.domain.plan.history import MOST_RUNS
from nksmesh.domain.values.layers import dotted
from nksmesh.domain.values.set_integers import set_integers

if TYPE_CHECKING:
    from nksmesh.adapters.helm.command import HelmCommand, Watcher

_PROOF_CHART: Final = Path(__file__).parent / "proof"
_NEVER_WRAP: Final = 1 << 20
_HELM_4: Final = 4
_HISTORY: Final = MOST_RUNS + 1
"""How many Helm revisions of a release are kept: what stood before each run of the history is among them.

Helm's own default is 10, and what a failed run wrote counts: Helm calls it deployed, for it does not wait for pods.
"""

_RATE: Final = ("--qps", "200", "--burst-limit", "400")
"""How many requests a second Helm may send: its own limit makes a chart of many objects wait."""

_NOT_REMOVED: Final = "uninstall: Failed to delete release"
"""How both Helms begin, of what they say in debugging, the line that has the reason."""


class Helm:
    """The Helm program, driving releases on one cluster.

    What writes raises ReleaseError where Helm failed, and ClusterError where it could not reach the cluster.

    Args:
        named: The program given by --helm or NKSMESH_HELM; empty to look for one.
        kubeconfig: The kubeconfig, None for Helm's own way to find it, which is KUBECONFIG.
        found: The search for the program, where it has begun already.
        cache: The folder that nksmesh keeps its cache in, renders among it; None keeps none.
    """

    def __init__(
        self,
        named: str,
        *,
        kubeconfig: Path | None,
        context: str,
        watcher: Watcher = lambda _: None,
        found: asyncio.Task[HelmProgram] | None = None,
        cache: Path | None = None,
    ) -> None:
        """Prepare; the program is looked for at its first use."""
        self._named = named
        self._kubeconfig = kubeconfig
        self._context = context
        self._watcher = watcher
        self._found = found
        self._cache = cache
        self.processes = 0
        """How many Helm processes there were, but for the one that tells its version."""

    async def program(self) -> HelmProgram:
        """Return the Helm that is driven.

        Raises:
            ConfigError: There is none that is new enough.
        """
        if self._found is None:
            self._found = asyncio.ensure_future(find_helm(self._named))
        return await asyncio.shield(self._found)

    async def version(self) -> str:
        """Return the version of the Helm that is driven, X.Y.Z.

        Raises:
            ConfigError: There is none that is new enough.
        """
        found = (await self.program()).version
        return f"{found.major}.{found.minor}.{found.patch}"

    async def render(
        self, release: Release, chart: Chart, values: Mapping[str, Any], *, kubernetes: str = "", upgrade: bool
    ) -> str:
        """Render a release's manifests, without the chart's crds/ folder.

        Args:
            values: The values, merged already: exactly one mapping.
            kubernetes: The cluster's version, such as ``v1.28.15``; empty for Helm's own default.
            upgrade: Render as an upgrade would: charts from 1.28.6 on tell the two apart.

        Returns:
            The manifests as YAML documents.

        Raises:
            ChartError: The chart does not render with these values.
            HelmStartError: Helm could not be started.
        """
        flags = [*_integer_flags(values), *await self._schema_flags(chart)]
        flags += ["--kube-version", kubernetes] if kubernetes else []
        if self._cache is None:
            return await self._template(release, chart, values, flags, upgrade=upgrade)
        from nksmesh.adapters.helm.renders import Renders, render_key  # noqa: PLC0415 - 3 ms of most runs

        renders, arguments = Renders(self._cache), (release.name, release.namespace, upgrade, *flags)
        key = render_key(await self.program(), chart.digest, arguments, values)
        text = renders.find(key)
        if text is None:
            text = await self._template(release, chart, values, flags, upgrade=upgrade)
            renders.keep(key, text, values)
        return text

    async def _template(
        self, release: Release, chart: Chart, values: Mapping[str, Any], flags: list[str], *, upgrade: bool
    ) -> str:
        helm = await self._command(*flags)
        try:
            return await helm.template(
                release.name, chart.folder, values, namespace=release.namespace, is_upgrade=upgrade
            )
        except HelmStartError:
            raise
        except ReleaseError as exc:
            raise ChartError(
                f"chart {chart.ref} does not render for release {release.name}",
                hint="Check the values that Helm names: nksmesh values show " + release.name,
                detail=exc.detail,
            ) from exc

    def parse(self, manifests: str) -> tuple[Manifest, ...]:
        """Read rendered YAML documents; empty ones are left out.

        Raises:
            ReleaseError: They are no Kubernetes objects: whoever made them was no Helm of today.
        """
        try:
            found = tuple(documents(manifests.encode()))
        except NotYamlError as exc:
            raise _not_objects(str(exc)) from exc
        if not all(isinstance(document, dict) for document in found):
            raise _not_objects("a document of it is no map")
        return found

    def dump(self, manifest: Manifest) -> str:
        """Write a manifest as YAML."""
        text = yaml.dump(dict(manifest), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_NEVER_WRAP)
        return str(text)

    async def install(self, release: Release, chart: Chart, values: Mapping[str, Any], *, timeout: float) -> None:
        """Install a release that does not exist, without waiting for it."""
        # A name that helm uninstall --keep-history left in Helm's history is free to be taken again.
        await self._write("install", release, chart, values, timeout, "--replace", *await self._taking_over())

    async def upgrade(self, release: Release, chart: Chart, values: Mapping[str, Any], *, timeout: float) -> None:
        """Upgrade a release, with these values and no others, without waiting for it."""
        flags = ["--reset-values", "--history-max", str(_HISTORY), *await self._taking_over()]
        await self._write("upgrade", release, chart, values, timeout, *flags)

    async def rollback(self, release: Release, helm_revision: int, *, timeout: float) -> None:
        """Bring a release back to what it was at a Helm revision, as a new one, without waiting for it."""
        helm = await self._command(*_RATE, *await self._taking_over())
        await helm.rollback(release.name, helm_revision, namespace=release.namespace, timeout=_seconds(timeout))

    async def uninstall(self, release: Release, *, timeout: float) -> None:
        """Remove a release and what it owns."""
        helm = await self._command("--ignore-not-found")
        try:
            await helm.uninstall(release.name, namespace=release.namespace, timeout=_seconds(timeout), debug=True)
        except ReleaseError as exc:
            raise ReleaseError(exc.message, hint=exc.hint, detail=_why_not_removed(exc.detail)) from exc

    async def prove_same_cluster(self, uid: str) -> None:
        """Prove that Helm reaches the cluster whose kube-system namespace has this uid.

        Raises:
            ClusterError: It reaches another one, or none.
        """
        # Helm 4 builds what it renders here, and would fetch the whole OpenAPI document to validate it.
        helm = await self._command("--dry-run=server", "--disable-openapi-validation")
        try:
            answer = await helm.template("proof", _PROOF_CHART)
        except HelmStartError:
            raise
        except ReleaseError as exc:
            raise ClusterError(
                "Helm cannot reach the cluster", hint="Check the context's credentials.", detail=exc.detail
            ) from exc
        if uid not in answer:
            raise ClusterError(
                "Helm reaches a different cluster from nksmesh; nothing was changed",
                hint="Pass --kubeconfig and --context, and check for proxies that only one of them uses.",
            )

    async def _taking_over(self) -> list[str]:
        """Tell Helm 4 to take the fields that a chart renders from whoever holds them.

        istiod writes into its own webhook configurations, a conflict up to chart 1.28.5 (istio #59367); CRDs that an
        earlier Helm left are another one. What Helm 3 wrote would be applied client-side again, where Helm 4 refuses
        to force, so server-side is said, too.
        """
        return ["--server-side=true", "--force-conflicts"] if (await self.program()).major >= _HELM_4 else []

    async def _write(
        self, verb: str, release: Release, chart: Chart, values: Mapping[str, Any], timeout: float, *flags: str
    ) -> None:
        # Not by pyhelm3: its `upgrade --install` takes 0.2 to 0.4 s more than `install`, and splits a flag in letters.
        command = [verb, release.name, str(chart.folder), "--namespace", release.namespace, "--values", "-"]
        command += ["--skip-crds", "--timeout", _seconds(timeout)]
        # The API server validates every object itself: Helm's own copy of that costs 0.3 s a release.
        flags = ("--disable-openapi-validation", *_integer_flags(values), *_RATE, *flags)
        helm = await self._command(*flags, *await self._schema_flags(chart))
        await helm.run(command, json.dumps(values).encode())

    async def _schema_flags(self, chart: Chart) -> list[str]:
        version = (await self.program()).version
        broken = (
            chart.ref.name == "gateway"
            and version >= semver.Version(*STRICT_SCHEMAS)
            and has_broken_schema(chart.ref.version)
        )
        return ["--skip-schema-validation"] if broken else []

    async def _command(self, *flags: str) -> HelmCommand:
        from nksmesh.adapters.helm.command import HelmCommand  # noqa: PLC0415 - 35 ms that a run which changes nothing saves

        self.processes += 1
        return HelmCommand(
            (await self.program()).path,
            kubeconfig=self._kubeconfig,
            context=self._context,
            watcher=self._watcher,
            history_max=_HISTORY,
            flags=flags,
        )


class _Dumper(yaml.CSafeDumper):
    """Writes a text of several lines as a block, so that a line of it can be found and compared."""


def _text(dumper: yaml.CSafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else "'" if reads_as_number(text) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def _integer_flags(values: Mapping[str, Any]) -> list[str]:
    """Have Helm read by ``--set``, too, the integers that it would make floats of where it reads values from stdin."""
    again = (["--set", f"{dotted(path)}={number}"] for path, number in set_integers(values))
    return list(itertools.chain.from_iterable(again))


def _seconds(timeout: float) -> str:
    return f"{timeout:.0f}s"


def _why_not_removed(words: str) -> str:
    """Leave of what Helm says when it is debugged why it could not remove something: else it says only that."""
    reasons = (line for line in words.splitlines() if line.startswith("Error: ") or _NOT_REMOVED in line)
    return "\n".join(line.partition(_NOT_REMOVED)[2].lstrip('": ').removeprefix("error=") or line for line in reasons)


def _not_objects(words: str) -> ReleaseError:
    return ReleaseError(
        "a manifest cannot be read as Kubernetes objects",
        hint="Run helm get manifest to see what Helm has stored, or nksmesh template to see what is rendered.",
        detail=words,
    )

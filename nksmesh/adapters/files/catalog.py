"""Reads values/: the catalog, environments, and ``-f`` files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final

from nksmesh.adapters.files.documents import Document, KeyPath, parse_document, read_document
from nksmesh.adapters.files.folders import Found, ValuesFolders, packaged
from nksmesh.adapters.files.schema import check_document, spoken
from nksmesh.domain.charts.chart import placed_source
from nksmesh.domain.charts.releases import COMPONENTS
from nksmesh.domain.common.errors import ConfigError
from nksmesh.domain.common.paths import at_home
from nksmesh.domain.common.spelling import perhaps
from nksmesh.domain.mesh.catalog import Catalog, Environment, Profile, ValuesFile, check_label
from nksmesh.domain.mesh.load_balancer import problems_of
from nksmesh.domain.mesh.mesh import GatewaySpec, IstioVersion, Network, Region
from nksmesh.domain.mesh.nks import Cloud, KubernetesSupport, Nks
from nksmesh.domain.mesh.versions import parse_kubernetes

ENVIRONMENTS: Final = "environments"
MESH: Final = "mesh.yaml"
PROFILES: Final = "profiles"
PROFILE: Final = "profile.yaml"
_YAML: Final = ".yaml"


def load_catalog(folders: ValuesFolders) -> Catalog:
    """Read regions, versions, profiles and the components' own values.

    A file of the user's takes the place of nksmesh's own of the same name; of versions.yaml and nks.yaml the user's
    entries are laid over nksmesh's, one by one.

    Raises:
        ConfigError: A file is not what its schema wants.
    """
    return Catalog(
        regions={stem: _region(stem, found) for stem, found in yaml_files(folders, "regions").items()},
        versions=_versions(folders),
        profiles={name: _profile(folders, name) for name in folders.names(PROFILES) if _has(folders, name)},
        components={
            name: _values(found) for name in COMPONENTS if (found := folders.find(f"{name}{_YAML}")) is not None
        },
        nks=_nks(folders),
        read_map=lambda text: parse_document(text.encode(), "the text").values,
    )


def environment_names(folders: ValuesFolders) -> tuple[str, ...]:
    """List the environments there are."""
    return tuple(name for name in folders.names(ENVIRONMENTS) if folders.find(ENVIRONMENTS, name, MESH) is not None)


def load_environment(folders: ValuesFolders, name: str) -> Environment:
    """Read an environment; a folder of charts is relative to the folder that holds values/.

    Raises:
        ConfigError: There is none of that name, or one of its files is wrong.
    """
    known = environment_names(folders)
    if name not in known:
        raise ConfigError(
            f"there is no environment {name!r}",
            hint=f"{perhaps(name, known, 'environments')} A new one is a folder values/environments/NAME with {MESH}.",
        )
    check_label(name, "environment")
    found = folders.find(ENVIRONMENTS, name, MESH)
    if found is None:  # it went away since it was listed
        raise ConfigError(
            f"values/environments/{name}/{MESH} does not exist", hint="Create it, or pass another environment with -e."
        )
    document = check_document(read_document(found.file, found.shown), "mesh")
    said: dict[str, Any] = dict(document.values)
    network, gateways, components = (said.pop(key, None) for key in ("network", "gateways", "components"))
    said["release_names"] = said.pop("releases", {})
    home = packaged("values").parent if found.ours or folders.user is None else folders.user
    said["charts"] = placed_source(said.get("charts", ""), home.absolute())
    for key in ("pull_secrets", "allow_images"):
        said[key] = tuple(said.get(key, ()))
    return Environment(
        name=name,
        path=document.path,
        network=Network(network) if network else None,
        gateways=None if gateways is None else _gateways(document, gateways),
        components=None if components is None else tuple(dict.fromkeys(components)),
        files={
            stem: _values(file)
            for stem, file in yaml_files(folders, ENVIRONMENTS, name).items()
            if f"{stem}{_YAML}" != MESH
        },
        **said,
    )


def load_values_option(text: str) -> tuple[str, ValuesFile]:
    """Read ``-f COMPONENT=FILE``: the component or release it is for, and the file.

    Raises:
        ConfigError: It is not written so, or the file is wrong.
    """
    target, equals, path = text.partition("=")
    if not equals or not target or not path:
        raise ConfigError(
            f"-f {text}: it does not name a component",
            hint="Write COMPONENT=FILE, such as istiod=values.yaml.",
        )
    return target, ValuesFile(path=path, values=read_document(at_home(path), path).values)


def yaml_files(folders: ValuesFolders, *parts: str) -> dict[str, Found]:
    """Find the YAML files of a folder below values/, by their names without the ending.

    Raises:
        ConfigError: One ends with ``.yml``, or the folder cannot be read.
    """
    files = {}
    for name in folders.names(*parts):
        found = folders.find(*parts, name)
        if found is None:
            continue
        if name.endswith(".yml"):
            raise ConfigError(f"{found.shown}: the name must end with {_YAML}", hint=f"Rename it to {name[:-3]}yaml.")
        if name.endswith(_YAML):
            files[name.removesuffix(_YAML)] = found
    return files


def _values(found: Found) -> ValuesFile:
    return ValuesFile(path=found.shown, values=read_document(found.file, found.shown).values, ours=found.ours)


def _region(name: str, found: Found) -> Region:
    said = check_document(read_document(found.file, found.shown), "region").values
    return Region(
        name=name,
        title=said["title"],
        title_en=said.get("title_en", ""),
        hubs={network: said["registries"][network.value] for network in Network},
        versions=tuple(said["istio"]),
        kubernetes=tuple(said["kubernetes"]),
        hosts=tuple(said.get("hosts", ())),
        zones=tuple(said.get("zones", ())),
    )


def _versions(folders: ValuesFolders) -> tuple[IstioVersion, ...]:
    known: dict[str, IstioVersion] = {}
    for document in _documents(folders, "versions"):
        for minor, entry in document.values.items():
            known[minor] = IstioVersion(
                minor=minor,
                kubernetes_min=entry["kubernetes"][0],
                kubernetes_max=entry["kubernetes"][1],
                kubernetes_floor=entry["floor"],
                versions=tuple(entry["versions"]),
                tested=tuple(entry.get("tested", ())),
                support_ends=_day(document, (minor, "support_ends")),
                planned=entry.get("planned", False),
            )
    return tuple(known[minor] for minor in sorted(known, key=parse_kubernetes))


def _nks(folders: ValuesFolders) -> Nks:
    facts: dict[str, Any] = {}
    kubernetes: dict[str, KubernetesSupport] = {}
    clouds: dict[str, Cloud] = {}
    for document in _documents(folders, "nks"):
        facts |= document.values
        for minor, entry in document.values.get("kubernetes", {}).items():
            kubernetes[minor] = KubernetesSupport(
                minor=minor,
                version=entry.get("version", ""),
                support_ends=_day(document, ("kubernetes", minor, "support_ends")),
                planned=entry.get("planned", False),
                upgrade_until=_day(document, ("kubernetes", minor, "upgrade_until")),
            )
        for name, entry in document.values.get("clouds", {}).items():
            domains, zones = tuple(entry["domains"]), tuple(entry.get("zones", ()))
            clouds[name] = Cloud(name=name, title=entry["title"], domains=domains, zones=zones)
    return Nks(
        as_of=facts.get("as_of", ""),
        source=facts.get("source", ""),
        offered=tuple(facts.get("offered", ())),
        kubernetes={minor: kubernetes[minor] for minor in sorted(kubernetes, key=parse_kubernetes)},
        clouds=clouds,
    )


def _documents(folders: ValuesFolders, name: str) -> list[Document]:
    """Read a file of nksmesh's own, then the user's of the same name, where there is one."""
    found = folders.find_all(f"{name}{_YAML}")
    if not any(place.ours for place in found):
        raise ConfigError(f"values/{name}{_YAML} is missing", hint="Install nksmesh again: it ships with that file.")
    return [check_document(read_document(place.file, place.shown), name) for place in found]


def _day(document: Document, path: KeyPath) -> date | None:
    """Read a day, ``2026-07-01``; None where the key is not there.

    Raises:
        ConfigError: There is no such day.
    """
    written: Any = document.values
    for key in path:
        written = written.get(key)
    if written is None:
        return None
    try:
        return date.fromisoformat(written)
    except ValueError as problem:
        key = ".".join(map(str, path))
        raise ConfigError(
            f"{document.at(path)}: {key} is {written!r}, which is not a valid date", hint='Write "YEAR-MONTH-DAY".'
        ) from problem


def _has(folders: ValuesFolders, profile: str) -> bool:
    return folders.find(PROFILES, profile, PROFILE) is not None


def _profile(folders: ValuesFolders, name: str) -> Profile:
    found = folders.find(PROFILES, name, PROFILE)
    if found is None:  # it went away since it was listed
        raise ConfigError(
            f"values/profiles/{name}/{PROFILE} does not exist",
            hint="Create it, or pass another profile with --profile.",
        )
    document = check_document(read_document(found.file, found.shown), "profile")
    gateways = _gateways(document, document.values.get("gateways", ()))
    files = {stem: file for stem, file in yaml_files(folders, PROFILES, name).items() if f"{stem}{_YAML}" != PROFILE}
    known = [*COMPONENTS, *(gateway.name for gateway in gateways)]
    for stem, file in files.items():
        if stem not in known:
            raise ConfigError(
                f"{file.shown}: there is no component or gateway {stem!r} in this profile",
                hint=perhaps(stem, known, "components and gateways"),
            )
    return Profile(
        name=name,
        title=document.values.get("title", ""),
        gateways=gateways,
        components=tuple(dict.fromkeys(document.values.get("components", ()))),
        files={stem: _values(file) for stem, file in files.items()},
        path=document.path,
        ours=found.ours,
    )


def _gateways(document: Document, listed: Sequence[Mapping[str, Any]]) -> tuple[GatewaySpec, ...]:
    seen: set[str] = set()
    for index, gateway in enumerate(listed):
        if gateway["name"] in seen:
            raise ConfigError(
                f"{document.at(('gateways', index, 'name'))}: gateway {gateway['name']!r} is listed twice",
                hint="A gateway's name is its Helm release. Give each its own name.",
            )
        seen.add(gateway["name"])
        for path, problem, hint in problems_of(gateway.get("load_balancer", {})):
            place: KeyPath = ("gateways", index, "load_balancer", *path)
            raise ConfigError(f"{document.at(place)}: {spoken(place)} {problem}", hint=hint)
    return tuple(GatewaySpec(**entry) for entry in listed)

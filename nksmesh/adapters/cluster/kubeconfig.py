"""The kubeconfig: which files, which context, and what it says, read as kubectl and Helm read it.

The rules are those of clientcmd (https://pkg.go.dev/k8s.io/client-go/tools/clientcmd#ClientConfigLoadingRules).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from nksmesh.adapters.helm_yaml import NotYamlError, document
from nksmesh.domain.common.errors import ClusterError
from nksmesh.domain.common.paths import at_home

SANDBOX_HINT: Final = "To try nksmesh without a cluster, run nksmesh sandbox up, then nksmesh install -e sandbox."

_HINT: Final = f"Pass one with --kubeconfig and --context. {SANDBOX_HINT}"

_PATHS: Final = ("certificate-authority", "client-certificate", "client-key", "tokenFile")
_WORDS: Final = (
    *_PATHS,
    *(f"{name}-data" for name in _PATHS[:3]),
    *("server", "tls-server-name", "proxy-url", "token", "username", "password"),
)


@dataclass(frozen=True, kw_only=True)
class Context:
    """One context of a kubeconfig, with what it refers to.

    Attributes:
        source: Where it was read, for a reader.
        cluster: How the API server is reached; paths in it are absolute.
        user: The credentials; empty for nobody's (anonymous). Paths in it are absolute.
        account: The name that the credentials have in the kubeconfig.
    """

    name: str
    source: str
    cluster: Mapping[str, Any]
    user: Mapping[str, Any]
    account: str = ""

    @property
    def renewable(self) -> bool:
        """Whether credentials that have expired can be had anew."""
        return any(key in self.user for key in ("exec", "tokenFile"))


def read(kubeconfig: Path | None, context: str, environ: Mapping[str, str] = os.environ) -> Context:
    """Read a context.

    Args:
        kubeconfig: The file; None for those that KUBECONFIG lists, or ~/.kube/config.
        context: Its name; empty for the current one, of the first file that names one.
        environ: Where KUBECONFIG is looked up.

    Raises:
        ClusterError: There is no such context, or a file cannot be read.
    """
    if kubeconfig is not None:
        return choose([(kubeconfig, _document(kubeconfig))], context, source=str(kubeconfig))
    listed = [Path(name) for name in environ.get("KUBECONFIG", "").split(os.pathsep) if name]
    looked_at = listed or [at_home("~/.kube/config")]
    files = [file for file in looked_at if _exists(file)]
    absent = [file for file in looked_at if file not in files]
    if not files:
        raise _without_files(absent, listed=bool(listed))
    source = os.pathsep.join(map(str, files))
    return choose([(file, _document(file)) for file in files], context, source=source, absent=absent)


def choose(
    documents: Sequence[tuple[Path, Mapping[str, Any]]], context: str, *, source: str, absent: Sequence[Path] = ()
) -> Context:
    """Choose a context among the files of a kubeconfig; of two things with one name, the first file's counts.

    Args:
        documents: The files and what they say.
        context: Its name; empty for the current one.
        source: The files, for a reader.
        absent: Files that KUBECONFIG names and that do not exist.

    Raises:
        ClusterError: The files do not give it, or what it refers to.
    """
    about = f" for context {context}" if context else ""
    gone = [f"KUBECONFIG also names {file}, which does not exist" for file in absent]

    def missing(words: str) -> ClusterError:
        detail = "\n".join((words, *gone))
        return ClusterError(f"no cluster to connect to: {source} does not define one{about}", hint=_HINT, detail=detail)

    name = context or next((str(data["current-context"]) for _, data in documents if data.get("current-context")), "")
    if not name:
        raise missing("no current-context is set")
    found = _entry(documents, "contexts", "context", name)
    if found is None:
        raise missing(f"there is no context {name}")
    of_cluster, of_user = (str(found.get(key) or "") for key in ("cluster", "user"))
    cluster = _entry(documents, "clusters", "cluster", of_cluster)
    if cluster is None or not cluster.get("server"):
        raise missing(f"there is no cluster {of_cluster} with a server, which context {name} refers to")
    user = _entry(documents, "users", "user", of_user) if of_user else {}
    if user is None:
        raise missing(f"there is no user {of_user}, to which context {name} refers")
    return Context(name=name, source=source, cluster=cluster, user=user, account=of_user)


def unusable(source: str, words: str, *, hint: str = "") -> ClusterError:
    """Make the error for a kubeconfig that says what cannot be."""
    return ClusterError(
        f"the kubeconfig {source} cannot be used",
        hint=hint or "Fetch it again from the NKS console, or pass another one with --kubeconfig.",
        detail=words,
    )


def _without_files(absent: Sequence[Path], *, listed: bool) -> ClusterError:
    """Make the error for a kubeconfig of which no file exists."""
    if not listed:
        return ClusterError(
            "no cluster to connect to: KUBECONFIG is not set, and ~/.kube/config does not exist", hint=_HINT
        )
    names, verb = ", ".join(map(str, absent)), "does" if len(absent) == 1 else "do"
    return ClusterError(
        f"no cluster to connect to: KUBECONFIG names {names}, which {verb} not exist",
        hint=f"Correct KUBECONFIG. {_HINT}",
    )


def _exists(file: Path) -> bool:
    try:
        return file.exists()
    except OSError as exc:  # a folder on the way that may not be entered
        raise unusable(str(file), str(exc)) from exc


def _document(file: Path) -> Mapping[str, Any]:
    try:
        data = document(file.read_bytes())
    except (OSError, NotYamlError) as exc:
        raise unusable(str(file), str(exc)) from exc
    if data is None:
        return {}
    if not isinstance(data, Mapping):
        raise unusable(str(file), "it is not a mapping")
    return data


def _entry(
    documents: Sequence[tuple[Path, Mapping[str, Any]]], section: str, key: str, name: str
) -> dict[str, Any] | None:
    """Return what a section has under a name, its relative paths made absolute; None where nothing has."""
    for file, data in documents:
        for entry in _named(file, data, section):
            if entry.get("name") == name:
                return _checked(file, entry.get(key) or {}, f"{key} {name}")
    return None


def _named(file: Path, data: Mapping[str, Any], section: str) -> Iterator[Mapping[str, Any]]:
    entries = data.get(section) or []
    if not isinstance(entries, list) or not all(isinstance(entry, Mapping) for entry in entries):
        raise unusable(str(file), f"{section} is not a list of mappings")
    yield from entries


def _checked(file: Path, entry: Any, title: str) -> dict[str, Any]:
    if not isinstance(entry, Mapping):
        raise unusable(str(file), f"{title} is not a mapping")
    said = {str(key): value for key, value in entry.items() if value not in (None, "")}
    for key in _WORDS:
        if not isinstance(said.get(key, ""), str):
            raise unusable(str(file), f"{title}: {key} is not a string")
    folder = file.absolute().parent
    said |= {key: str(folder / said[key]) for key in _PATHS if key in said}
    plugin = said.get("exec")
    if isinstance(plugin, Mapping):
        command = plugin.get("command", "")
        if not isinstance(command, str):
            raise unusable(str(file), f"{title}: exec: command is not a string")
        if os.sep in command:
            said["exec"] = {**plugin, "command": str(folder / command)}
    return said

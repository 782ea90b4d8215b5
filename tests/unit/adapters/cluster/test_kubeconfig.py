"""Which context of which kubeconfig is used: the one that kubectl and Helm would use."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from nksmesh.adapters.cluster.kubeconfig import read
from nksmesh.domain.common.errors import ClusterError


def kubeconfig(
    current: str | None, *contexts: tuple[str, str, str | None], user: dict[str, Any] | None = None, port: int = 1
) -> dict[str, Any]:
    """Write a kubeconfig: its contexts as (name, cluster, user)."""
    data: dict[str, Any] = {
        "contexts": [
            {"name": name, "context": {"cluster": of_cluster} | ({"user": of_user} if of_user else {})}
            for name, of_cluster, of_user in contexts
        ],
        "clusters": [
            {"name": name, "cluster": {"server": f"https://{name}.example:{port}", "certificate-authority": "ca.crt"}}
            for name in dict.fromkeys(one for _, one, _ in contexts)
        ],
        "users": [
            {"name": name, "user": user or {"token": f"{name}-{port}"}}
            for name in dict.fromkeys(one for *_, one in contexts if one)
        ],
    }
    return data if current is None else {**data, "current-context": current}


def written(folder: Path, name: str, data: Any) -> Path:
    file = folder / name / "config"
    file.parent.mkdir()
    file.write_text(data if isinstance(data, str) else yaml.safe_dump(data))
    return file


def listed(*files: Path) -> dict[str, str]:
    return {"KUBECONFIG": os.pathsep.join(map(str, files))}


@pytest.mark.parametrize("first_current", ["dev", "", None])
def test_the_first_file_that_names_a_current_context_decides(tmp_path: Path, first_current: str | None) -> None:
    one = written(tmp_path, "one", kubeconfig(first_current, ("dev", "d", "u")))
    two = written(tmp_path, "two", kubeconfig("prod", ("prod", "p", "u")))
    assert read(None, "", listed(one, two)).name == (first_current or "prod")
    assert read(None, "", listed(two, one)).name == "prod"
    assert read(None, "dev", listed(two, one)).name == "dev"


def test_of_two_things_with_one_name_the_first_files_counts(tmp_path: Path) -> None:
    one = written(tmp_path, "one", kubeconfig(None, ("dev", "c", "u"), port=1))
    two = written(tmp_path, "two", kubeconfig("dev", ("dev", "c", "u"), port=2))
    found = read(None, "", listed(one, two))
    assert (found.cluster["server"], found.user["token"]) == ("https://c.example:1", "u-1")
    assert found.cluster["certificate-authority"] == str(tmp_path / "one" / "ca.crt")
    found = read(None, "", listed(two, one))
    assert (found.cluster["server"], found.user["token"]) == ("https://c.example:2", "u-2")


def test_a_context_may_refer_to_what_another_file_has(tmp_path: Path) -> None:
    contexts = written(
        tmp_path, "one", {"current-context": "x", "contexts": kubeconfig("x", ("x", "c", "u"))["contexts"]}
    )
    rest = written(tmp_path, "two", {**kubeconfig(None, ("x", "c", "u")), "contexts": None})
    assert read(None, "", listed(contexts, rest)).cluster["server"] == "https://c.example:1"


def test_files_that_are_empty_or_not_there_are_passed_over(tmp_path: Path) -> None:
    empty = written(tmp_path, "empty", "")
    real = written(tmp_path, "real", kubeconfig("dev", ("dev", "d", "u")))
    assert read(None, "", listed(tmp_path / "nowhere", empty, real)).name == "dev"


def test_a_file_that_is_named_is_the_only_one(tmp_path: Path) -> None:
    one = written(tmp_path, "one", kubeconfig("dev", ("dev", "d", "u")))
    two = written(tmp_path, "two", kubeconfig("prod", ("prod", "p", "u")))
    assert read(two, "", listed(one)).name == "prod"
    with pytest.raises(ClusterError, match="for context dev"):
        read(two, "dev", listed(one))


@pytest.mark.parametrize("context", ["", "dev"])
def test_files_that_kubeconfig_names_and_that_do_not_exist_are_named(tmp_path: Path, context: str) -> None:
    one, two = tmp_path / "typo", tmp_path / "nowhere" / "config"
    with pytest.raises(ClusterError, match="which does not exist") as caught:
        read(None, context, listed(one))
    assert f"KUBECONFIG names {one}," in caught.value.message
    assert "current-context" not in f"{caught.value.message}{caught.value.detail}"
    with pytest.raises(ClusterError, match="which do not exist") as caught:
        read(None, context, listed(one, two))
    assert f"{one}, {two}" in caught.value.message
    assert "--kubeconfig" in caught.value.hint


def test_a_file_that_does_not_exist_is_named_where_those_that_do_have_no_answer(tmp_path: Path) -> None:
    real = written(tmp_path, "real", kubeconfig("dev", ("dev", "d", "u")))
    with pytest.raises(ClusterError, match="for context prod") as caught:
        read(None, "prod", listed(real, tmp_path / "typo"))
    assert "there is no context prod" in caught.value.detail
    assert f"{tmp_path / 'typo'}, which does not exist" in caught.value.detail


def test_a_tilde_in_kubeconfig_is_a_files_name_as_for_kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    written(tmp_path, ".kube", kubeconfig("own", ("own", "o", "u")))
    with pytest.raises(ClusterError, match=r"KUBECONFIG names ~/\.kube/config"):
        read(None, "", {"KUBECONFIG": "~/.kube/config"})


def test_without_kubeconfig_the_users_own_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(ClusterError, match=r"KUBECONFIG is not set, and ~/\.kube/config does not exist"):
        read(None, "", {})
    (tmp_path / ".kube").mkdir()
    (tmp_path / ".kube" / "config").write_text(yaml.safe_dump(kubeconfig("own", ("own", "o", "u"))))
    assert read(None, "", {"KUBECONFIG": ""}).name == "own"


def test_a_context_without_a_user_is_nobodys(tmp_path: Path) -> None:
    found = read(written(tmp_path, "one", kubeconfig("dev", ("dev", "d", None))), "")
    assert found.user == {}
    assert not found.renewable


def test_a_plugin_beside_the_kubeconfig_is_found_there(tmp_path: Path) -> None:
    user = {"exec": {"command": "./bin/login", "apiVersion": "client.authentication.k8s.io/v1"}}
    found = read(written(tmp_path, "one", kubeconfig("dev", ("dev", "d", "u"), user=user)), "")
    assert Path(found.user["exec"]["command"]) == tmp_path / "one" / "bin" / "login"
    assert found.renewable
    user = {"exec": {"command": "login", "apiVersion": "client.authentication.k8s.io/v1"}}
    found = read(written(tmp_path, "two", kubeconfig("dev", ("dev", "d", "u"), user=user)), "")
    assert found.user["exec"]["command"] == "login"


CONTEXT = {"name": "x", "context": {"cluster": "c", "user": "u"}}
CLUSTER = {"name": "c", "cluster": {"server": "https://c.example"}}
USER: dict[str, Any] = {"name": "u", "user": {}}

WRONG: dict[str, tuple[Any, str]] = {
    "a list": ([], "not a mapping"),
    "no current context": ({}, "no current-context"),
    "contexts that are a word": ({"contexts": "word"}, "contexts is not a list"),
    "no such cluster": ({"contexts": [CONTEXT], "clusters": [], "users": [USER]}, "no cluster c"),
    "no such user": ({"contexts": [CONTEXT], "clusters": [CLUSTER]}, "no user u"),
    "no server": ({"contexts": [CONTEXT], "clusters": [{"name": "c", "cluster": {}}], "users": [USER]}, "a server"),
    "a server that is a number": (
        {"contexts": [CONTEXT], "clusters": [{"name": "c", "cluster": {"server": 5}}], "users": [USER]},
        "server is not a string",
    ),
    "a user that is a word": (
        {"contexts": [CONTEXT], "clusters": [CLUSTER], "users": [{"name": "u", "user": "kim"}]},
        "user u is not a mapping",
    ),
    "a plugin that is no program": (
        {
            "contexts": [CONTEXT],
            "clusters": [CLUSTER],
            "users": [{"name": "u", "user": {"exec": {"command": ["./bin/login"]}}}],
        },
        "exec: command is not a string",
    ),
}


@pytest.mark.parametrize(("data", "words"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_with_a_kubeconfig_is_said(tmp_path: Path, data: Any, words: str) -> None:
    given = data if isinstance(data, list) or not data else {"current-context": "x", **data}
    file = written(tmp_path, "one", given)
    with pytest.raises(ClusterError) as caught:
        read(file, "")
    assert words in caught.value.detail
    assert str(file) in caught.value.message
    assert caught.value.hint


def test_a_kubeconfig_that_may_not_be_looked_at_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = tmp_path / "root" / "config"

    def refuse(file: Path, **_: Any) -> os.stat_result:
        raise PermissionError(errno.EACCES, "Permission denied", str(file))

    monkeypatch.setattr(Path, "stat", refuse)  # what the tests' own user, root, is never refused
    with pytest.raises(ClusterError, match="cannot be used") as caught:
        read(None, "", listed(secret))
    assert "Permission denied" in caught.value.detail

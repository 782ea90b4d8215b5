"""What istioctl reports, in the forms that old and new versions write."""

from __future__ import annotations

import json

import pytest

from nksmesh.domain.common.findings import Level
from nksmesh.domain.istioctl.analysis import messages_of
from nksmesh.domain.istioctl.proxies import ProxyStatus, findings_of, statuses_of

OLD = """\
NAME                       CLUSTER        CDS        LDS                            EDS        RDS          ISTIOD
a-1.default                Kubernetes     SYNCED     STALE (Never Acknowledged)     SYNCED     NOT SENT     istiod-1
b-2.team                                  SYNCED     SYNCED                         SYNCED     SYNCED       istiod-1
"""
STATES = {"CDS": "SYNCED", "LDS": "SYNCED"}


def answer(*proxies: tuple[str, dict[str, str]]) -> str:
    """Write what an istiod answers, as istioctl 1.31 prints it."""
    kinds = {"CDS": "envoy.config.cluster.v3.Cluster", "LDS": "envoy.config.listener.v3.Listener", "X": "a.b.Other"}
    resources = [
        {
            "@type": "type.googleapis.com/envoy.service.status.v3.ClientConfig",
            "node": {"id": name, "metadata": {"ISTIO_VERSION": "1.30.2"}},
            "genericXdsConfigs": [
                {"typeUrl": f"type.googleapis.com/{kinds[kind]}", **({"configStatus": state} if state else {})}
                for kind, state in states.items()
            ],
        }
        for name, states in proxies
    ]
    identifier = json.dumps({"Component": "istiod", "ID": "istiod-1", "Info": {}})
    return json.dumps(
        {"versionInfo": "1", "resources": resources, "controlPlane": {"identifier": identifier}}, indent=4
    )


def test_the_table_of_old_versions_is_read_by_its_columns() -> None:
    first, second = statuses_of(OLD.encode())
    assert first == ProxyStatus(
        name="a-1.default",
        istiod="istiod-1",
        version="",
        types={"CDS": "SYNCED", "LDS": "STALE (Never Acknowledged)", "EDS": "SYNCED", "RDS": "NOT SENT"},
    )
    assert (second.name, set(second.types.values())) == ("b-2.team", {"SYNCED"})


def test_the_answers_of_several_istiods_are_put_together() -> None:
    said = f"{answer(('b.default', STATES))}\n{answer(('a.default', {'X': '', 'LDS': 'NOT_SENT', 'CDS': 'SYNCED'}))}\n"
    first, second = statuses_of(said.encode())
    assert (first.name, list(first.types.items())) == (
        "a.default",
        [("CDS", "SYNCED"), ("LDS", "NOT SENT"), ("a.b.Other", "IGNORED")],
    )
    assert (second.name, second.istiod, second.version) == ("b.default", "istiod-1", "1.30.2")
    assert second.types == STATES


@pytest.mark.parametrize("said", ["", f"{answer()}\n", OLD.splitlines()[0]])
def test_no_proxy_at_all_is_no_finding(said: str) -> None:
    assert statuses_of(said.encode()) == ()


@pytest.mark.parametrize(
    "said", ["{", '{"resources": [1]}', '{"resources": 1}', "Some words\nof another program", "no words"]
)
def test_what_is_neither_form_is_refused(said: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        statuses_of(said.encode())


def test_a_proxy_that_rejects_fails_and_one_that_lags_warns() -> None:
    proxies = statuses_of(
        answer(("a.x", STATES), ("b.x", {"CDS": "ERROR", "LDS": "STALE"}), ("c.x", {"CDS": "STALE"})).encode()
    )
    rejected, stale = findings_of(proxies)
    assert (rejected.id, rejected.level, rejected.subject) == ("istioctl.rejected-configuration", Level.FAILURE, "b.x")
    assert "CDS ERROR, LDS STALE" in rejected.message
    assert "kubectl logs b -n x -c istio-proxy" in rejected.hint
    assert (stale.id, stale.level, stale.subject) == ("istioctl.stale-proxy", Level.WARNING, "c.x")


def test_messages_are_findings_and_the_worst_is_first() -> None:
    said = [
        {"code": "IST0102", "level": "Info", "message": "m", "origin": "Namespace a", "documentationUrl": "u/?ref=x"},
        {"code": "IST0118", "level": "Warning", "message": "m", "origin": "Service a"},
        {"code": "IST0101", "level": "Error", "message": "gone", "origin": "VirtualService a/b"},
        {"code": "IST0999", "level": "Later", "message": "m"},
        {"code": "IST0101", "level": "Error", "message": "gone", "origin": "VirtualService a/b"},
    ]
    found = messages_of(json.dumps(said).encode())
    assert [(message.code, message.finding.level) for message in found] == [
        ("IST0101", Level.FAILURE),
        ("IST0118", Level.WARNING),
        ("IST0999", Level.WARNING),
        ("IST0102", Level.NOTE),
    ]
    assert found[0].finding.message == "VirtualService a/b: gone"
    assert found[3].finding.hint == "See u/"


def test_go_writes_an_empty_list_as_null() -> None:
    assert messages_of(b"null\n") == messages_of(b"[]") == ()


@pytest.mark.parametrize("said", [b"", b"{}", b"[1]", b"\xff"])
def test_what_is_no_list_of_messages_is_refused(said: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        messages_of(said)

"""How errors look, and that no secret gets into one."""

from __future__ import annotations

import json

import pytest

from nksmesh.domain.common.errors import ReleaseError
from nksmesh.report.redaction import REDACTED, redact
from nksmesh.report.report import DETAIL_LINES, Output, Report, error_lines


def test_the_end_of_long_words_is_shown_and_how_much_is_not() -> None:
    detail = "\n".join(f"line {number}" for number in range(50))
    error = ReleaseError("failed", hint="Look.", detail=detail)
    lines = error_lines(error)
    assert lines[:3] == ["error: failed", "  | (30 more lines above; -v shows them)", "  | line 30"]
    assert lines[-2:] == ["  | line 49", "hint: Look."]
    assert len(lines) == DETAIL_LINES + 3
    assert len(error_lines(error, verbose=True)) == 52


def test_a_message_of_several_lines_stays_one_error() -> None:
    assert error_lines(ReleaseError("failed:\n- a\n- b", hint="")) == ["error: failed:", "  - a", "  - b"]


def test_empty_words_show_nothing() -> None:
    assert error_lines(ReleaseError("failed", hint="Look.", detail=" \n ")) == ["error: failed", "hint: Look."]


JWT = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJrdWJlcm5ldGVzIn0.c2lnbmF0dXJl"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEabc\n-----END RSA PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Authorization: Bearer abc.def-123", f"Authorization: Bearer {REDACTED}"),
        ("authorization: basic dXNlcjpwdw==", f"authorization: basic {REDACTED}"),
        ("sent Bearer abc.def-123 to it", f"sent Bearer {REDACTED} to it"),
        ("token: abc123", f"token: {REDACTED}"),
        ('{"token": "abc 123", "a": 1}', f'{{"token": {REDACTED}, "a": 1}}'),
        ("id-token=abc&x=1", f"id-token={REDACTED}&x=1"),
        ("X-Auth-Token: abc123", f"X-Auth-Token: {REDACTED}"),
        ("password='a b'", f"password={REDACTED}"),
        ("helm --password hunter2 --debug", f"helm --password {REDACTED} --debug"),
        ("client-key-data: TFMwdExTMUNSVWRK", f"client-key-data: {REDACTED}"),
        ("client-certificate-data: TFMwdExTMUNSVWRK", f"client-certificate-data: {REDACTED}"),
        ("https://me:pw@charts.example.com/x", f"https://{REDACTED}@charts.example.com/x"),
        ("oci://tok3n@registry.example.com", f"oci://{REDACTED}@registry.example.com"),
        ('a/listener-terminated-https-key":"MIIE"', f'a/listener-terminated-https-key":{REDACTED}'),
        (
            "listener-terminated-https-key: (hidden) 80 characters",
            "listener-terminated-https-key: (hidden) 80 characters",
        ),
        (f"got {JWT}!", f"got {REDACTED}!"),
        (f"key {PEM} end", f"key {REDACTED} end"),
        ("-----BEGIN PRIVATE KEY-----\nMIIEabc", REDACTED),
    ],
)
def test_what_looks_like_a_secret_is_redacted(text: str, shown: str) -> None:
    assert redact(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "secret istio-ca-secret not found",
        "https://istio-release.storage.googleapis.com/charts",
        "mail a@b.example",
        "ca-certificate: /etc/ssl/ca.pem",
        "the token has expired",
        "Deployment istiod: 0 of 1 replicas available",
        "registry.example.com/istio/proxyv2@sha256:0123",
        "serviceaccounts/token is forbidden",
        "basic authentication failed",
        'WWW-Authenticate: Bearer realm="https://auth2.example.com/token"',
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize("text", [f"token: {REDACTED}", f"https://{REDACTED}@host", f"Bearer {REDACTED}"])
def test_redacting_twice_is_redacting_once(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize("output", list(Output))
def test_no_part_of_an_error_shows_a_secret(capsys: pytest.CaptureFixture[str], output: Output) -> None:
    error = ReleaseError("password=hunter2", hint="token: hunter2", detail="https://me:hunter2@host")
    error.add_note("client-key-data: hunter2")
    Report(command="x", output=output).failed(error)
    captured = capsys.readouterr()
    assert "hunter2" not in captured.out + captured.err
    assert captured.err.count(REDACTED) == 4


def test_an_error_on_stdout_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    Report(command="x", output=Output.JSON).failed(ReleaseError("failed", hint="Look."))
    assert json.loads(capsys.readouterr().out)["status"] == "error"

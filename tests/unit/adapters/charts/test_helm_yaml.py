from __future__ import annotations

from typing import Any

import pytest

from nksmesh.adapters.helm_yaml import NotYamlError, document, documents


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("=", "="),
        ("1e3", 1000.0),
        ("1.5", 1.5),
        ("10:30", "10:30"),
        ("2026-11-21", "2026-11-21"),
        ("1.20.0", "1.20.0"),
        ("0644", 420),
        ("0x10", 16),
        ("-5", -5),
        ("0", 0),
        ("~", None),
        ("yes", True),
        ("100m", "100m"),
        ("2048Mi", "2048Mi"),
    ],
)
def test_scalars_mean_what_they_mean_to_helm(text: str, value: Any) -> None:
    assert document(f"key: {text}".encode()) == {"key": value}


def test_empty_documents_are_left_out() -> None:
    assert documents(b"---\n---\na: 1\n---\n# nothing\n---\nb: 2\n") == [{"a": 1}, {"b": 2}]


@pytest.mark.parametrize(
    "text", [b"a: [", b"a: b: c", b"\xff\xfe\xfa", b"a: 1\n---\nb: 2\n", b"!!python/object:os.system {}", b"a: \x00"]
)
def test_what_is_not_one_document_of_yaml_is_refused(text: bytes) -> None:
    with pytest.raises(NotYamlError):
        document(text)


def test_aliases_that_multiply_are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    with pytest.raises(NotYamlError, match="values"):
        document("\n".join(lines).encode())

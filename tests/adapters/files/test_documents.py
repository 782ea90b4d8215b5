"""YAML of users: every mistake is told with its file and line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nksmesh.adapters.files.documents import LARGEST, parse_document, read_document
from nksmesh.domain.common.errors import ConfigError


def test_a_document_knows_the_line_of_each_key_and_item() -> None:
    document = parse_document(b"a: 1\nb:\n  - x\n  - c: 2\n", "v.yaml")
    assert document.values == {"a": 1, "b": ["x", {"c": 2}]}
    assert document.at(("b", 1, "c")) == "v.yaml, line 4"
    assert document.at(("b", 1, "c", "deeper")) == "v.yaml, line 4"
    assert document.at(()) == "v.yaml"


@pytest.mark.parametrize("digits", [400, 5000])
def test_more_digits_than_any_number_has_are_a_string(digits: int) -> None:
    """As Helm reads them: test_helm_agrees.py."""
    for text in ("9" * digits, f"-{'9' * digits}", f"0x{'f' * digits}"):
        assert parse_document(f"a: {text}\n".encode(), "v.yaml").values == {"a": text}


@pytest.mark.parametrize("text", [b"", b"# nothing\n", b"---\n", b"null\n", b"~", b"{}"])
def test_an_empty_document_is_an_empty_map(text: bytes) -> None:
    assert parse_document(text, "v.yaml").values == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"a: 1\n b: 2\n", "v.yaml, line 2: it is not YAML"),
        (b"a: [1, 2\nb: 3\n", "v.yaml, line 2: it is not YAML"),
        (b"a: 1\n\tb: 2\n", "v.yaml, line 2: it is not YAML"),
        (b"a: &x 1\nb: *y\n", "v.yaml, line 2: it is not YAML"),
        (b"a: 1\n---\nb: [\n", "v.yaml, line 4: it is not YAML"),
        (b"a: &x 1\n---\nb: *x\n", "v.yaml, line 3: it is not YAML"),
        (b"a: 1\nb:\n  c: 1\n  c: 2\n", "v.yaml, line 4: the key 'c' appears twice"),
        (b"1: x\n'1': y\n", "v.yaml, line 2: the key '1' appears twice"),
        (b"a: 1\nb: \xff\n", "v.yaml, line 2: it is not UTF-8"),
        ("a: é\n".encode("latin-1"), "v.yaml, line 1: it is not UTF-8"),
        (b"a: 1\x00\n", "v.yaml: it is not YAML"),
        (b"- a\n- b\n", "v.yaml: it is not a map"),
        (b"just words\n", "v.yaml: it is not a map"),
        (b"a: .inf\n", "v.yaml, line 1: .inf is not a number"),
        (b"a: !!python/object:os.system x\n", "v.yaml, line 1: the tag 'python/object:os.system' has no meaning"),
        (b"a: !include x\n", "v.yaml, line 1: the tag '!include' has no meaning"),
        (b"? [a]\n: 1\n", "v.yaml, line 1: a key is not a plain word"),
        (b"~: 1\n", "v.yaml, line 1: a key is not a plain word"),
        (b"a: &a [*a]\n", "v.yaml, line 1: it is nested too deeply"),
        (b"a:\n  <<: 1\n", "v.yaml, line 2: << takes a map"),
    ],
)
def test_mistakes_are_told_with_file_and_line(text: bytes, message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse_document(text, "v.yaml")
    assert raised.value.message.startswith(message)
    assert raised.value.hint


@pytest.mark.parametrize(
    "text",
    [
        "a: 1\n---\n",
        "---\na: 1\n---\n# the end\n",
        "---\n# a licence\n---\na: 1\n",
        "# a licence\n---\n# more\n---\n---\na: 1\n---\n---\n",
        "a: 1\n...\n",
        "a: 1\n...\n---\n...\n# the end\n",
        "%YAML 1.1\n---\na: 1\n...\n",
        "null\n---\na: 1\n--- ~\n---\n!!null\n",
        "---\n{}\n---\na: 1\n--- {}\n",
        "--- {a: 1}\n---\n",
        "\ufeff---\r\n---\r\na: 1\r\n---   \r\n",
    ],
)
def test_empty_documents_beside_a_real_one_mean_nothing(text: str) -> None:
    document = parse_document(text.encode(), "v.yaml")
    assert document.values == {"a": 1}
    assert document.at(("a",)) == f"v.yaml, line {text[: text.index('a: 1')].count(chr(10)) + 1}"


def test_nothing_but_empty_documents_is_an_empty_map() -> None:
    assert parse_document(b"---\n# one\n---\n...\n---\n", "v.yaml").values == {}


@pytest.mark.parametrize(
    ("text", "begin"),
    [
        ("a: 1\n---\nb: 2\n", "two documents, which begin on lines 1 and 2"),
        ("# words\n\na: 1\n--- # more\n# words\n\na: 1\n", "two documents, which begin on lines 3 and 4"),
        ("---\n---\na: 1\n---\n---\n- b\n---\n", "two documents, which begin on lines 2 and 5"),
        ("a: 1\n...\n--- ''\n", "two documents, which begin on lines 1 and 3"),
        ("a: 1\r\n---\r\nb: 2\r\n---\r\nc: 3\r\n", "3 documents, which begin on lines 1, 2 and 4"),
    ],
)
def test_two_real_documents_are_refused_in_those_words(text: str, begin: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse_document(text.encode(), "v.yaml")
    assert begin in raised.value.message
    second = re.findall(r"\d+", begin.partition("lines")[2])[1]
    assert raised.value.message.startswith(f"v.yaml, line {second}: ")
    assert "Helm 3" in raised.value.hint


def test_aliases_do_not_blow_up() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    with pytest.raises(ConfigError, match="its aliases make it too large"):
        parse_document("\n".join(lines).encode(), "v.yaml")


def test_deep_nesting_is_no_crash() -> None:
    with pytest.raises(ConfigError):
        parse_document(b"a: " + b"[" * 5000 + b"]" * 5000, "v.yaml")


def test_a_merge_key_may_be_overridden() -> None:
    text = b"base: &base {a: 1, b: 2}\nuse:\n  <<: *base\n  b: 3\n"
    assert parse_document(text, "v.yaml").values["use"] == {"a": 1, "b": 3}


def test_a_byte_order_mark_is_passed_over() -> None:
    assert parse_document(b"\xef\xbb\xbfa: 1\n", "v.yaml").values == {"a": 1}


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"missing\.yaml cannot be read: No such file"):
        read_document(tmp_path / "missing.yaml")
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        read_document(tmp_path)


def test_a_huge_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "huge.yaml"
    file.write_bytes(b"#" * (LARGEST + 1))
    with pytest.raises(ConfigError, match="larger than 4 MiB"):
        read_document(file)

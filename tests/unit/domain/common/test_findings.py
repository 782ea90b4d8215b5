"""Findings: what they are called, which of them end a run, with which error; and docs/findings.md against the code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import nksmesh
from nksmesh.domain.common import errors
from nksmesh.domain.common.errors import CheckError, ConfigError, MeshError
from nksmesh.domain.common.findings import Finding, Level, refuse_failures

PACKAGE = Path(nksmesh.__file__).parent
TABLE = re.compile(r"^\| `([^`]+)` \| ([^|]+) \| [^|]+ \| (\d*) ?\|$", re.MULTILINE)
ID = re.compile(r"[a-z]+(-[a-z]+)*\.[a-z]+(-[a-z]+)*")


def finding(name: str, level: Level = Level.FAILURE, error: type[MeshError] = CheckError) -> Finding:
    return Finding(id=f"kube.{name}", level=level, message=name, hint=f"mend {name}", detail=f"{name}s", error=error)


def made() -> Iterator[tuple[str, str]]:
    """Go through the findings that the code makes: each id, with the class of the error that a failure ends in."""
    for file in PACKAGE.rglob("*.py"):
        tree = ast.parse(file.read_text())
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            called = call.func.id if isinstance(call.func, ast.Name) else ""
            if called == "Finding":
                given = {word.arg: word.value for word in call.keywords}
                error = given.get("error")
                ids = strings(given["id"]) or named_in(tree, given["id"])
                yield from ((name, error.id if isinstance(error, ast.Name) else "CheckError") for name in ids)
            elif called == "blocked_by":
                yield from ((name, "ClusterError") for name in strings(call.args[0]))
            elif called == "_warning" and file.name == "versions.py":
                yield from ((name, "") for name in strings(call.args[0]))


def strings(node: ast.AST) -> list[str]:
    return [
        one.value
        for one in ast.walk(node)
        if isinstance(one, ast.Constant) and isinstance(one.value, str) and ID.fullmatch(one.value)
    ]


def named_in(tree: ast.Module, name: ast.AST) -> list[str]:
    """Return what a variable named as the id is set to."""
    assert isinstance(name, ast.Name)
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and name.id in {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}:
            found += strings(node.value)
    return found


def test_the_table_of_ids_is_that_of_the_code() -> None:
    rows = TABLE.findall((PACKAGE.parent / "docs" / "findings.md").read_text())
    ids = [name for name, _, _ in rows]
    assert ids == sorted(set(ids))
    code = dict(made())
    assert set(ids) == set(code)
    for name, levels, exit_code in rows:
        assert ID.fullmatch(name), name
        assert set(levels.split(", ")) <= set(Level), name
        assert bool(exit_code) == ("failure" in levels), name
        if exit_code:
            assert int(exit_code) == getattr(errors, code[name]).exit_code, name


def test_a_group_is_the_first_part_of_an_id() -> None:
    assert finding("immutable-field").group == "kube"


def test_what_is_no_failure_stops_nothing() -> None:
    refuse_failures([finding("a", Level.NOTE), finding("b", Level.WARNING)])


def test_failures_end_a_run_with_the_first_ones_error_and_next_step() -> None:
    with pytest.raises(ConfigError) as caught:
        refuse_failures(
            [
                finding("a", Level.WARNING),
                finding("b", error=ConfigError),
                finding("c"),
                finding("d", error=ConfigError),
            ]
        )
    assert (caught.value.message, caught.value.hint, caught.value.detail) == ("b; d", "mend b", "bs\nds")
    with pytest.raises(CheckError, match="b; c") as both:
        refuse_failures([finding("b"), finding("c")])
    assert both.value.hint == "mend b"

"""The documents: every command line in them parses, and the READMEs in other languages show what README.md shows."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

import nksmesh
from tests.unit.fakes.command_line import CommandLine

ROOT = Path(nksmesh.__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
TRANSLATIONS = [ROOT / "README.ko.md", ROOT / "README.ja.md"]
BLOCK = re.compile(r"^(?:    |\t).*\n(?:(?:(?:    |\t).*)?\n)*|^ *```.*\n(?s:.*?)^ *```$", re.MULTILINE)
INLINE = re.compile(r"`(nksmesh [^`]+)`")
SYNOPSIS = re.compile(r"\.\.\.|[\[|…]")
"""What a shell would not take: an inline command with it shows a form, and is no command line."""

NAME_ALONE = re.compile(r"error: missing argument")
"""What a document's `nksmesh init` comes to, which names a command."""

LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
DAY_TWO = re.compile(r"(?:^\|.*\n)*^\| `rollback` \|.*(?:\n\|.*)*", re.MULTILINE)
"""The table of commands; the first column is the same in every language."""

CODES = re.compile(r"^\| (\d+) \|", re.MULTILINE)
REGISTRIES = re.compile(r"\| (public|private) \| (\S+) \|")


def blocks(document: Path) -> list[str]:
    return [found.group().rstrip() for found in BLOCK.finditer(document.read_text(encoding="utf-8"))]


def command_lines(document: Path) -> Iterator[str]:
    for block in blocks(document):
        lines = [line.strip() for line in block.replace("\\\n", " ").split("\n")]
        prompt = "$ " if any(line.startswith("$ ") for line in lines) else ""  # then the other lines are output
        yield from (line.removeprefix(prompt) for line in lines if line.startswith(f"{prompt}nksmesh "))
    for typed in INLINE.findall(document.read_text(encoding="utf-8")):
        if not SYNOPSIS.search(typed):
            yield typed


def arguments_of(line: str) -> list[str]:
    """Return what the shell gives to nksmesh: up to a pipe, a redirection or another command."""
    tokens = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
    tokens.whitespace_split = True
    arguments: list[str] = []
    for token in tokens:
        if set(token) <= set("|&;<>"):
            break
        arguments.append(token)
    return arguments[1:]


def commands_in(text: str) -> list[str]:
    """Return the first column of the table of commands."""
    found = DAY_TWO.search(text)
    assert found
    return [row.split("|")[1] for row in found.group().splitlines()[2:]]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_line_parses(parser: CommandLine, document: Path) -> None:
    said = {line: parser(*arguments_of(line)).err for line in dict.fromkeys(command_lines(document))}
    assert {line: error for line, error in said.items() if error and not NAME_ALONE.match(error)} == {}


def test_most_documents_have_command_lines() -> None:
    assert sum(len(list(command_lines(document))) for document in DOCUMENTS) > 100


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_to_a_file(document: Path) -> None:
    links = LINK.findall(document.read_text(encoding="utf-8"))
    assert [link for link in links if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("translation", TRANSLATIONS, ids=lambda path: path.name)
def test_a_readme_in_another_language_says_what_the_first_says(translation: Path) -> None:
    first, text = ((path.read_text(encoding="utf-8")) for path in (ROOT / "README.md", translation))
    shown = [block for block in blocks(translation) if "    $ nksmesh" in block]
    assert len(shown) == 3
    assert [block for block in shown if block not in first] == []
    assert [row for row in commands_in(text) if row not in commands_in(first)] == []
    assert CODES.findall(text) == CODES.findall(first)
    assert REGISTRIES.findall(text) == REGISTRIES.findall(first)


def test_the_readmes_link_to_each_other() -> None:
    readmes = {ROOT / "README.md", *TRANSLATIONS}
    for readme in readmes:
        links = set(LINK.findall(readme.read_text(encoding="utf-8")))
        assert {other.name for other in readmes - {readme}} <= links

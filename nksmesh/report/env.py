"""How ``nksmesh env`` and ``nksmesh init`` look."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from nksmesh.commands.env import EnvironmentList, EnvironmentRow, EnvironmentShown, StarterWritten
from nksmesh.domain.charts.lock import public_source
from nksmesh.report.documents import yaml_text
from nksmesh.report.layout import BAD, FAINT, facts, gap, rows, sentence
from nksmesh.report.text import renders


@renders(EnvironmentList)
def _list(result: EnvironmentList, console: Console, _verbose: bool) -> None:
    rows(
        console, ["environment", "cluster", "images", "version", "profile"], [_row(row) for row in result.environments]
    )
    if not result.environments:
        sentence(console, "no environments")
    facts(console, [("folder", result.folder)])


def _row(row: EnvironmentRow) -> list[str | Text]:
    told = row.environment
    if told is None:
        return [row.name, Text(row.problem, style=BAD), "", "", ""]
    cluster = f"sandbox {told.sandbox}" if told.sandbox else told.context
    return [
        row.name,
        *(text or Text("-", style=FAINT) for text in (cluster, told.hub or told.region, told.version, told.profile)),
    ]


@renders(EnvironmentShown)
def _shown(result: EnvironmentShown, console: Console, _verbose: bool) -> None:
    told = result.environment
    console.print(Text.assemble((told.name, "bold"), f"  {told.path}"))
    gateways = told.gateways
    facts(
        console,
        [
            ("  sandbox", told.sandbox),
            ("  context", told.context),
            ("  kubeconfig", told.kubeconfig),
            ("  region", told.region),
            ("  network", told.network.value if told.network else ""),
            ("  hub", told.hub),
            ("  version", told.version),
            ("  profile", told.profile),
            ("  namespace", told.namespace),
            ("  charts", public_source(told.charts)),
            ("  image paths", "full" if told.full_image_paths else ""),
            ("  pull secrets", ", ".join(told.pull_secrets)),
            ("  images allowed", ", ".join(told.allow_images)),
            ("  components", "" if told.components is None else ", ".join(told.components) or "none"),
            ("  releases", ", ".join(f"{one} is {name}" for one, name in told.release_names.items())),
            ("  gateways", "" if gateways is None else ", ".join(one.name for one in gateways) or "none"),
        ],
    )
    for target, file in told.files.items():
        gap(console)
        console.print(Text.assemble((target, "bold"), f"  {file.path}"))
        console.print(Text(yaml_text(file.values, indent=2)))


@renders(StarterWritten)
def _starter(result: StarterWritten, console: Console, _verbose: bool) -> None:
    sentence(console, f"written to {result.folder}:")
    for name in result.files:
        sentence(console, f"  {name}")

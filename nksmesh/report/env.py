"""How ``nksmesh env`` and ``nksmesh init`` look."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from nksmesh.commands.env import EnvironmentList, EnvironmentRow, EnvironmentShown, StarterWritten
from nksmesh.domain.charts.lock import public_source
from nksmesh.domain.plan.diff import masked_value
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
    env = row.environment
    if env is None:
        return [row.name, Text(row.problem, style=BAD), "", "", ""]
    cluster = f"sandbox {env.sandbox}" if env.sandbox else env.context
    return [
        row.name,
        *(text or Text("-", style=FAINT) for text in (cluster, env.hub or env.region, env.version, env.profile)),
    ]


@renders(EnvironmentShown)
def _shown(result: EnvironmentShown, console: Console, _verbose: bool) -> None:
    env = result.environment
    console.print(Text.assemble((env.name, "bold"), f"  {env.path}"))
    gateways = env.gateways
    facts(
        console,
        [
            ("  sandbox", env.sandbox),
            ("  context", env.context),
            ("  kubeconfig", env.kubeconfig),
            ("  region", env.region),
            ("  network", env.network.value if env.network else ""),
            ("  hub", env.hub),
            ("  version", env.version),
            ("  profile", env.profile),
            ("  namespace", env.namespace),
            ("  charts", public_source(env.charts)),
            ("  image paths", "full" if env.full_image_paths else ""),
            ("  pull secrets", ", ".join(env.pull_secrets)),
            ("  images", "" if env.check_images else "not looked for before an install"),
            ("  images allowed", ", ".join(env.allow_images)),
            ("  components", "" if env.components is None else ", ".join(env.components) or "none"),
            ("  releases", ", ".join(f"{kind} is {name}" for kind, name in env.release_names.items())),
            ("  gateways", "" if gateways is None else ", ".join(gateway.name for gateway in gateways) or "none"),
        ],
    )
    for target, file in env.files.items():
        gap(console)
        console.print(Text.assemble((target, "bold"), f"  {file.path}"))
        console.print(Text(yaml_text(masked_value(file.values), indent=2)))


@renders(StarterWritten)
def _starter(result: StarterWritten, console: Console, _verbose: bool) -> None:
    sentence(console, f"written to {result.folder}:")
    for name in result.files:
        sentence(console, f"  {name}")

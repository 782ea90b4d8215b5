"""Keys of a user's values that a chart does not read: Helm passes such a key over in silence.

What a chart reads is found in the chart itself, of the very version that is installed: ``template_reads`` follows its
templates, its own profile loader included. A key counts as known where

- a template reads it, or may: where that cannot be told (a key that is computed, a file that is no template as we
  know them, what is below a map that is empty until a user fills it), nothing is said of it;
- the chart hands it on as it is and values.yaml lists it: istiod writes ``global`` and others into the ConfigMap of the
  injector, whose templates below files/ are followed, too; istiod itself reads some of it.

So a key that values.yaml lists and nothing reads is told as well, where its value is another than the chart's. The
render itself does not tell: every key below ``global`` of istiod changes that ConfigMap, misspelt ones as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from nksmesh.domain.charts.chart import Chart
from nksmesh.domain.charts.template_reads import Node, reach, reads_of
from nksmesh.domain.charts.template_values import ANY
from nksmesh.domain.common.findings import Finding, Level
from nksmesh.domain.common.spelling import nearest
from nksmesh.domain.values.layers import Layer, Path, dotted, merge, value_at

NESTS: Final = ("defaults", "_internal_defaults_do_not_set")
"""Where the charts from 1.21, and from 1.24, keep their defaults; a user writes the keys at the top all the same."""

_MISSING: Final = object()


def unknown_keys(layers: Iterable[Layer], chart: Chart, *, former: Chart | None = None) -> tuple[Finding, ...]:
    """Find the keys in a user's layers that no template of the chart reads. Our own layers are not looked at.

    Args:
        chart: Its chart; its templates are read only where there is a user's layer.
        former: The chart of the version that is installed, where it is another one.

    Returns:
        A warning for each key, with the nearest key that the chart reads.

    Raises:
        ChartError: A template of the chart cannot be read.
    """
    own = [layer for layer in layers if not layer.ours and layer.values]
    if not own:
        return ()
    texts = tuple(text for layer in own for text in _templates_in(layer.values))
    known = known_tree(chart, texts)
    before = known_tree(former, texts) if former else {}
    listed = _flat(chart.defaults)
    return tuple(
        Finding(
            id="charts.unknown-key",
            level=Level.WARNING,
            subject=layer.name,
            message=f"{layer.name}: {_reason(path, chart, listed, former if former and _has(before, path) else None)}",
            hint=_hint(path, value, chart, known),
        )
        for layer in own
        for path, value in _told(layer.values, known, listed)
    )


def known_tree(chart: Chart, texts: Iterable[str] = ()) -> Mapping[str, Any]:
    """Lay out the keys that a chart reads where a user writes them: at the top, however deep its defaults are.

    Args:
        texts: Strings of the user's values that are templates themselves.

    Returns:
        The chart's default for each key, None where it has none; of a map, the keys that are read of it. An empty map
        is an open one: any key may be in it.

    Raises:
        ChartError: A template of the chart cannot be read.
    """
    reads = reads_of(chart.templates, (*_templates_in(chart.defaults), *texts))
    listed = _flat(chart.defaults)
    root, handed_on = reads.root, reads.handed_on
    into_top = {source for source, target in reads.merged if source and (not target or target[0] in NESTS)}
    # Twice, for what is merged to where something else is merged from.
    for source, target in sorted(reads.merged) * 2:
        if source not in into_top and source[:1] != target[:1]:
            _graft(reach(root, source), reach(root, target))
    for source in sorted(source for source in into_top if source[0] not in NESTS):
        # What is merged into the top, as pilot is from 1.24 on, may hold every key of the top.
        top = {key: node for key, node in root.below.items() if key not in {source[0], *NESTS}}
        # Of itself within itself it cannot be told: Helm walks through a map while it merges it.
        _graft(reach(root, source), Node(below={**top, source[0]: Node(whole=True)}))
        if len(source) == 1:
            same = {key: value for key, value in listed.items() if key != source[0]}
            below = listed.get(source[0])
            listed = merge(listed, {source[0]: merge(same, below if isinstance(below, Mapping) else {})})
            reach(handed_on, source).whole |= handed_on.whole
    if root.whole or ANY in root.below:
        return _Everything()
    tree = _laid_out(root, listed, handed_on)
    return {key: value for key, value in tree.items() if not (_is_nest(key, chart) or key.startswith("_"))}


def has_key(known: Mapping[str, Any], path: Path) -> bool:
    """Tell whether a chart reads a key, of keys as ``known_tree`` lays them out; whatever is in an open map it does."""
    return not any(_unknown(_tree(path), known, ()))


class _Everything(dict[str, Any]):
    """The keys of a chart of which it cannot be told what it reads: every one."""

    def __contains__(self, key: object) -> bool:
        return True

    def __missing__(self, key: str) -> None:
        return None


def _is_nest(key: str, chart: Chart) -> bool:
    return key in NESTS and isinstance(chart.defaults.get(key), Mapping)


def _flat(defaults: Mapping[str, Any]) -> Mapping[str, Any]:
    flat: Mapping[str, Any] = {key: value for key, value in defaults.items() if key not in NESTS}
    for nest in NESTS:
        if isinstance(defaults.get(nest), Mapping):
            flat = merge(flat, defaults[nest])
    return flat


def _laid_out(node: Node, listed: Mapping[str, Any], handed_on: Node) -> dict[str, Any]:
    keys = {key: listed.get(key) for key in node.below if key != ANY}
    if handed_on.whole:
        keys = {**listed, **keys}
    else:
        keys.update({key: listed[key] for key in handed_on.below if key in listed})
    return {
        key: _default(
            node.below.get(key) or Node(), default, handed_on if handed_on.whole else handed_on.below.get(key) or Node()
        )
        for key, default in keys.items()
    }


def _default(node: Node, default: Any, handed_on: Node) -> Any:
    """Return a key's default; of a map of which single keys are read, those."""
    listed = default if isinstance(default, Mapping) else {}
    if not (node.whole or ANY in node.below or (node.tested and not default)):
        inner = _laid_out(node, listed, handed_on)
        if inner:
            return inner
    return {} if isinstance(default, Mapping) else default


def _graft(node: Node, source: Node) -> None:
    node.whole |= source.whole
    for key, below in list(source.below.items()):
        copied = node.below.setdefault(key, Node())
        copied.tested |= below.tested
        _graft(copied, below)


def _templates_in(value: Any) -> Iterator[str]:
    """Yield the strings of some values that are templates themselves."""
    if isinstance(value, str):
        if "{{" in value:
            yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _templates_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _templates_in(inner)


def _tree(path: Path, value: Any = None) -> dict[str, Any]:
    for key in reversed(path):
        value = {key: value}
    return dict(value or {})


def _told(values: Mapping[str, Any], known: Mapping[str, Any], listed: Mapping[str, Any]) -> Iterator[tuple[Path, Any]]:
    """Yield the unknown keys; of what the chart lists all the same, only what is set to something else."""
    for path in _unknown(values, known, ()):
        yield from _changed(path, value_at(values, path), _listed(path, listed))


def _changed(path: Path, value: Any, default: Any) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, Mapping) and isinstance(default, Mapping) and default:
        for key, inner in value.items():
            yield from _changed((*path, key), inner, default.get(key, _MISSING))
    elif value != default:
        yield path, value


def _unknown(values: Mapping[str, Any], known: Mapping[str, Any], prefix: Path) -> Iterator[Path]:
    for key, value in values.items():
        path = (*prefix, key)
        if key not in known:
            yield path
        elif isinstance(value, Mapping) and isinstance(known[key], Mapping) and known[key]:
            yield from _unknown(value, known[key], path)


def _has(known: Mapping[str, Any], path: Path) -> bool:
    return path[0] not in NESTS and has_key(known, path)


def _listed(path: Path, listed: Any) -> Any:
    for key in path:
        if not isinstance(listed, Mapping) or key not in listed:
            return _MISSING
        listed = listed[key]
    return listed


def _reason(path: Path, chart: Chart, listed: Mapping[str, Any], former: Chart | None) -> str:
    title = f"chart {chart.ref}"
    if _is_nest(path[0], chart):
        return f"{title} keeps its own defaults below {path[0]}"
    if former:
        return f"no template of {title} reads {dotted(path)}; {former.ref.version} did"
    if _listed(path, listed) is not _MISSING:
        return f"values.yaml of {title} lists {dotted(path)}, but no template of it reads that key"
    return f"no template of {title} reads {dotted(path)}"


def _hint(path: Path, value: Any, chart: Chart, known: Mapping[str, Any]) -> str:
    if _is_nest(path[0], chart):
        return f"Set the keys of {path[0]} at the top level: the charts use that one internally."
    around = value_at(known, path[:-1]) if path[1:] else known
    siblings = [key for key in around or () if _fits((*path[:-1], key), value, known)]
    if near := nearest(path[-1], siblings):
        return f"Did you mean {dotted((*path[:-1], near))}?"
    elsewhere = [found for found in _paths_to(path[-1], known, ()) if _fits(found, value, known)]
    if elsewhere:
        return f"Did you mean {dotted(min(elsewhere, key=lambda found: (len(found), found)))}?"
    return "It has no effect. Remove it, or look for the right key with helm show values."


def _fits(path: Path, value: Any, known: Mapping[str, Any]) -> bool:
    """Tell whether a value may stand at another key: all of it is read there, and it is a map where that is one."""
    if isinstance(value_at(known, path), Mapping) is not isinstance(value, Mapping) and value is not None:
        return False
    return not any(_unknown(_tree(path, value), known, ()))


def _paths_to(key: str, known: Mapping[str, Any], prefix: Path) -> Iterator[Path]:
    for name, inner in known.items():
        if name == key:
            yield (*prefix, name)
        elif isinstance(inner, Mapping):
            yield from _paths_to(key, inner, (*prefix, name))

"""The IstioOperators in which istioctl keeps what it was told, and which of them owns istiod and each gateway.

istioctl keeps one for each ``metadata.name`` that it was given: ``installed-state``, or ``installed-state-NAME``. It
labels what it makes with that name, with NAME, or with ``unknown``; where the label does not tell, the specs do: which
one has istiod enabled, and which one lists the gateway.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from nksmesh.domain.adoption.operator_keys import SIDES
from nksmesh.domain.kube.objects import Manifest
from nksmesh.domain.kube.owners import ISTIO_OPERATOR, owner_of
from nksmesh.domain.values.layers import value_at

_INSTALLED_STATE: Final = "installed-state"

Key = tuple[str, str]
"""The (namespace, name) of an object."""


@dataclass(frozen=True, kw_only=True)
class FormerStates:
    """Which IstioOperator owns what.

    Attributes:
        own: The one of istiod, and of every gateway that is no other's; None where there is none.
        beside: Those of other gateways, each with the gateways that it owns.
        unseen: Gateways whose IstioOperator is not there any more, with its name.
        idle: Those that own no istiod and no gateway.
        guessed: ``own`` is the last of several that may be istiod's.
    """

    own: Manifest | None
    beside: tuple[tuple[Manifest, frozenset[Key]], ...] = ()
    unseen: Mapping[Key, str] = field(default_factory=dict)
    idle: tuple[Manifest, ...] = ()
    guessed: bool = False


def states_of(istiod: Manifest, gateways: Sequence[Manifest], states: Sequence[Manifest]) -> FormerStates:
    """Tell which IstioOperator owns istiod, and which of the others which gateway.

    Args:
        gateways: The gateways' Deployments.
        states: Every IstioOperator of the cluster.
    """
    named = {key_of(gateway): state for gateway in gateways if (state := _named_by(gateway, states)) is not None}
    with_istiod = [state for state in states if _has_istiod(state)]
    may_be = [state for state in with_istiod if state not in named.values()] or with_istiod
    own = _named_by(istiod, states) or _last(may_be) or _last(states)
    others = [state for state in states if state is not own]
    owned: dict[Key, set[Key]] = {key_of(state): set() for state in others}
    unseen = {}
    for gateway in gateways:
        key, owner = key_of(gateway), owner_of(gateway)
        state = named.get(key) or own
        if key not in named and own is not None and not _lists(own, gateway):
            state = next((candidate for candidate in others if _lists(candidate, gateway)), own)
        if state is not None and state is not own:
            owned[key_of(state)].add(key)
        elif key not in named and owner.kind == ISTIO_OPERATOR and own is not None and not _lists(own, gateway):
            unseen[key] = owner.name
    return FormerStates(
        own=own,
        beside=tuple((state, frozenset(owned[key_of(state)])) for state in others if owned[key_of(state)]),
        unseen=unseen,
        idle=tuple(state for state in others if not owned[key_of(state)]),
        guessed=_named_by(istiod, states) is None and len(may_be) > 1,
    )


def key_of(live: Manifest) -> Key:
    """Return the (namespace, name) of an object."""
    return str(live["metadata"].get("namespace") or ""), str(live["metadata"]["name"])


def _named_by(live: Manifest, states: Iterable[Manifest]) -> Manifest | None:
    """Return the IstioOperator that an object's labels name as its owner; in its namespace, if it is there."""
    owner = owner_of(live)
    names = (owner.name, f"{_INSTALLED_STATE}-{owner.name}") if owner.kind == ISTIO_OPERATOR else ()
    found = [state for name in names for state in states if state["metadata"]["name"] == name]
    there = [state for state in found if state["metadata"].get("namespace") == owner.namespace]
    return next(iter([*there, *found]), None)


def _last(states: Iterable[Manifest]) -> Manifest | None:
    """Return the IstioOperator in which istioctl keeps what it installed last; a user's own one comes after those."""
    found = sorted(states, key=lambda state: str(state["metadata"].get("creationTimestamp", "")), reverse=True)
    kept = [state for state in found if str(state["metadata"]["name"]).startswith(_INSTALLED_STATE)]
    return next(iter([*kept, *found]), None)


def _has_istiod(state: Manifest) -> bool:
    return value_at(state.get("spec") or {}, ("components", "pilot", "enabled")) is not False


def _lists(state: Manifest, gateway: Manifest) -> bool:
    """Tell whether an IstioOperator has a gateway of this name, and of this namespace where it says one, enabled."""
    namespace, name = key_of(gateway)
    listed: list[Any] = []
    for side in SIDES:
        some = value_at(state.get("spec") or {}, ("components", side))
        listed += some if isinstance(some, list) else []
    return any(
        isinstance(entry, Mapping)
        and entry.get("name") == name
        and entry.get("enabled") is not False
        and (entry.get("namespace") or namespace) == namespace
        for entry in listed
    )

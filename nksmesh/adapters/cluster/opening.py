"""From a kubeconfig's context to a client of the API server: credentials, certificates, proxy."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from nksmesh.adapters.cluster import credential_plugin, library, proxies
from nksmesh.adapters.cluster.kubeconfig import Context, unusable
from nksmesh.domain.errors import ClusterError

if TYPE_CHECKING:
    from kubernetes.aio.client import ApiClient

    from nksmesh.adapters.cluster.connections import Connections

_AS: Final = {"as": "Impersonate-User", "as-uid": "Impersonate-Uid"}
_OIDC_HINT: Final = "Run kubectl get nodes once: kubectl renews the token and keeps it. Or name another kubeconfig."


@dataclass(frozen=True, eq=False)
class Client:
    """What speaks to an API server.

    Attributes:
        api: The Kubernetes client.
        connections: Its connections.
    """

    api: ApiClient
    connections: Connections

    async def close(self) -> None:
        """End the client and its connections."""
        await self.api.close()
        await self.connections.end()


async def open_client(context: Context) -> Client:
    """Make a client of a context's API server, its credentials fresh; nothing is sent to that server yet.

    Raises:
        ClusterError: The credentials cannot be had, or what the kubeconfig says cannot be used.
    """
    config, client = library.load()
    settings = client.Configuration()
    user = await _user(context)
    named = {
        "contexts": [{"name": context.name, "context": {"cluster": "it", "user": "it"}}],
        "clusters": [{"name": "it", "cluster": context.cluster}],
        "users": [{"name": "it", "user": user}],
    }
    try:
        await config.load_kube_config_from_dict(named, context=context.name, client_configuration=settings)
        settings.proxy = _proxy(context)
        # The proxy is decided above; ~/.netrc is not for us.
        settings.client_session_kwargs = {"trust_env": False, "headers": _impersonation(context)}
        settings.client_side_validation = False
        # Certificates and keys are loaded here; ssl.SSLError is an OSError.
        return connected(client.ApiClient(configuration=settings))
    except (config.ConfigException, OSError, ValueError) as exc:
        raise unusable(context.source, f"{type(exc).__name__}: {exc}") from exc


def connected(client: ApiClient) -> Client:
    """Give a Kubernetes client connections that end with it; it has sent nothing yet."""
    from nksmesh.adapters.cluster.connections import Connections  # noqa: PLC0415 - aiohttp is there from here on

    connections = Connections(client.rest_client.ssl_context)
    settings = client.configuration
    settings.client_session_kwargs = {**(settings.client_session_kwargs or {}), "connector": connections}
    return Client(client, connections)


def _impersonation(context: Context) -> list[tuple[str, str]]:
    """Return the headers that ask to be taken for somebody else (``as`` and ``as-groups``), as Helm sends them."""
    headers = [(header, str(context.user[key])) for key, header in _AS.items() if key in context.user]
    return [*headers, *(("Impersonate-Group", str(group)) for group in context.user.get("as-groups") or ())]


async def _user(context: Context) -> dict[str, object]:
    """Return a context's user, a plugin's answer in the plugin's place; a token that is there goes before a plugin."""
    user = dict(context.user)
    plugin = user.pop("exec", None)
    if plugin is not None and not (user.get("token") or user.get("tokenFile")):
        user |= await credential_plugin.credential(context)
    provider = user.pop("auth-provider", None)
    if provider is not None:
        user["token"] = _id_token(context, provider)
    return user


def _id_token(context: Context, provider: Any) -> str:
    """Return the token that an OIDC auth-provider keeps.

    It is not refreshed here: a refresh token is often good for one use, and whoever uses it has to write the next one
    into the kubeconfig, as kubectl does. The Kubernetes client's own refresh sends it without checking who gets it.
    """
    if not isinstance(provider, Mapping) or provider.get("name") != "oidc":
        raise unusable(context.source, "its auth-provider is not supported: only oidc is, as in kubectl")
    token = str((provider.get("config") or {}).get("id-token") or "")
    try:
        payload = token.split(".")[1]
        expires = json.loads(base64.urlsafe_b64decode(payload + "==")).get("exp")
    except (IndexError, ValueError, AttributeError) as exc:
        raise unusable(context.source, "its oidc id-token is not a token", hint=_OIDC_HINT) from exc
    if isinstance(expires, int | float) and expires <= time.time():
        raise unusable(context.source, "its oidc id-token has expired", hint=_OIDC_HINT)
    return token


def _proxy(context: Context) -> str | None:
    """Return the proxy on the way to the API server: the kubeconfig's own before the environment's."""
    proxy = str(context.cluster.get("proxy-url") or proxies.proxy_for(context.cluster["server"]))
    if proxy and urlsplit(proxy).scheme not in ("http", "https"):
        raise ClusterError(
            f"the proxy for {context.cluster['server']} is not an HTTP proxy",
            hint="Use an http:// or https:// proxy, or list the API server in NO_PROXY.",
            detail=f"its scheme is {urlsplit(proxy).scheme}",
        )
    return proxy or None

"""From a kubeconfig's context to a client of the API server: credentials, certificates, proxy."""

from __future__ import annotations

import base64
import json
import ssl
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from nksmesh.adapters.cluster import credential_plugin, proxies
from nksmesh.adapters.cluster.connections import Connections, configuration, rest
from nksmesh.adapters.cluster.kubeconfig import Context, unusable
from nksmesh.domain.common.errors import ClusterError

if TYPE_CHECKING:
    from kubernetes.aio.client.rest import RESTClientObject

_CERTIFICATES: Final = ("certificate-authority", "client-certificate", "client-key")
_AS: Final = {"as": "Impersonate-User", "as-uid": "Impersonate-Uid"}
_HTTP: Final = ("http", "https")
_SOCKS: Final = ("socks5", "socks5h")
"""client-go takes the first of these in a kubeconfig, Go's net/http both in the environment; they mean the same."""

_CHANNELS: Final = "v4.channel.k8s.io"
"""The subprotocol of port-forward and exec that every API server since Kubernetes 1.5 speaks over WebSockets."""

_OIDC_HINT: Final = (
    "Run kubectl get nodes once: kubectl renews the token and keeps it. Or pass another kubeconfig with --kubeconfig."
)


@dataclass(frozen=True, eq=False)
class Client:
    """What speaks to an API server."""

    server: str
    rest: RESTClientObject
    connections: Connections

    def channels(self, url: str) -> AbstractAsyncContextManager[Any]:
        """Open a WebSocket to a pod, with the same credentials, certificates and proxy as requests have."""
        if self.rest.pool_manager is None:
            self.rest.pool_manager = self.rest._create_pool_manager()  # noqa: SLF001 - its first request does so, too
        settings = self.rest.configuration
        return self.rest.pool_manager.ws_connect(
            url,
            protocols=(_CHANNELS,),
            proxy=self.rest.proxy,
            proxy_headers=self.rest.proxy_headers,
            server_hostname=settings.tls_server_name,
            max_msg_size=0,
        )

    async def close(self) -> None:
        """End the client and its connections."""
        await self.rest.close()
        await self.connections.end()


async def open_client(context: Context) -> Client:
    """Make a client of a context's API server, its credentials fresh; nothing is sent to that server yet.

    Raises:
        ClusterError: The credentials cannot be had, or what the kubeconfig says cannot be used.
    """
    user = await _user(context)
    proxy = _proxy(context)
    socks = proxy if urlsplit(proxy).scheme in _SOCKS else ""
    settings = configuration.Configuration(host=context.cluster["server"].rstrip("/"))
    settings.proxy = None if socks else proxy or None
    try:
        with _certificates(context.cluster, user) as files:
            settings.ssl_ca_cert, settings.cert_file, settings.key_file = files
            settings.verify_ssl = not context.cluster.get("insecure-skip-tls-verify")
            settings.tls_server_name = context.cluster.get("tls-server-name")
            return connected(settings, [*_impersonation(context), *_authorization(user)], socks=socks)
    except (OSError, ValueError) as exc:  # ssl.SSLError is an OSError
        raise unusable(context.source, f"{type(exc).__name__}: {exc}") from exc


def connected(settings: Any, headers: Sequence[tuple[str, str]] = (), *, socks: str = "") -> Client:
    """Make a client of the Kubernetes client's settings, with connections that end with it; it has sent nothing yet.

    Args:
        settings: The Kubernetes client's Configuration; files that it names are read here.
        headers: What every request says beside its own.
        socks: The URL of the SOCKS5 proxy on the way; empty for none.
    """
    client = rest.RESTClientObject(settings)
    connections = _connections(client.ssl_context, socks)
    # The proxy is decided by now; ~/.netrc is not for us.
    settings.client_session_kwargs = {"trust_env": False, "headers": headers, "connector": connections}
    return Client(settings.host, client, connections)


@contextmanager
def _certificates(cluster: Mapping[str, Any], user: Mapping[str, Any]) -> Iterator[list[str | None]]:
    """Provide the files of the API server's authority, the user's certificate and its key; None for one there is not.

    Python reads a certificate and its key from files alone. Where the kubeconfig holds them itself they are files for
    as long as that takes, in a folder that nobody else may enter.

    Raises:
        OSError: A file that is named does not exist.
        ValueError: What is to be base64 is not.
    """
    said = {**user, **cluster} if cluster["server"].startswith("https") else {}
    with tempfile.TemporaryDirectory(prefix="nksmesh-") as folder:
        yield [_file(said, name, Path(folder)) for name in _CERTIFICATES]


def _file(said: Mapping[str, Any], name: str, folder: Path) -> str | None:
    data, path = said.get(f"{name}-data"), said.get(name)
    if data:
        file = folder / name
        file.write_bytes(base64.b64decode(data))
        return str(file)
    if path and not Path(path).is_file():
        raise FileNotFoundError(f"{name}: {path} is not a file")
    return path


def _authorization(user: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the header of a token, of a token's file or of a password: the first there is, as in kubectl."""
    token = user.get("token") or (Path(user["tokenFile"]).read_text(encoding="utf-8") if "tokenFile" in user else "")
    if token:
        yield "Authorization", f"Bearer {token.strip()}"
    elif "username" in user and "password" in user:
        pair = f"{user['username']}:{user['password']}"
        yield "Authorization", f"Basic {base64.b64encode(pair.encode()).decode()}"


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


def _connections(tls: ssl.SSLContext, socks: str) -> Connections:
    if socks:
        from nksmesh.adapters.cluster.socks import SocksConnections  # noqa: PLC0415 - python-socks takes 30 ms, and few have such a proxy

        return SocksConnections(tls, socks)
    return Connections(tls)


def _proxy(context: Context) -> str:
    """Return the proxy on the way to the API server, the kubeconfig's own before the environment's; empty for none.

    Raises:
        ClusterError: It is none that kubectl and Helm take. Its URL is not said: it may hold a password.
    """
    server = context.cluster["server"]
    own = str(context.cluster.get("proxy-url") or "")
    proxy = own or proxies.proxy_for(server)
    if not proxy:
        return ""
    schemes = (*_HTTP, _SOCKS[0]) if own else (*_HTTP, *_SOCKS)
    problem = _problem(proxy, schemes)
    if not problem:
        return proxy
    name = "proxy-url" if own else f"{urlsplit(server).scheme.upper()}_PROXY"
    raise ClusterError(
        f"the proxy for {server} cannot be used: {name} {f'in {context.source} ' if own else ''}{problem}",
        hint=f"Write {name} as SCHEME://HOST:PORT with {', '.join(schemes[:-1])} or {schemes[-1]}"
        + (
            f", or remove it from {context.source}. NO_PROXY does not apply to it: kubectl and Helm ignore it, too."
            if own
            else ", or list the API server in NO_PROXY."
        ),
    )


def _problem(proxy: str, schemes: Sequence[str]) -> str:
    """Say what is wrong with a proxy's URL; empty for nothing."""
    try:
        url = urlsplit(proxy)
        host, _ = url.hostname, url.port
    except ValueError:
        return "is not a URL"
    if url.scheme not in schemes:
        return f"has the scheme {url.scheme}" if "://" in proxy else "has no scheme"
    return "" if host else "has no host"

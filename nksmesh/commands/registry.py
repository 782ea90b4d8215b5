"""``nksmesh registry``: this machine's logins to image registries."""

from __future__ import annotations

from dataclasses import dataclass

from nksmesh.domain.common.errors import DeniedImageError
from nksmesh.domain.images.login import Login
from nksmesh.domain.mesh.ncr import region_code
from nksmesh.engine.ports import LoginProof, StoredLogins


@dataclass(frozen=True, kw_only=True)
class LoggedIn:
    """What ``registry login`` comes to.

    Attributes:
        stored_in: Where the login is kept.
        proved: The registry asked for the login, and took it.
        ncr: It is a registry of NHN Cloud.
    """

    host: str
    username: str
    stored_in: str
    proved: bool
    ncr: bool

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader should know."""
        return () if self.proved else (f"{self.host} asks for no login: nobody knows whether the password is right",)


@dataclass(frozen=True, kw_only=True)
class LoggedOut:
    """What ``registry logout`` comes to.

    Attributes:
        removed_from: Where the login was kept; empty where there was none.
    """

    host: str
    removed_from: tuple[str, ...]


async def log_in(host: str, login: Login, registries: LoginProof, logins: StoredLogins) -> LoggedIn:
    """Try a login, and keep it.

    Raises:
        ConfigError: The login cannot be kept.
        DeniedImageError: The registry refuses it; nothing was stored.
        ImageError: The registry cannot be reached.
    """
    try:
        proved = await registries.prove(host, login)
    except DeniedImageError as error:
        raise DeniedImageError(
            f"{host} refuses this user name and password; nothing was stored",
            hint="Type them again. On NCR they are the User Access Key ID and the Secret Access Key.",
            detail=error.detail,
        ) from error
    stored_in = await logins.store(host, login)
    return LoggedIn(host=host, username=login.username, stored_in=stored_in, proved=proved, ncr=bool(region_code(host)))


async def log_out(host: str, logins: StoredLogins) -> LoggedOut:
    """Take a login out of where it is kept.

    Raises:
        ConfigError: It cannot be taken out.
    """
    return LoggedOut(host=host, removed_from=await logins.remove(host))

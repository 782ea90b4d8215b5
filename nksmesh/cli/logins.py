"""A login that its user types in: the password is not shown, and is in no command line."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from nksmesh.domain.common.errors import ConfigError

if TYPE_CHECKING:
    from nksmesh.domain.images.login import Login


def ask_login(purpose: str, *, username: str = "", otherwise: str = "") -> Login:
    """Ask for an account and its password.

    Args:
        purpose: What the login is for, as the beginning of the question.
        username: The account, where it is known.
        otherwise: What to do without a terminal; empty for the environment's login, or a stored one.

    Raises:
        ConfigError: There is no terminal to ask on, or nothing was typed in.
    """
    from getpass import getpass

    from nksmesh.domain.images.login import Login
    from nksmesh.report.streams import write_err

    if not sys.stdin.isatty():
        raise ConfigError(
            f"cannot ask for a login without a terminal: {purpose}",
            hint=otherwise or "Set NKSMESH_REGISTRY_USERNAME and NKSMESH_REGISTRY_PASSWORD, or pass --from-login.",
        )
    write_err(f"{purpose}\n")
    if not username:
        write_err("User name (NCR: User Access Key ID): ")
        username = sys.stdin.readline().strip()
    password = getpass("Password (NCR: Secret Access Key): ", stream=sys.stderr) if username else ""
    if not password:
        raise ConfigError("no login was typed in", hint="Run the same command again.")
    return Login(source="the terminal", username=username, password=password)


def read_login(username: str) -> Login:
    """Read a password from stdin, to its end, as ``docker login --password-stdin`` does.

    Raises:
        ConfigError: There is no user name, or nothing on stdin, or a terminal.
    """
    from nksmesh.domain.images.login import Login

    if not username:
        raise ConfigError("--password-stdin needs a user name", hint="Pass --username, too.")
    if sys.stdin.isatty():
        raise ConfigError("--password-stdin reads no terminal", hint="Leave it out: the password is asked for.")
    password = sys.stdin.read().rstrip("\r\n")
    if not password:
        raise ConfigError("there is no password on stdin", hint="Write it there, with a pipe or a file.")
    return Login(source="stdin", username=username, password=password)

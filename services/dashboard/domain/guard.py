"""Who may speak to the page: hosts, origins, and sizes.

A page on the open web can make a browser send requests here, under a name of its own that resolves to this machine (DNS
rebinding), or straight to the address (cross-site requests). The first shows in `Host`, the second in `Origin`.
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

LARGEST_BODY_BYTES = 16_384
_SAFE_METHODS = ("GET", "HEAD")

HEADERS: Mapping[str, str] = {
    "content-security-policy": (
        "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
        " font-src 'self' data:; connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}
"""Sent with every answer. The component library compiles its templates in the browser, which is why scripts may be inline
and evaluated; nothing may be loaded from, or sent to, anywhere else. With `no-referrer` a browser would send a form of the page's own
with `Origin: null`, which is refused: nobody could sign in."""


@dataclass(frozen=True)
class Refusal:
    """An answer that says no."""

    status: int
    reason: str


@dataclass(frozen=True)
class Guard:
    """Checks what every request, and every opened socket, says of itself.

    Attributes:
        bound_to: the address that the page listens on.
        names: host names that people may use besides.
    """

    bound_to: str
    names: frozenset[str] = frozenset()

    @property
    def only_here(self) -> bool:
        """Nobody on another computer can reach the page."""
        return is_loopback(self.bound_to)

    def refuses(self, method: str, headers: Mapping[str, str], *, socket: bool = False) -> Refusal | None:
        """Why a request is refused; None where it is not.

        Args:
            method: GET, POST, …
            headers: by their names in lower case.
            socket: a web socket is opened, which a browser allows to any page.
        """
        host = headers.get("host", "")
        if not self._knows(host):
            return Refusal(421, "this page is not known by that name; add it to dashboard.hosts")
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            return Refusal(403, "the request comes from another page")
        if origin is None and (socket or (method not in _SAFE_METHODS)):
            return Refusal(403, "the request does not say from which page it comes")
        if headers.get("sec-fetch-site") == "cross-site" and headers.get("sec-fetch-mode") != "navigate":
            return Refusal(403, "the request comes from another page")
        return Refusal(405, "that is not done here") if method not in (*_SAFE_METHODS, "POST") else _too_large(headers)

    def _knows(self, host: str) -> bool:
        name = _name_of(host)
        if name is None:
            return False
        if name == "localhost" or is_loopback(name):
            return True
        if name in self.names:
            return True
        # An address is typed by a person; a name can be anybody's.
        return not self.only_here and _is_address(name)


def is_loopback(host: str) -> bool:
    """Whether an address is this computer's own, reached by nobody else."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _name_of(host: str) -> str | None:
    if not host or any(character in host for character in "/@\\ \t?#,"):
        return None
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port
    except ValueError:
        return None
    return parts.hostname.rstrip(".").lower() if parts.hostname else None


def _too_large(headers: Mapping[str, str]) -> Refusal | None:
    length = headers.get("content-length", "0")
    if not length.isdigit():
        return Refusal(400, "the length is not a number")
    return Refusal(413, "the request is too large") if int(length) > LARGEST_BODY_BYTES else None

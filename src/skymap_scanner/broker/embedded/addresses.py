"""Where an embedded broker listens: ``tcp://HOST:PORT`` or ``unix:///PATH``."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from skymap_scanner.exceptions import UsageError

__all__ = ["Address"]

_WANTED = "tcp://HOST:PORT or unix:///PATH"
#: Longest path of a Unix socket on Linux, its final zero not counted [bytes].
_MAX_SOCKET_PATH = 107


@dataclass(frozen=True, slots=True)
class Address:
    """A place to listen at or connect to: either `path`, or `host` and `port`."""

    host: str = ""
    port: int = 0
    path: str = ""

    def __post_init__(self) -> None:
        if len(self.path.encode()) > _MAX_SOCKET_PATH:
            raise UsageError(
                "the path of a Unix socket is too long for the operating system",
                place=self.path,
                found=f"{len(self.path.encode())} bytes",
                wanted=f"at most {_MAX_SOCKET_PATH}, or TCP",
            )

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read an address; ``HOST:PORT`` alone means TCP.

        Raises
        ------
        UsageError
            When it is none.

        Examples
        --------
        >>> Address.parse("127.0.0.1:5000")
        Address(host='127.0.0.1', port=5000, path='')
        >>> str(Address.parse("unix:///run/scan.sock"))
        'unix:///run/scan.sock'
        """
        try:
            parts = urlsplit(text if "://" in text else f"tcp://{text}")
            host, port = parts.hostname, parts.port
        except ValueError:
            host = port = None
            parts = urlsplit("")
        if parts.scheme == "unix" and not parts.netloc and parts.path.startswith("/"):
            return cls(path=parts.path)
        if parts.scheme == "tcp" and host and port and parts.path in ("", "/") and not parts.query:
            return cls(host=host, port=port)
        raise UsageError(
            "not the address of an embedded broker",
            place="SKYSCAN_BROKER_ADDRESS",
            found=repr(_without_secrets(text)),
            wanted=_WANTED,
        )

    def __str__(self) -> str:
        if self.path:
            return f"unix://{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"tcp://{host}:{self.port}"


def _without_secrets(text: str) -> str:
    """Leave out user and password of an address that was meant for another broker.

    Examples
    --------
    >>> _without_secrets("amqp://user:secret@host:5672/v")
    'amqp://...@host:5672/v'
    """
    head, at, place = text.rpartition("@")
    scheme, separator, _ = head.rpartition("://")
    return f"{scheme}{separator}...@{place}" if at else text

"""The secret that server and clients of the embedded broker share, and how each proves to have it.

The token never crosses the line: both sides send a random number and answer with the HMAC-SHA256
(RFC 2104) of both numbers under the token. So neither somebody who listens on the line nor a
program that took over the port of a dead server learns it.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
import stat
from typing import TYPE_CHECKING

from skymap_scanner.exceptions import BrokerAuthError
from skymap_scanner.files import write_bytes_atomically

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["NONCE_BYTES", "PROOF_BYTES", "is_proof", "make_proof", "read_token", "write_token"]

logger = logging.getLogger(__name__)

NONCE_BYTES = 32
PROOF_BYTES = hashlib.sha256().digest_size


def write_token(path: Path) -> str:
    """Write a new random token into a file that only its owner can read, and return it.

    The file is created with mode 0600 under a temporary name and renamed, so at no moment can
    anybody else read the token, whatever the umask and whatever lay there before.

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    token = secrets.token_hex(32)
    write_bytes_atomically(path, f"{token}\n".encode("ascii"), mode=0o600)
    return token


def read_token(path: Path) -> str:
    """Return the token in a file.

    Raises
    ------
    BrokerAuthError
        When the file cannot be read or is empty.
    """
    try:
        token = path.read_text(encoding="utf-8").strip()
        mode = path.stat().st_mode
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise BrokerAuthError(
            f"{path}: cannot read the broker's token: {reason}", path=str(path)
        ) from error
    if not token:
        raise BrokerAuthError(f"{path}: no token in the file", path=str(path))
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        # Not refused: bind mounts and network file systems invent such modes.
        logger.warning("%s: others may read this file, it should have mode 0600", path)
    return token


def make_proof(token: str, role: str, nonce: bytes, other_nonce: bytes) -> bytes:
    """Return the answer that shows that `role` ("client" or "server") knows the token."""
    return hmac.digest(token.encode(), role.encode("ascii") + nonce + other_nonce, "sha256")


def is_proof(proof: bytes, token: str, role: str, nonce: bytes, other_nonce: bytes) -> bool:
    """Tell in constant time whether `proof` is the right answer of `role`."""
    return hmac.compare_digest(proof, make_proof(token, role, nonce, other_nonce))

"""JSON schemas of everything that programs read from us: command output, result files, manifest."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Any, Final

__all__ = ["SCHEMA_NAMES", "explain_mismatch", "load_schema"]

#: Name -> what it describes.
SCHEMA_NAMES: Final[dict[str, str]] = {
    "calibrate": "skymap-scanner calibrate --json",
    "calibrated-levels": "skymap-scanner calibrate --write-levels",
    "compare": "skymap-scanner compare --json",
    "env": "skymap-scanner env --json",
    "info": "skymap-scanner info --json",
    "light-make": "skymap-scanner light make --json",
    "manifest": "run*.evt*_scan-manifest.json",
    "recos": "skymap-scanner recos --json",
    "result": "run*.evt*_8_64_512.json",
    "scan": "skymap-scanner scan --json",
    "simulate": "skymap-scanner simulate --json",
}


@cache
def load_schema(name: str) -> dict[str, Any]:
    """Return a schema (JSON Schema, draft 2020-12).

    Parameters
    ----------
    name : str
        One of `SCHEMA_NAMES`.

    Raises
    ------
    KeyError
        When there is no such schema.
    """
    if name not in SCHEMA_NAMES:
        raise KeyError(name)
    text = (resources.files(__package__) / f"{name}.schema.json").read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


def explain_mismatch(name: str, document: object) -> str | None:
    """Say where a document breaks a schema first.

    Parameters
    ----------
    name : str
        One of `SCHEMA_NAMES`.
    document : object
        Parsed JSON.

    Returns
    -------
    str or None
        Place and reason in at most 160 characters; None when the document is right.

    Examples
    --------
    >>> explain_mismatch("manifest", [])
    "$: [] is not of type 'object'"
    """
    import jsonschema

    validator = jsonschema.Draft202012Validator(load_schema(name))
    error = jsonschema.exceptions.best_match(validator.iter_errors(document))
    return None if error is None else f"{error.json_path}: {error.message}"[:160]

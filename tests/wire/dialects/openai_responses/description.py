"""The Open Responses description as a judge of what we write: every required field is there and has its type.

It lies beside the recorded traffic (FREEHOLD_SPECS or ../shared/specs); a test that needs it skips where it is absent.
"""

from __future__ import annotations

import gzip
import json
import os
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from tests.traffic import ROOT


@lru_cache(maxsize=1)
def _components() -> dict[str, Any] | None:
    named = os.environ.get("FREEHOLD_SPECS")
    path = (Path(named) if named else ROOT.parent / "shared" / "specs") / "open-responses-openapi.json.gz"
    if not path.is_file():
        return None
    components: dict[str, Any] = json.loads(gzip.decompress(path.read_bytes()))["components"]
    # The published file allows nothing but null for a JSON schema that the response repeats.
    components["schemas"]["JsonSchemaResponseFormat"]["properties"]["schema"] = {"type": ["object", "null"]}
    return components


@lru_cache(maxsize=64)
def _validator(schema: str) -> Any:
    jsonschema_rs = pytest.importorskip("jsonschema_rs")
    return jsonschema_rs.Draft202012Validator({"$ref": f"#/components/schemas/{schema}", "components": _components()})


def violations(schema: str, value: Any) -> list[str]:
    """Where and how `value` breaks the schema."""
    if _components() is None:
        pytest.skip("the Open Responses description is not here: set FREEHOLD_SPECS to the folder that holds it")
    return [f"{'.'.join(map(str, e.instance_path))}: {e.message[:300]}" for e in _validator(schema).iter_errors(value)]


@lru_cache(maxsize=1)
def event_schemas() -> dict[str, str]:
    """Event type -> the name of its schema."""
    found: dict[str, str] = {}
    for name, schema in ((_components() or {}).get("schemas") or {}).items():
        if name.endswith("StreamingEvent"):
            found[schema["properties"]["type"]["enum"][0]] = name
    return found

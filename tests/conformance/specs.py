"""Whether a request body is one that the provider's published API description allows.

The descriptions lie beside the recorded traffic (FREEHOLD_SPECS or ../shared/specs); without them nothing is judged. Only
bodies that we wrote are judged by them: recorded ones use fields that the descriptions do not know.
"""

from __future__ import annotations

import gzip
import json
import os
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.traffic import ROOT

if TYPE_CHECKING:
    import jsonschema_rs

_SCHEMAS = {
    "chat/completions": ("openai-openapi.json.gz", "CreateChatCompletionRequest"),
    "messages": ("anthropic-openapi.yml.gz", "CreateMessageParams"),  # JSON in spite of its name
}


def violations(endpoint: str, body: dict[str, Any]) -> list[str]:
    """Where and how `body` breaks the endpoint's request schema; [] if nowhere, or if the description is not here."""
    validator = _validator(endpoint)
    if validator is None:
        return []
    return [f"{'.'.join(map(str, e.instance_path)) or 'body'}: {e.message[:200]}" for e in validator.iter_errors(body)]


@lru_cache(maxsize=4)
def _validator(endpoint: str) -> jsonschema_rs.Draft202012Validator | None:
    named = os.environ.get("FREEHOLD_SPECS")
    file, schema = _SCHEMAS[endpoint]
    path = (Path(named) if named else ROOT.parent / "shared" / "specs") / file
    if not path.is_file():
        return None
    import jsonschema_rs  # only where there is something to judge by

    document = json.loads(gzip.decompress(path.read_bytes()))
    return jsonschema_rs.Draft202012Validator({"$ref": f"#/components/schemas/{schema}", "components": document["components"]})

"""The header anthropic-beta for Claude on Bedrock, which takes it in the body and refuses the flags that it does not know.

Bedrock's own words for the flags are in its user guide, under the request body of Anthropic's Messages API.
"""

from __future__ import annotations

from msgspec import Raw, json, structs

from freehold.wire.chat import ChatRequest

BEDROCK = frozenset(("bedrock", "bedrock_invoke"))
HEADER = b"anthropic-beta"

_FIELD = "anthropic_beta"
# What stands before the flag's date. Others, such as a client's own name, would have Bedrock refuse the whole request.
_KNOWN = (
    "computer-use-",
    "token-efficient-tools-",
    "interleaved-thinking-",
    "output-128k-",
    "dev-full-thinking-",
    "context-1m-",
    "context-management-",
    "effort-",
    "tool-search-tool-",
    "tool-examples-",
)
_encode = json.Encoder().encode


def carried(request: ChatRequest, header: bytes) -> tuple[ChatRequest, tuple[str, ...]]:
    """The request with the header's flags that Bedrock knows, and "anthropic-beta" where there were others."""
    flags = [flag for piece in header.decode("ascii", "replace").split(",") if (flag := piece.strip())]
    known = [flag for flag in dict.fromkeys(flags) if flag.startswith(_KNOWN)]
    dropped = (HEADER.decode(),) if len(known) < len(set(flags)) else ()
    if not known or _FIELD in request.extras:
        return request, dropped
    return structs.replace(request, extras={**request.extras, _FIELD: Raw(_encode(known))}), dropped

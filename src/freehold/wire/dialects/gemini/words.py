"""Names that this dialect's codecs share, and typed reading of raw values.

Google's APIs read every field under two names, `maxOutputTokens` and `max_output_tokens`. Everything here works on the
first; `normal` notes in a `spelling` where the second was written, and `respell` puts it back for the same dialect.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from msgspec import Raw, json

from freehold.base.errors import InvalidRequest

NAME: Final = "gemini"

Fields = dict[str, Raw]

encode = json.Encoder().encode
decode_any = json.Decoder().decode
decode_fields = json.Decoder(Fields).decode
decode_list = json.Decoder(list[Raw]).decode
decode_str = json.Decoder(str).decode

_NAMES = (
    "systemInstruction", "generationConfig", "toolConfig", "safetySettings", "cachedContent", "serviceTier",
    "generateContentRequest", "inlineData", "fileData", "functionCall", "functionResponse", "executableCode",
    "codeExecutionResult", "toolCall", "toolResponse", "thoughtSignature", "mediaResolution", "partMetadata",
    "videoMetadata", "mimeType", "fileUri", "displayName", "willContinue", "partialArgs", "candidateCount", "stopSequences",
    "maxOutputTokens", "topP", "topK", "presencePenalty", "frequencyPenalty", "responseMimeType", "responseSchema",
    "responseJsonSchema", "responseModalities", "responseLogprobs", "speechConfig", "audioTimestamp", "thinkingConfig",
    "imageConfig", "responseFormat", "enableEnhancedCivicAnswers", "enableAffectiveDialog", "routingConfig",
    "modelSelectionConfig", "thinkingBudget", "thinkingLevel", "includeThoughts", "functionDeclarations",
    "parametersJsonSchema", "googleSearch", "googleSearchRetrieval", "codeExecution", "urlContext", "computerUse",
    "fileSearch", "googleMaps", "mcpServers", "enterpriseWebSearch", "functionCallingConfig", "allowedFunctionNames",
    "includeServerSideToolInvocations", "retrievalConfig", "streamFunctionCallArguments", "taskType",
    "outputDimensionality", "embedContentConfig", "autoTruncate", "documentOcr", "audioTrackExtraction", "anyOf",
    "maxItems", "minItems", "maxLength", "minLength", "maxProperties", "minProperties", "propertyOrdering",
    "additionalProperties", "prefixItems",
)  # fmt: skip
_CAMEL = {re.sub("[A-Z]", lambda found: "_" + found[0].lower(), name): name for name in _NAMES}


def normal(fields: Fields, spelling: dict[str, str], prefix: str = "") -> Fields:
    """The members under their camelCase names. A name written in both ways stays as it is."""
    found: Fields = {}
    for name, raw in fields.items():
        camel = _CAMEL.get(name) if "_" in name else None
        if camel is not None and camel not in fields:
            spelling[prefix + camel] = name
            name = camel
        found[name] = raw
    return found


def respell(members: dict[str, Any], spelling: dict[str, str], prefix: str = "") -> dict[str, Any]:
    """The members under the names that `normal` found them. Other notes in `spelling` are left alone."""
    if not spelling:
        return members
    return {_spelt(name, spelling.get(prefix + name, "")): value for name, value in members.items()}


def _spelt(name: str, snake: str) -> str:
    return snake if snake and _CAMEL.get(snake) == name else name


def camel_of(name: str) -> str:
    return _CAMEL.get(name, name)


def typed(decode: Callable[[Raw], Any], raw: Raw | None, path: str, wanted: str) -> Any:
    """A decoded value. Raises InvalidRequest with the path where it is missing or of another type."""
    if raw is None:
        raise InvalidRequest(f"{path}: is missing; it must be {wanted}.", param=path)
    try:
        return decode(raw)
    except (ValueError, RecursionError):
        raise InvalidRequest(f"{path}: must be {wanted}.", param=path) from None


def opened(raw: Raw | None, path: str) -> Fields:
    found: Fields = typed(decode_fields, raw, path, "an object")
    return found


def text_of(raw: Raw | None, path: str) -> str:
    found: str = typed(decode_str, raw, path, "a string in valid UTF-8")
    return found


def listed(raw: Raw, path: str) -> tuple[list[Raw], bool]:
    """A list's items; a single object counts as a list of one, as Google reads it (then True)."""
    if bytes(memoryview(raw)[:1]) == b"{":
        return [raw], True
    return typed(decode_list, raw, path, "a list"), False


def bare_model(name: str) -> str:
    """Clients write "models/x" for "x" too."""
    return name.removeprefix("models/")

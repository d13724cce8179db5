"""What a model on Bedrock accepts, read from its id: only what decides how a foreign request must be written.

Source: the Bedrock documentation, 2026-11. An id that says nothing (the ARN of an application's own profile, of a
custom or imported model) is held back from nothing that the client asked for; the provider judges.

    family    thinking                                         prompt caching    top_k
    claude    `thinking`, outputConfig.effort (by version)     yes               `top_k`
    nova      `reasoningConfig` from Nova 2 on                 yes, 5 minutes    `inferenceConfig.topK`
    gpt-oss   `reasoning_effort`                               no                no
    other     no                                               no                no
    unknown   no                                               yes               no
"""

from __future__ import annotations

from typing import Literal

Family = Literal["claude", "nova", "gpt-oss", "other", "unknown"]


def family(model: str) -> Family:
    name = model.lower()
    if "claude" in name:
        return "claude"
    if "amazon.nova" in name:
        return "nova"
    if "gpt-oss" in name:
        return "gpt-oss"
    return "unknown" if name.startswith("arn:") and "foundation-model/" not in name else "other"

"""The canonical chat: request, reply, events and usage. Every dialect reads into these and writes out of them.

Rules that hold for all of them:
- Order is meaning: messages, parts and tools keep the order in which they came (provider prompt caches depend on it).
- `extras` holds the source dialect's own fields that have no word here, as raw JSON. Only the same dialect writes them
  back; another one names them in its `dropped` list.
- `spelling` is how the source wrote what its dialect can write in two ways ("max_tokens", a bare string, null). It holds
  nothing that the canonical form lacks; the same dialect reads it, no other one does, and it is never named in `dropped`.
- Tool arguments stay the JSON text that the model or client wrote; nobody re-serialises them on the way.
- Raw values are JSON bytes: `msgspec.Raw`.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Raw, Struct, field

Extras = dict[str, Raw]
Role = Literal["system", "developer", "user", "assistant", "tool"]
FinishReason = Literal["stop", "length", "tool_use", "stop_sequence", "content_filter", "refusal", "pause", "error", "unknown"]


class CacheMark(Struct, omit_defaults=True):
    """The client asks that the prompt up to and including this part be cached. `ttl` as written: "", "5m", "1h"."""

    ttl: str = ""


class Media(Struct):
    """Where bytes are: inline, at a URL, or in the provider's file store. `text` is a plain-text document."""

    kind: Literal["base64", "url", "file_id", "text"]
    value: str
    media_type: str = ""  # "image/png"; "" where the source does not say


# --- parts -------------------------------------------------------------------


class Part(Struct, tag_field="part", kw_only=True):
    """`signature`: an opaque proof of the model's reasoning that must go back with this part (Thinking; Gemini: any part).

    `signed_by`: the dialect whose provider issued it (or `redacted`), "" where that is the source's own or not known. No
    other maker takes it: seal.py says how one travels through a client of another dialect.
    """

    cache: CacheMark | None = None
    signature: str = ""
    signed_by: str = ""
    extras: Extras = field(default_factory=dict)
    spelling: dict[str, str] = field(default_factory=dict)


class Text(Part, tag="text", kw_only=True):
    text: str
    citations: list[Raw] = field(default_factory=list)  # in the source dialect's form


class Image(Part, tag="image", kw_only=True):
    media: Media
    detail: str = ""  # OpenAI's "low" | "high" | "auto"; "" unset


class File(Part, tag="file", kw_only=True):
    media: Media
    name: str = ""


class Audio(Part, tag="audio", kw_only=True):
    media: Media  # base64; media_type "audio/wav", "audio/mp3"


class Thinking(Part, tag="thinking", kw_only=True):
    """A model's reasoning. `signature` and `redacted` must go back unchanged in the next turn or the provider refuses.

    `redacted` non-empty: the text is withheld and this opaque string stands for it.
    """

    text: str = ""
    redacted: str = ""
    id: str = ""


class ToolUse(Part, tag="tool_use", kw_only=True):
    id: str
    name: str
    arguments: str = ""  # JSON text of an object, as it came; "" means {}


class ToolResult(Part, tag="tool_result", kw_only=True):
    call_id: str
    parts: list[AnyPart] = field(default_factory=list)
    is_error: bool = False
    plain: bool = False  # the content was a bare string, not a list of parts


class Refusal(Part, tag="refusal", kw_only=True):
    text: str


class Opaque(Part, tag="opaque", kw_only=True):
    """Content that only its own dialect can carry (server-side tools, search results...). Others refuse or skip it."""

    dialect: str
    kind: str  # the dialect's own type name, for messages
    raw: Raw


AnyPart = Text | Image | File | Audio | Thinking | ToolUse | ToolResult | Refusal | Opaque


# --- request -----------------------------------------------------------------


class Message(Struct, kw_only=True):
    role: Role
    parts: list[AnyPart]
    plain: bool = False  # the content was a bare string, not a list of parts
    name: str = ""
    extras: Extras = field(default_factory=dict)
    spelling: dict[str, str] = field(default_factory=dict)


class Tool(Struct, kw_only=True):
    """A function tool, or (when `raw` is set) a dialect's own built-in tool, which other dialects refuse."""

    name: str
    description: str | None = None
    parameters: Raw | None = None  # a JSON Schema
    strict: bool | None = None
    cache: CacheMark | None = None
    raw: Raw | None = None
    extras: Extras = field(default_factory=dict)
    spelling: dict[str, str] = field(default_factory=dict)


class ToolChoice(Struct, kw_only=True):
    mode: Literal["auto", "none", "required", "tool"]
    name: str = ""  # with mode "tool"
    extras: Extras = field(default_factory=dict)


class OutputFormat(Struct, kw_only=True):
    """`text`, any JSON object, or JSON that fits `schema`."""

    kind: Literal["text", "json", "schema"]
    schema: Raw | None = None
    name: str = ""
    strict: bool | None = None
    description: str | None = None
    extras: Extras = field(default_factory=dict)
    spelling: dict[str, str] = field(default_factory=dict)


class Reasoning(Struct, kw_only=True):
    """How much the model may think. Several may be set; a dialect uses what it has a word for."""

    enabled: bool | None = None
    effort: str = ""  # "none" | "minimal" | "low" | "medium" | "high" | "xhigh" | "max"
    budget_tokens: int | None = None
    adaptive: bool = False
    extras: Extras = field(default_factory=dict)


class ChatRequest(Struct, kw_only=True):
    """One turn asked of a model. System prompts are messages of role system or developer, in their place."""

    dialect: str  # which dialect `extras` and Opaque parts belong to
    model: str
    messages: list[Message]
    tools: list[Tool] = field(default_factory=list)
    tool_choice: ToolChoice | None = None
    parallel_tools: bool | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    stop: list[str] = field(default_factory=list)
    seed: int | None = None
    n: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    logit_bias: Raw | None = None
    output: OutputFormat | None = None
    reasoning: Reasoning | None = None
    user: str | None = None
    metadata: Raw | None = None
    service_tier: str | None = None
    stream: bool | None = None
    include_usage: bool | None = None  # OpenAI's stream_options.include_usage
    extras: Extras = field(default_factory=dict)
    spelling: dict[str, str] = field(default_factory=dict)


# --- usage -------------------------------------------------------------------


class Usage(Struct, omit_defaults=True):
    """Tokens of one call. `input` counts ALL prompt tokens, cached ones included; `output` ALL produced, thinking included.

    The others are parts of those two, so that a price is: (input - cache_read - cache_write) * input rate + each part
    at its own rate. `cache_write_1h` is a part of `cache_write`. `estimated`: we counted, the provider did not say.
    `service_tier` is the tier that the provider says served the call ("flex", "priority"...): it decides the price.
    `extras`: the provider's own usage fields without a word here, written back only to the same dialect.
    """

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0
    reasoning: int = 0
    audio_in: int = 0
    audio_out: int = 0
    web_searches: int = 0  # server-side searches, billed by the call
    rerank_searches: int = 0  # Cohere's search units: one query over at most 100 documents, billed by the unit
    service_tier: str = ""
    estimated: bool = False
    extras: Extras = field(default_factory=dict)
    seconds: float = 0.0  # of audio, where the provider bills by time
    characters: int = 0  # of text to be spoken, where the provider bills by length
    audio_cached: int = 0  # a part of both `cache_read` and `audio_in`
    image_in: int = 0
    image_out: int = 0
    image_cached: int = 0  # a part of both `cache_read` and `image_in`
    images: int = 0  # asked for, where the provider bills by the picture
    image_form: str = ""  # their quality and size ("hd 1024x1792", "512x512"), as far as the request says


# --- events (a reply in time) and replies (a reply as a whole) --------------------


class Start(Struct, tag="start", kw_only=True):
    """Once, first. `created_s` is 0 where the dialect does not say."""

    id: str = ""
    model: str = ""
    created_s: int = 0
    usage: Usage | None = None  # Anthropic tells the input usage here
    dialect: str = ""  # whose `extras` (here, in Finish and in Delta) these are; another dialect's writer leaves them out
    extras: Extras = field(default_factory=dict)


class PartStart(Struct, tag="part_start", kw_only=True):
    """A part begins. `part` numbers parts within the choice from 0; `body` holds what is known at the start (a ToolUse's
    id and name; text usually empty). Opaque parts are whole here."""

    choice: int = 0
    part: int
    body: AnyPart


class Delta(Struct, tag="delta", kw_only=True):
    """More of a started part: text, thinking text, refusal text or tool-argument JSON text, by the part's kind."""

    choice: int = 0
    part: int
    text: str = ""
    signature: str = ""  # replaces what was there
    citation: Raw | None = None  # Text only
    logprobs: Raw | None = None  # OpenAI's {"content": [...], "refusal": [...]}
    extras: Extras = field(default_factory=dict)


class PartEnd(Struct, tag="part_end", kw_only=True):
    choice: int = 0
    part: int


class Finish(Struct, tag="finish", kw_only=True):
    """A choice ended. `raw_reason` is the source's own word for it."""

    choice: int = 0
    reason: FinishReason
    raw_reason: str = ""
    stop_sequence: str | None = None
    extras: Extras = field(default_factory=dict)


class UsageReport(Struct, tag="usage", kw_only=True):
    """The usage so far; the last one counts."""

    usage: Usage


class Failure(Struct, tag="failure", kw_only=True):
    """The upstream reported an error inside a reply, or its bytes made no sense. `status` as HTTP would say it."""

    status: int = 502
    kind: str = "upstream_error"
    message: str = ""
    code: str | None = None
    error_type: str | None = None


class End(Struct, tag="end", kw_only=True):
    """The reply's own end was seen ([DONE], message_stop, the last brace): it is whole."""


Event = Start | PartStart | Delta | PartEnd | Finish | UsageReport | Failure | End


class Choice(Struct, kw_only=True):
    index: int = 0
    parts: list[AnyPart] = field(default_factory=list)
    finish: FinishReason = "unknown"
    raw_reason: str = ""
    stop_sequence: str | None = None
    logprobs: Raw | None = None
    extras: Extras = field(default_factory=dict)


class ChatReply(Struct, kw_only=True):
    dialect: str
    id: str = ""
    model: str = ""
    created_s: int = 0
    choices: list[Choice] = field(default_factory=list)
    usage: Usage | None = None
    extras: Extras = field(default_factory=dict)

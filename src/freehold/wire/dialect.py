"""What a dialect is: the contract that each folder under dialects/ fulfils (registry.py finds it by name).

A dialect is sans-IO and stateless; the readers, writers and taps it makes hold the state of one reply.
PASS uses `peek`, `patch` and `tap`; TRANSLATE uses `decode_request`, `encode_request`, `reader` and `writer` for chat,
and the codecs `embeddings` and `rerank` for those kinds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol

from msgspec import Raw, Struct, field

from freehold.base.errors import GatewayError, UpstreamRefused
from freehold.wire.chat import ChatRequest, Event, Failure, Usage
from freehold.wire.embed import EmbeddingsCodec
from freehold.wire.multipart import Form, Upload
from freehold.wire.rank import RerankCodec

Kind = Literal[
    "chat",
    "embeddings",
    "count_tokens",
    "rerank",
    "images",  # from here on: only ever passed, never translated
    "speech",
    "transcriptions",
    "moderations",
    "realtime",
    "files",  # from here on: the call names a provider, not a model
    "batches",
    "passthrough",
]
BOUND: frozenset[Kind] = frozenset(("files", "batches", "passthrough"))  # to a provider


class ClientPath(Struct, frozen=True):
    """A path that clients of a dialect call. `{model}` in it matches one or more characters, "/" too; `{id}` one plain segment.

    `stream` says what the path itself says: True or False, None where the body does.
    """

    path: str
    kind: Kind
    stream: bool | None = None
    method: str = "POST"


class Asked(Struct, frozen=True):
    """What a request's URL says, for the dialects that put the model or the form of the reply there."""

    model: str = ""  # percent-decoded
    stream: bool | None = None
    query: dict[str, str] = field(default_factory=dict)  # percent-decoded, the last of a repeated name
    path: str = ""  # the ClientPath's template
    # Only for kinds that pass what they don't open:
    method: str = "POST"
    id: str = ""  # what stands for {id}: letters, digits and "._~-" only
    raw_query: str = ""
    content_type: bytes = b""  # of the request
    form: Form | None = None  # a multipart body as far as it was read, where it is still arriving


NOTHING_ASKED = Asked()


class Quirks(Struct, frozen=True, omit_defaults=True):
    """Where a provider departs from its dialect. One value per provider row; encoders and `patch` obey it."""

    rename: dict[str, str] = field(default_factory=dict)  # top-level request field -> its name there
    drop: tuple[str, ...] = ()  # top-level request fields the provider refuses; named in `dropped`
    stream_usage: Literal["ask", "always", "never"] = "ask"  # "ask": needs stream_options.include_usage
    system_role: Literal["system", "developer"] = "system"  # which role name its system prompts take
    reasoning: Literal["effort", "reasoning_object", "thinking_object", "none"] = "effort"
    cache_marks: bool = False  # takes Anthropic's `cache_control` marks on parts and tools (chat dialects)
    unsupported: tuple[Literal["image", "file", "audio", "tools", "schema", "n"], ...] = ()  # content it can't take: refused


class Peek(Struct):
    """A request's body opened at the top level only. `fields` are raw JSON values in the order they came."""

    kind: Kind
    fields: dict[str, Raw]
    model: str
    stream: bool
    max_output: int | None
    wants_usage: bool  # a streaming client asked for the usage event itself
    stream_type: bytes = b""  # content type of the stream that the client asked for, where it is not the dialect's usual one
    form: str = (
        ""  # the dialect's own word for another form of the same reply (Gemini's JSON array); never passed, always written
    )
    path: str = (
        ""  # the ClientPath's template it came by, where a dialect has several for one kind; an opaque one: the upstream's
    )
    upload: Upload | None = None  # a body that is not opened, or only to find the model's name
    opaque: bool = False  # the reply passes whatever its form: audio, files, JSON


class Relay(Protocol):
    """Carries one upstream reply to the client: unchanged (a tap) or translated. Feed it bytes, forward what it returns.

    An error that the upstream puts into a stream is not forwarded, nor anything after it: the caller writes its own.

    Attributes are valid after each `feed`:
      usage    what the provider reported so far, or None
      done     the reply's own end has been seen: it is whole
      failure  an error the upstream put in the reply (or unreadable bytes)
      model    the model name that the provider says answered ("" until known)
      finish   the first choice's finish reason in the upstream's own word ("" until known)
    """

    usage: Usage | None
    done: bool
    failure: Failure | None
    model: str
    finish: str

    def feed(self, chunk: bytes) -> bytes: ...

    def close(self) -> bytes:
        """The upstream's bytes are over. Returns the last bytes to forward. Leaves `done` False if the reply was cut."""
        ...

    def produced(self) -> int:
        """Output tokens counted from what was seen, for when the provider's usage never came. `count` was given at birth."""
        ...


class Reader(Protocol):
    """Upstream bytes -> canonical events. Unreadable bytes yield a Failure, never an exception."""

    def feed(self, chunk: bytes) -> list[Event]: ...

    def close(self) -> list[Event]: ...


class Writer(Protocol):
    """Canonical events -> the client's bytes. For a whole reply `write` returns b"" and `close` returns it all."""

    def write(self, events: list[Event]) -> bytes: ...

    def close(self) -> bytes: ...


class WriterOptions(Struct, frozen=True):
    """What a writer must know about the request it answers."""

    stream: bool
    model: str  # the name the client asked for; used where the upstream names none
    call_id: str  # ours; used to make a reply id where the upstream has none
    created_s: int
    include_usage: bool = False  # OpenAI streams: the client asked for the usage chunk
    peek: Peek | None = None  # the client's request, for dialects whose replies repeat parts of it


CountTokens = Callable[[str], int]


class Dialect(Protocol):
    name: str
    client_paths: tuple[ClientPath, ...]
    stream_content_type: bytes  # of the streams it writes
    stream_types: tuple[bytes, ...]  # how a content type begins that means "this reply is a stream of this dialect"
    count_reply: bytes  # the body of a count_tokens reply, with %d for the tokens; b"" where the dialect has none
    embeddings: EmbeddingsCodec | None
    rerank: RerankCodec | None

    def path(self, kind: Kind, peek: Peek, model: str) -> str | None:
        """The upstream path below the provider's base URL ("/chat/completions"), or None where it has no such endpoint."""
        ...

    def peek(self, body: bytes, kind: Kind, asked: Asked = NOTHING_ASKED) -> Peek:
        """Open a client's body. Raises InvalidRequest: not JSON, not an object, wrong types, no model, no messages."""
        ...

    def patch(self, peek: Peek, model: str, quirks: Quirks) -> tuple[bytes, tuple[str, ...]]:
        """PASS: the body for the target, every untouched value byte-identical, and the names of the fields dropped."""
        ...

    def decode_request(self, peek: Peek) -> ChatRequest:
        """Raises InvalidRequest with `param` set to the path of the offending field ("messages[1].content[0].type")."""
        ...

    def encode_request(self, request: ChatRequest, model: str, quirks: Quirks) -> tuple[bytes, tuple[str, ...]]:
        """The body for an upstream of this dialect, and the names of what it cannot express (tuning knobs only).

        Raises Unsupported where content or a requirement (not a knob) cannot be expressed.
        """
        ...

    def tap(self, peek: Peek, quirks: Quirks, stream: bool, count: CountTokens) -> Relay:
        """PASS: forward the bytes as they are, except the usage event that we asked for and the client did not."""
        ...

    def reader(self, stream: bool) -> Reader: ...

    def writer(self, options: WriterOptions) -> Writer: ...

    def encode_error(self, error: GatewayError, call_id: str) -> bytes:
        """The body of an error reply as this dialect's own API writes it."""
        ...

    def encode_stream_error(self, error: GatewayError | Failure, call_id: str) -> bytes:
        """A well-formed error event, for a stream that breaks after its headers left."""
        ...

    def decode_error(self, status: int, body: bytes, provider: str) -> UpstreamRefused:
        """An upstream's error reply in canonical form: message cleaned and cut, identifiers kept, nothing else."""
        ...

    def input_text(self, peek: Peek) -> str:
        """All prompt text (messages, tools, system) joined, for counting tokens locally. Media are left out."""
        ...

"""One call on its way through: what was asked, what was decided, what came of it.

Only the phases write here. Nothing that a client sends sets a control field: its body lives in `peek`, its headers in `headers`.
"""

from __future__ import annotations

from msgspec import Struct, field

from freehold.base.errors import GatewayError
from freehold.base.ids import new_call_id
from freehold.pipeline.runtime import Principal, Route, Side, Target
from freehold.store.spool import AttemptLine
from freehold.wire.chat import ChatRequest, Usage
from freehold.wire.dialect import NOTHING_ASKED, Asked, Dialect, Kind, Peek, Relay
from freehold.wire.embed import EmbedRequest
from freehold.wire.rank import RerankRequest


class Exchange(Struct, eq=False):
    """Fields in the order in which the phases fill them."""

    dialect: Dialect  # the client's
    kind: Kind
    headers: dict[bytes, bytes]  # lower-case names
    body: bytes
    arrived_ns: int  # monotonic
    home: str = ""  # provider that a bare model name means under /openai and /anthropic
    asked: Asked = NOTHING_ASKED  # what the URL says
    upgrade: bytes = b""  # header lines that accept a WebSocket
    call_id: str = field(default_factory=new_call_id)
    # admit
    principal: Principal | None = None
    peek: Peek | None = None
    heard: tuple[Dialect, Peek] | None = None  # a passthrough that is a chat of this dialect: its usage can be learned
    route: Route | None = None
    # attempt
    chat: ChatRequest | None = None  # when translating; one of these three, by `kind`
    embed: EmbedRequest | None = None
    rerank: RerankRequest | None = None
    target: Target | None = None  # the one tried last
    side: Side | None = None  # of its provider
    attempts: list[AttemptLine] = field(default_factory=list)  # those that failed, then the one that answered
    sent: bool = False  # a request left for some target that did not refuse it
    translated: bool = False
    dropped: tuple[str, ...] = ()
    relay: Relay | None = None
    reply_lines: bytes = b""  # header lines of the upstream's that go on to the client
    upstream_id: str = ""
    wait_ns: int = 0  # spent waiting for upstreams before the commit point
    # deliver
    commit_ns: int = 0  # monotonic; 0 before the headers left
    status: int = 0
    error: GatewayError | None = None
    # settle
    outcome: str = ""
    usage: Usage | None = None
    cost_nusd: int | None = None
    recorded: bool = False

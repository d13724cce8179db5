"""One call on its way through: what was asked, what was decided, what came of it.

Only the phases write here. Nothing that a client sends sets a control field: its body lives in `peek`, its headers in `headers`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from freehold.base.errors import GatewayError
from freehold.base.ids import new_call_id
from freehold.pipeline.input import Input
from freehold.pipeline.runtime import Principal, Route, Side, Target
from freehold.policy.health import Health
from freehold.store.spool import AttemptLine
from freehold.wire.chat import ChatRequest, Usage
from freehold.wire.dialect import NOTHING_ASKED, Asked, Dialect, Kind, Peek, Relay
from freehold.wire.embed import EmbedRequest
from freehold.wire.rank import RerankRequest

if TYPE_CHECKING:
    from freehold.pipeline.intake import Rest


class Exchange:
    """Attributes in the order in which the phases fill them."""

    __slots__ = (
        "address",
        "arrived_ns",
        "asked",
        "attempts",
        "body",
        "busy",
        "call_id",
        "chat",
        "commit_ns",
        "cost_nusd",
        "dialect",
        "dropped",
        "embed",
        "error",
        "headers",
        "heard",
        "home",
        "incoming",
        "kind",
        "outcome",
        "peek",
        "principal",
        "recorded",
        "relay",
        "reply_lines",
        "rerank",
        "rest",
        "route",
        "sent",
        "side",
        "status",
        "target",
        "translated",
        "upgrade",
        "upstream_id",
        "usage",
        "wait_ns",
    )

    def __init__(
        self,
        dialect: Dialect,
        kind: Kind,
        headers: dict[bytes, bytes],
        body: bytes,
        arrived_ns: int,
        home: str = "",
        asked: Asked = NOTHING_ASKED,
    ) -> None:
        self.dialect = dialect  # the client's
        self.kind: Kind = kind
        self.headers = headers  # lower-case names
        self.body = body
        self.arrived_ns = arrived_ns  # monotonic
        self.home = home  # provider that a bare model name means under /openai and /anthropic
        self.asked = asked  # what the URL says
        self.address = ""  # the peer's
        self.upgrade = b""  # header lines that accept a WebSocket
        self.incoming: Input | None = None  # a body that is still arriving: `body` is then empty
        self.call_id = new_call_id()
        # intake
        self.rest: Rest | None = None  # of a body that is sent on as it comes: what follows the part in `peek.upload`
        # admit
        self.principal: Principal | None = None
        self.peek: Peek | None = None
        self.heard: tuple[Dialect, Peek] | None = None  # a passthrough that is a chat of this dialect: its usage can be learned
        self.route: Route | None = None
        # attempt
        self.chat: ChatRequest | None = None  # when translating; one of these three, by `kind`
        self.embed: EmbedRequest | None = None
        self.rerank: RerankRequest | None = None
        self.target: Target | None = None  # the one tried last
        self.side: Side | None = None  # of its provider
        self.attempts: list[AttemptLine] = []  # those that failed, then the one that answered
        self.sent = False  # a request left for some target that did not refuse it
        self.translated = False
        self.dropped: tuple[str, ...] = ()
        self.relay: Relay | None = None
        self.reply_lines = b""  # header lines of the upstream's that go on to the client
        self.upstream_id = ""
        self.busy: Health | None = None  # of the target that answers, while it does
        self.wait_ns = 0  # spent waiting for upstreams before the commit point
        # deliver
        self.commit_ns = 0  # monotonic; 0 before the headers left
        self.status = 0
        self.error: GatewayError | None = None
        # settle
        self.outcome = ""
        self.usage: Usage | None = None
        self.cost_nusd: int | None = None
        self.recorded = False

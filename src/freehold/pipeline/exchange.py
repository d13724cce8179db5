"""One call on its way through: what was asked, what was decided, what came of it.

Only the phases write here. Nothing that a client sends sets a control field: its body lives in `peek`, its headers in `headers`.
"""

from __future__ import annotations

from freehold.base.errors import GatewayError
from freehold.base.ids import new_call_id
from freehold.pipeline.runtime import Principal, Route, Target
from freehold.store.spool import AttemptLine
from freehold.wire.chat import ChatRequest, Usage
from freehold.wire.dialect import Dialect, Kind, Peek, Relay


class Exchange:
    """Attributes in the order in which the phases fill them."""

    __slots__ = (
        "arrived_ns",
        "attempts",
        "body",
        "call_id",
        "chat",
        "commit_ns",
        "cost_nusd",
        "dialect",
        "dropped",
        "error",
        "headers",
        "home",
        "kind",
        "outcome",
        "peek",
        "principal",
        "recorded",
        "relay",
        "route",
        "sent",
        "status",
        "target",
        "translated",
        "upstream_id",
        "usage",
        "wait_ns",
    )

    def __init__(
        self, dialect: Dialect, kind: Kind, headers: dict[bytes, bytes], body: bytes, arrived_ns: int, home: str = ""
    ) -> None:
        self.dialect = dialect  # the client's
        self.kind: Kind = kind
        self.headers = headers  # lower-case names
        self.body = body
        self.arrived_ns = arrived_ns  # monotonic
        self.home = home  # provider that a bare model name means under /openai and /anthropic
        self.call_id = new_call_id()
        # admit
        self.principal: Principal | None = None
        self.peek: Peek | None = None
        self.route: Route | None = None
        # attempt
        self.chat: ChatRequest | None = None  # when translating
        self.target: Target | None = None  # the one tried last
        self.attempts: list[AttemptLine] = []  # those that failed, then the one that answered
        self.sent = False  # a request left for some target that did not refuse it
        self.translated = False
        self.dropped: tuple[str, ...] = ()
        self.relay: Relay | None = None
        self.upstream_id = ""
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

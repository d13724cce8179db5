"""THE request function: the life of a call, top to bottom."""

from __future__ import annotations

from asyncio import CancelledError

from freehold.base.errors import GatewayError
from freehold.observe import log
from freehold.pipeline import admit, attempt, count, deliver, intake, realtime, settle
from freehold.pipeline.exchange import Exchange
from freehold.pipeline.output import Output
from freehold.pipeline.runtime import Runtime


async def serve(x: Exchange, rt: Runtime, out: Output) -> None:
    """Answer one call. Every exit passes settle.close().

    Raises CancelledError when the client goes away; nothing else.
    """
    try:
        admit.identify(x, rt)
        if x.incoming is not None:
            await intake.begin(x)
        admit.permit(x, rt)
        if count.answer(x, rt, out):
            return
        if x.kind == "realtime":
            await realtime.relay(x, rt, out)
            return
        answer = await attempt.first_event(x, rt, attempt.one_try)
        await deliver.stream(x, rt, answer, out)  # COMMIT POINT: headers leave; retry and fallback live only above
    except GatewayError as error:
        deliver.refuse(x, rt, error, out)
    except CancelledError:
        x.outcome = x.outcome or "client_gone"
        raise
    except Exception as error:
        log.failure("call_failed", error, call_id=x.call_id)
        deliver.refuse(x, rt, GatewayError(f"Something went wrong inside the gateway. Quote call id {x.call_id}."), out)
    finally:
        if x.rest is not None:
            x.rest.close()
        settle.close(x, rt)

"""A tool call's arguments as JSON. They are a model's text; most APIs want an object, and a model need not write one."""

from __future__ import annotations

from msgspec import Raw, json, structs

from freehold.wire.chat import ToolUse

_fields = json.Decoder(dict[str, Raw]).decode
_encode = json.Encoder().encode


def arguments_object(arguments: str) -> Raw | None:
    """The text untouched where it is an object, "" as {}; None where it is something else."""
    text = arguments.encode("utf-8", "surrogatepass")
    if not text.strip():
        return Raw(b"{}")
    try:
        _fields(text)
    except (ValueError, RecursionError):
        return None
    return Raw(text)


def complete(call: ToolUse, call_id: str) -> ToolUse:
    """A call with an id, `call_id` where it had none, and arguments that are an object.

    Others become {"INVALID_JSON": "<the text>"}, the form that Anthropic's documentation recommends for it.
    """
    arguments = call.arguments
    if arguments_object(arguments) is None:
        arguments = _encode({"INVALID_JSON": arguments}).decode()
    return structs.replace(call, id=call.id or call_id, arguments=arguments)

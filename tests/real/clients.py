"""The client dialects' official SDKs: a chat, a stream, an answer bound to a schema, embeddings, each as plain values.

Every SDK blocks and retries nothing. Where a dialect has no such thing (embeddings of Anthropic's) the method is missing.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

MESSAGES = [{"role": "user", "content": "Tell me about the weather in Oslo."}]
CONTENT = [{"role": "user", "content": [{"text": "Tell me about the weather in Oslo."}]}]
PROMPT = "The weather in Oslo is"
TEXTS = ["rain", "a sunny day"]
TOKENS = 16
ROOM = 100  # tokens for an answer bound to a schema; without a temperature this model may fill it with blanks
# Small, so that a grammar lets the model end soon; no sane model would say this by itself.
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"sky": {"type": "string", "enum": ["clear", "grey"]}, "wet": {"type": "boolean"}},
    "required": ["sky", "wet"],
    "additionalProperties": False,
}


@dataclass(frozen=True)
class Said:
    """`ended`: how the reply says that it is over, in the dialect's word. `events`: chunks of a stream, 1 of a whole reply."""

    text: str
    ended: str
    input: int
    output: int
    events: int = 1


class OpenAIChat:
    def __init__(self, url: str, key: str, model: str) -> None:
        import openai

        self._client, self._model = openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0), model

    def chat(self) -> Said:
        return self._whole()

    def schema(self) -> Said:
        shape = {"type": "json_schema", "json_schema": {"name": "weather", "schema": SCHEMA, "strict": True}}
        return self._whole(response_format=shape, max_tokens=ROOM, temperature=0)

    def _whole(self, **fields: Any) -> Said:
        create: Any = self._client.chat.completions.create
        reply = create(**{"model": self._model, "messages": MESSAGES, "max_tokens": TOKENS, **fields})
        choice, usage = reply.choices[0], reply.usage
        return Said(choice.message.content, choice.finish_reason, usage.prompt_tokens, usage.completion_tokens)

    def stream(self) -> Said:
        create: Any = self._client.chat.completions.create
        asked = {"model": self._model, "messages": MESSAGES, "max_tokens": TOKENS, "stream_options": {"include_usage": True}}
        chunks = list(create(stream=True, **asked))
        choices = [c.choices[0] for c in chunks if c.choices]
        text = "".join(c.delta.content or "" for c in choices)
        usage = chunks[-1].usage
        return Said(text, choices[-1].finish_reason, usage.prompt_tokens, usage.completion_tokens, len(chunks))

    def embed(self) -> list[list[float]]:
        return [item.embedding for item in self._client.embeddings.create(model=self._model, input=TEXTS).data]


class OpenAIResponses:
    def __init__(self, url: str, key: str, model: str) -> None:
        import openai

        self._client, self._model = openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0), model

    def chat(self) -> Said:
        return self._said(self._ask())

    def schema(self) -> Said:
        shape = {"type": "json_schema", "name": "weather", "schema": SCHEMA, "strict": True}
        return self._said(self._ask(text={"format": shape}, max_output_tokens=ROOM, temperature=0))

    def stream(self) -> Said:
        events = list(self._ask(stream=True))
        text = "".join(e.delta for e in events if e.type == "response.output_text.delta")
        said = self._said(events[-1].response, len(events))
        assert said.text == text and events[0].type == "response.created"
        numbers = [getattr(e, "sequence_number", None) for e in events]
        assert numbers == list(range(len(events))) or set(numbers) == {None}  # llama.cpp's own events have none
        return said

    def _ask(self, **fields: Any) -> Any:
        create: Any = self._client.responses.create
        return create(**{"model": self._model, "input": MESSAGES, "max_output_tokens": TOKENS, "store": False, **fields})

    @staticmethod
    def _said(reply: Any, events: int = 1) -> Said:
        ended = reply.incomplete_details.reason if reply.incomplete_details else reply.status
        return Said(reply.output_text, ended, reply.usage.input_tokens, reply.usage.output_tokens, events)


class OpenAICompletions:
    def __init__(self, url: str, key: str, model: str) -> None:
        import openai

        self._client, self._model = openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0), model

    def chat(self) -> Said:
        reply = self._client.completions.create(model=self._model, prompt=PROMPT, max_tokens=TOKENS)
        assert reply.usage is not None
        return Said(
            reply.choices[0].text, reply.choices[0].finish_reason, reply.usage.prompt_tokens, reply.usage.completion_tokens
        )

    def stream(self) -> Said:
        create: Any = self._client.completions.create
        asked = {"prompt": PROMPT, "max_tokens": TOKENS, "stream_options": {"include_usage": True}}
        chunks = list(create(model=self._model, stream=True, **asked))
        choices = [c.choices[0] for c in chunks if c.choices]
        usage = chunks[-1].usage
        text = "".join(c.text for c in choices)
        return Said(text, choices[-1].finish_reason, usage.prompt_tokens, usage.completion_tokens, len(chunks))


class Anthropic:
    def __init__(self, url: str, key: str, model: str) -> None:
        import anthropic

        self._client, self._model = anthropic.Anthropic(base_url=url, api_key=key, max_retries=0), model

    def chat(self) -> Said:
        return self._whole()

    def schema(self) -> Said:
        bound = {"format": {"type": "json_schema", "schema": SCHEMA}}
        return self._whole(max_tokens=ROOM, output_config=bound, extra_body={"temperature": 0})

    def _whole(self, **fields: Any) -> Said:
        create: Any = self._client.messages.create
        return self._said(create(**{"model": self._model, "messages": MESSAGES, "max_tokens": TOKENS, **fields}))

    def stream(self) -> Said:
        start: Any = self._client.messages.stream
        with start(model=self._model, messages=MESSAGES, max_tokens=TOKENS) as stream:
            events = list(stream)
            assert events[-1].type == "message_stop"
            return self._said(stream.get_final_message(), len(events))

    @staticmethod
    def _said(reply: Any, events: int = 1) -> Said:
        usage = reply.usage
        given = usage.input_tokens + (usage.cache_read_input_tokens or 0) + (usage.cache_creation_input_tokens or 0)
        text = "".join(block.text for block in reply.content if block.type == "text")
        return Said(text, reply.stop_reason, given, usage.output_tokens, events)


class Gemini:
    def __init__(self, url: str, key: str, model: str) -> None:
        from google import genai

        client = genai.Client(api_key=key, vertexai=False, http_options={"base_url": url, "api_version": "v1beta"})
        self._client, self._models, self._model = client, client.models, model  # a client that is let go closes itself

    def chat(self) -> Said:
        return self._said([self._models.generate_content(**self._ask())])

    def schema(self) -> Said:
        bound = {"response_mime_type": "application/json", "response_json_schema": SCHEMA}
        config = {**bound, "max_output_tokens": ROOM, "temperature": 0}
        return self._said([self._models.generate_content(**self._ask(**config))])

    def stream(self) -> Said:
        return self._said(list(self._models.generate_content_stream(**self._ask())))

    def embed(self) -> list[list[float]]:
        found: Any = self._models.embed_content(model=self._model, contents=list(TEXTS))
        return [item.values for item in found.embeddings]

    def _ask(self, **config: Any) -> Any:
        return {"model": self._model, "contents": MESSAGES[0]["content"], "config": {"max_output_tokens": TOKENS, **config}}

    @staticmethod
    def _said(replies: list[Any]) -> Said:
        text = "".join(reply.text or "" for reply in replies)
        usage = replies[-1].usage_metadata
        ended = replies[-1].candidates[0].finish_reason.value
        return Said(text, ended, usage.prompt_token_count, usage.candidates_token_count, len(replies))


class Bedrock:
    def __init__(self, url: str, key: str, model: str) -> None:
        """boto3 sends a key over TLS only: here the header is set for it, as tests/conformance/native_sdks.py does."""
        import boto3
        from botocore import UNSIGNED
        from botocore.config import Config

        config = Config(retries={"max_attempts": 0}, signature_version=UNSIGNED, read_timeout=300)
        self._client = boto3.client("bedrock-runtime", region_name="us-east-1", endpoint_url=url, config=config)
        self._model = model

        def set_key(request: Any, **_: Any) -> None:
            request.headers["Authorization"] = f"Bearer {key}"

        self._client.meta.events.register("before-send.bedrock-runtime.*", set_key)

    def chat(self) -> Said:
        return self._whole()

    def schema(self) -> Said:
        structure = {"jsonSchema": {"schema": json.dumps(SCHEMA), "name": "weather"}}
        shape = {"textFormat": {"type": "json_schema", "structure": structure}}
        return self._whole(outputConfig=shape, inferenceConfig={"maxTokens": ROOM, "temperature": 0})

    def _whole(self, **fields: Any) -> Said:
        asked = {"modelId": self._model, "messages": CONTENT, "inferenceConfig": {"maxTokens": TOKENS}, **fields}
        reply = self._client.converse(**asked)
        text = "".join(block["text"] for block in reply["output"]["message"]["content"])
        return self._said(text, reply["stopReason"], reply["usage"], 1)

    def stream(self) -> Said:
        asked = {"modelId": self._model, "messages": CONTENT, "inferenceConfig": {"maxTokens": TOKENS}}
        events = list(self._client.converse_stream(**asked)["stream"])
        deltas = [e["contentBlockDelta"]["delta"]["text"] for e in events if "contentBlockDelta" in e]
        ended = next(e["messageStop"]["stopReason"] for e in events if "messageStop" in e)
        return self._said("".join(deltas), ended, events[-1]["metadata"]["usage"], len(events))

    @staticmethod
    def _said(text: str, ended: str, usage: dict[str, Any], events: int) -> Said:
        return Said(text, ended, usage["inputTokens"] + usage.get("cacheReadInputTokens", 0), usage["outputTokens"], events)


class Cohere:
    def __init__(self, url: str, key: str, model: str) -> None:
        import cohere

        self._client: Any = cohere.ClientV2(api_key=key, base_url=url)
        self._model = model

    def chat(self) -> Said:
        return self._whole()

    def schema(self) -> Said:
        return self._whole(max_tokens=ROOM, temperature=0, response_format={"type": "json_object", "json_schema": SCHEMA})

    def _whole(self, **fields: Any) -> Said:
        reply = self._client.chat(**{"model": self._model, "messages": MESSAGES, "max_tokens": TOKENS, **fields})
        used = reply.usage.billed_units
        return Said(reply.message.content[0].text, reply.finish_reason, int(used.input_tokens), int(used.output_tokens))

    def stream(self) -> Said:
        events = list(self._client.chat_stream(model=self._model, messages=MESSAGES, max_tokens=TOKENS))
        text = "".join(e.delta.message.content.text for e in events if e.type == "content-delta")
        assert events[0].type == "message-start" and events[-1].type == "message-end"
        last = events[-1].delta
        used = last.usage.billed_units
        return Said(text, last.finish_reason, int(used.input_tokens), int(used.output_tokens), len(events))

    def embed(self) -> list[list[float]]:
        asked = {"texts": TEXTS, "input_type": "search_document", "embedding_types": ["float"]}
        found: list[list[float]] = self._client.embed(model=self._model, **asked).embeddings.float_
        return found


class Ollama:
    def __init__(self, url: str, key: str, model: str) -> None:
        import ollama

        self._client: Any = ollama.Client(host=url, headers={"Authorization": f"Bearer {key}"})
        self._model = model

    def chat(self) -> Said:
        return self._said([self._ask()])

    def schema(self) -> Said:
        return self._said([self._ask(format=SCHEMA, options={"num_predict": ROOM, "temperature": 0})])

    def stream(self) -> Said:
        return self._said(list(self._ask(stream=True)))

    def embed(self) -> list[list[float]]:
        return [list(vector) for vector in self._client.embed(model=self._model, input=TEXTS).embeddings]

    def _ask(self, **fields: Any) -> Any:
        return self._client.chat(**{"model": self._model, "messages": MESSAGES, "options": {"num_predict": TOKENS}, **fields})

    @staticmethod
    def _said(replies: list[Any]) -> Said:
        last = replies[-1]
        assert [r.done for r in replies] == [False] * (len(replies) - 1) + [True]
        text = "".join(r.message.content or "" for r in replies)
        return Said(text, last.done_reason, last.prompt_eval_count, last.eval_count, len(replies))


Client = Any
# The dialect -> how to make its client of a URL, a key and a model's name.
CLIENTS: dict[str, Callable[[str, str, str], Client]] = {
    "openai_chat": OpenAIChat,
    "openai_responses": OpenAIResponses,
    "openai_completions": OpenAICompletions,
    "anthropic": Anthropic,
    "gemini": Gemini,
    "bedrock": Bedrock,
    "cohere": Cohere,
    "ollama": Ollama,
}

// Fetches replies with the official JavaScript SDKs. Reads a JSON list of jobs from stdin, writes a JSON list of what was seen.
//
// A job is {sdk, base, key, model, stream}; `base` is http://HOST:PORT. What is seen is {items, error}: the parsed reply or
// a stream's chunks, and an error's class and status. What is asked is short: the server picks the reply by the model's name.

import Anthropic from "@anthropic-ai/sdk";
import { GoogleGenAI } from "@google/genai";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createGoogleGenerativeAI } from "@ai-sdk/google";
import { createOpenAI } from "@ai-sdk/openai";
import { generateText, streamText } from "ai";
import OpenAI from "openai";

const messages = [{ role: "user", content: "Hello" }];

async function openaiChat({ base, key, model, stream }) {
  const client = new OpenAI({ baseURL: `${base}/v1`, apiKey: key, maxRetries: 0 });
  const usage = stream ? { stream_options: { include_usage: true } } : {};
  return read(await client.chat.completions.create({ model, messages, stream, ...usage }), stream);
}

async function openaiResponses({ base, key, model, stream }) {
  const client = new OpenAI({ baseURL: `${base}/v1`, apiKey: key, maxRetries: 0 });
  return read(await client.responses.create({ model, input: "Hello", stream }), stream);
}

async function anthropic({ base, key, model, stream }) {
  const client = new Anthropic({ baseURL: base, apiKey: key, maxRetries: 0 });
  return read(await client.messages.create({ model, messages, max_tokens: 100, stream }), stream);
}

async function google({ base, key, model, stream }) {
  const { models } = new GoogleGenAI({ apiKey: key, vertexai: false, httpOptions: { baseUrl: base } });
  const ask = { model, contents: "Hello" };
  const found = await read(await (stream ? models.generateContentStream(ask) : models.generateContent(ask)), stream);
  return found.map(({ sdkHttpResponse, ...rest }) => rest);
}

const aiSdk = (make) => async (job) => {
  const ask = { model: make(job), prompt: "Hello", maxRetries: 0 };
  if (!job.stream) {
    const { text, reasoningText, toolCalls, finishReason, usage } = await generateText(ask);
    const calls = toolCalls.map(({ toolName, input }) => ({ toolName, input })); // Gemini's have no ids: the SDK makes some up
    return [{ text, reasoningText, calls, finishReason, usage }];
  }
  const found = [];
  let failure;
  for await (const part of streamText({ ...ask, onError() {} }).fullStream) {
    if (part.type === "error") failure ??= part.error;
    else if (part.type === "finish") found.push({ reason: part.finishReason, usage: part.totalUsage });
    else if (/-delta$|^tool-call$/.test(part.type)) found.push({ type: part.type, text: part.text ?? part.delta, tool: part.toolName, input: part.input });
  }
  if (failure !== undefined) throw failure;
  return found;
};

const SDKS = {
  "openai chat": openaiChat,
  "openai responses": openaiResponses,
  anthropic,
  google,
  "ai openai chat": aiSdk(({ base, key, model }) => createOpenAI({ baseURL: `${base}/v1`, apiKey: key }).chat(model)),
  "ai openai responses": aiSdk(({ base, key, model }) => createOpenAI({ baseURL: `${base}/v1`, apiKey: key }).responses(model)),
  "ai anthropic": aiSdk(({ base, key, model }) => createAnthropic({ baseURL: `${base}/v1`, apiKey: key })(model)),
  // A name with "/" is taken as the whole path by this SDK: it needs the "models/" that others put before it.
  "ai google": aiSdk(({ base, key, model }) => createGoogleGenerativeAI({ baseURL: `${base}/v1beta`, apiKey: key })(`models/${model}`)),
};

async function read(reply, stream) {
  if (!stream) return [reply];
  const found = [];
  for await (const chunk of reply) found.push(chunk);
  return found;
}

async function see(job) {
  try {
    return { items: await SDKS[job.sdk](job), error: "" };
  } catch (error) {
    return { items: [], error: `${error.name} ${error.status ?? error.statusCode ?? error.message}` };
  }
}

globalThis.AI_SDK_LOG_WARNINGS = false;
let text = "";
for await (const chunk of process.stdin) text += chunk;
const seen = [];
for (const job of JSON.parse(text)) seen.push(await see(job));
process.stdout.write(JSON.stringify(seen));

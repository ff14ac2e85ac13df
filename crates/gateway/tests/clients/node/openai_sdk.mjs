// OpenAI's official library for Node.js.

import { OpenAI, client, failing, failure, main, plain, z, zodResponseFormat } from "./observe.mjs";

const ASK = [{ role: "user", content: "Hello?" }];

const PARAMETERS = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
  additionalProperties: false,
};
const TOOLS = [
  { type: "function", function: { name: "weather", description: "The weather in a city.", parameters: PARAMETERS } },
];
const City = z.object({ city: z.string(), population: z.number().int() });

const chat = (model, more = {}, on = client()) =>
  on.chat.completions.create({ model, messages: ASK, ...more });

const respond = (model, more = {}, on = client()) =>
  on.responses.create({ model, input: "Hello?", ...more });

// All that a program reads of a completion.
function message(completion) {
  const { object, model, service_tier, system_fingerprint, choices, usage } = completion;
  return plain({ object, model, service_tier, system_fingerprint, choices, usage });
}

// All that a program reads of a stream of chunks.
async function chunks(stream) {
  const seen = { chunks: 0, deltas: [], finish_reasons: [], models: [], usage: [] };
  for await (const chunk of stream) {
    seen.chunks += 1;
    if (!seen.models.includes(chunk.model)) seen.models.push(chunk.model);
    if (chunk.usage) seen.usage.push(plain(chunk.usage));
    for (const { delta, finish_reason } of chunk.choices) {
      if (Object.keys(delta).length > 0) seen.deltas.push(plain(delta));
      if (finish_reason) seen.finish_reasons.push(finish_reason);
    }
  }
  return seen;
}

// The text of a stream, and what it ended with.
async function joined(stream, textOf) {
  let text = "";
  try {
    for await (const chunk of stream) text += textOf(chunk) ?? "";
  } catch (error) {
    return { text, failure: failure(error) };
  }
  return { text };
}

const ofChat = (chunk) => chunk.choices[0]?.delta.content;
const ofCompletion = (chunk) => chunk.choices[0]?.text;
const ofResponse = (event) => (event.type === "response.output_text.delta" ? event.delta : "");

function output(response) {
  const { status, model, output_text, output, usage } = response;
  return plain({ status, model, output_text, output, usage });
}

// The kinds of the events in order, one of a kind once in a row, and the last one.
async function events(stream) {
  const kinds = [];
  let last;
  for await (const event of stream) {
    if (kinds.at(-1) !== event.type) kinds.push(event.type);
    last = event;
  }
  return { kinds, final: output(last.response) };
}

// A stream that has not begun fails as a plain call does.
const WAYS = {
  chat: (model) => chat(model),
  "chat streamed": (model) => chat(model, { stream: true }),
  completions: (model) => client().completions.create({ model, prompt: "Hello" }),
  embeddings: (model) => client().embeddings.create({ model, input: "one" }),
  responses: (model) => respond(model),
  "responses streamed": (model) => respond(model, { stream: true }),
};

async function eachWay(model) {
  const seen = {};
  for (const [way, call] of Object.entries(WAYS)) seen[way] = await failing(() => call(model));
  return seen;
}

await main({
  async models() {
    const ids = [];
    for await (const model of client().models.list()) ids.push(model.id);
    return ids.sort();
  },

  async chat_plain() {
    return message(await chat("chat"));
  },
  async chat_streamed() {
    return chunks(await chat("chat", { stream: true }));
  },
  async chat_streamed_with_usage() {
    return chunks(await chat("chat", { stream: true, stream_options: { include_usage: true } }));
  },
  async chat_through_the_stream_helper() {
    const stream = client().chat.completions.stream({ model: "chat", messages: ASK });
    const parts = [];
    stream.on("content", (delta) => parts.push(delta));
    return { parts, final: message(await stream.finalChatCompletion()) };
  },
  async two_choices_streamed() {
    return chunks(await chat("chat", { n: 2, stream: true }));
  },
  async reasoning_streamed() {
    return chunks(await chat("reasoning", { stream: true }));
  },

  async tools() {
    return message(await chat("tools", { tools: TOOLS }));
  },
  async tools_at_once_streamed() {
    return chunks(await chat("parallel", { tools: TOOLS, stream: true }));
  },
  async tools_run_by_the_library() {
    const asked = [];
    const weather = ({ city }) => {
      asked.push(city);
      return { degrees: 21 };
    };
    const run = { ...TOOLS[0].function, parse: JSON.parse, function: weather };
    const runner = client().chat.completions.runTools({
      model: "parallel",
      messages: ASK,
      tools: [{ type: "function", function: run }],
    });
    return { content: await runner.finalContent(), asked };
  },

  async structured() {
    const completion = await client().chat.completions.parse({
      model: "schema",
      messages: ASK,
      response_format: zodResponseFormat(City, "city"),
    });
    return completion.choices[0].message.parsed;
  },

  async embeddings_in_the_librarys_own_format() {
    const answer = await client().embeddings.create({ model: "embed", input: ["one", "two"] });
    return { vectors: answer.data.map((item) => Array.from(item.embedding)), usage: plain(answer.usage) };
  },
  async embeddings_as_numbers() {
    const answer = await client().embeddings.create({ model: "embed", input: "one", encoding_format: "float" });
    return answer.data.map((item) => item.embedding);
  },

  async responses() {
    return output(await respond("chat"));
  },
  async responses_streamed() {
    return events(await respond("chat", { stream: true }));
  },
  async responses_through_the_stream_helper() {
    const stream = client().responses.stream({ model: "chat", input: "Hello?" });
    const parts = [];
    stream.on("response.output_text.delta", ({ delta }) => parts.push(delta));
    return { parts, final: output(await stream.finalResponse()) };
  },
  async responses_with_tools_streamed() {
    const tools = [{ type: "function", name: "weather", parameters: PARAMETERS, strict: true }];
    return events(await respond("tools", { tools, stream: true }));
  },

  async completions_streamed() {
    const stream = await client().completions.create({ model: "chat", prompt: "Hello", stream: true });
    return joined(stream, ofCompletion);
  },

  async error_wrong_key() {
    // Refused before it is a call: it is not in the books, so it is not counted.
    return failing(() => chat("chat", {}, new OpenAI({ apiKey: "sk-wrong", maxRetries: 0 })));
  },
  async error_no_messages() {
    return failing(() => client().post("/chat/completions", { body: { model: "chat" } }));
  },
  error_invalid_request: () => eachWay("invalid"),
  error_context_length_exceeded: () => eachWay("too-long"),
  error_of_the_providers_key: () => eachWay("unauthorized"),
  error_model_not_found: () => eachWay("missing"),
  error_rate_limit: () => eachWay("limited"),
  error_rate_limit_with_retry_after: () => eachWay("cooled"),
  error_server: () => eachWay("broken"),
  error_overloaded: () => eachWay("overloaded"),

  async failure_mid_stream() {
    return joined(await chat("breaks", { stream: true }), ofChat);
  },
  async connection_cut_mid_stream() {
    return joined(await chat("cut", { stream: true }), ofChat);
  },
  async failure_mid_stream_of_responses() {
    return joined(await respond("breaks", { stream: true }), ofResponse);
  },

  async timeout_of_the_client() {
    return failing(() => chat("slow", {}, client({ timeout: 500 })));
  },
  async retries_until_it_works() {
    return message(await chat("flaky", {}, client({ maxRetries: 2 })));
  },
  async retries_of_a_stream_until_it_works() {
    return joined(await chat("flaky-stream", { stream: true }, client({ maxRetries: 2 })), ofChat);
  },

  async aborted_mid_stream() {
    const api = client();
    const stream = await chat("endless", { stream: true }, api);
    const before = [];
    const outcome = await failing(async () => {
      for await (const chunk of stream) {
        before.push(ofChat(chunk));
        if (before.length === 3) stream.controller.abort();
      }
    });
    return { before, outcome, after: (await chat("chat", {}, api)).choices[0].message.content };
  },
  async aborted_before_the_answer() {
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 300);
    const request = { model: "slow", messages: ASK };
    return failing(() => client().chat.completions.create(request, { signal: controller.signal }));
  },
  async left_mid_stream() {
    const api = client();
    const before = [];
    for await (const chunk of await chat("endless", { stream: true }, api)) {
      before.push(ofChat(chunk));
      if (before.length === 3) break;
    }
    return { before, after: (await chat("chat", {}, api)).choices[0].message.content };
  },

  // A real model. What it says depends on the machine; that it says something does not.
  async local_chat_streamed_with_usage() {
    const more = { max_tokens: 8, stream: true, stream_options: { include_usage: true } };
    let [text, usage] = ["", undefined];
    for await (const chunk of await chat("local", more)) {
      text += ofChat(chunk) ?? "";
      usage = chunk.usage ?? usage;
    }
    const adds = usage.prompt_tokens + usage.completion_tokens === usage.total_tokens;
    return { says_something: text.trim() !== "", tokens_add_up: adds };
  },
});

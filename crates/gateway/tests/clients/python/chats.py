"""Lists and chat completions."""

import json

from observe import case, client, plain
from views import ASK, TOOLS, City, chat, chunks, joined, message


@case
def models():
    return sorted(model.id for model in client().models.list())


@case
def chat_plain():
    return message(chat("chat"))


@case
def chat_as_raw_response():
    raw = client().chat.completions.with_raw_response.create(model="chat", messages=ASK)
    return {
        "status": raw.status_code,
        "content_type": raw.headers["content-type"],
        "text": raw.parse().choices[0].message.content,
    }


@case
def chat_streamed():
    return chunks(chat("chat", stream=True))


@case
def chat_streamed_with_usage():
    return chunks(chat("chat", stream=True, stream_options={"include_usage": True}))


@case
def chat_streamed_with_usage_that_the_provider_does_not_send():
    return chunks(chat("no-usage", stream=True, stream_options={"include_usage": True}))


@case
def chat_streamed_as_raw_response():
    with client().chat.completions.with_streaming_response.create(
        model="chat", messages=ASK, stream=True
    ) as raw:
        lines = [line for line in raw.iter_lines() if line]
        return {
            "status": raw.status_code,
            "content_type": raw.headers["content-type"],
            "events": len(lines),
            "last": lines[-1],
        }


@case
def chat_through_the_stream_helper():
    with client().chat.completions.stream(model="chat", messages=ASK) as stream:
        kinds = [event.type for event in stream]
        return {"kinds": kinds, "final": message(stream.get_final_completion())}


@case
def two_choices():
    return message(chat("chat", n=2))


@case
def two_choices_streamed():
    return chunks(chat("chat", n=2, stream=True))


@case
def logprobs():
    return message(chat("chat", logprobs=True, top_logprobs=2))


@case
def logprobs_streamed():
    stream = chat("chat", logprobs=True, top_logprobs=2, stream=True)
    found = [plain(choice.logprobs) for chunk in stream for choice in chunk.choices]
    return [each for each in found if each]


@case
def reasoning():
    return message(chat("reasoning", reasoning_effort="low"))


@case
def reasoning_streamed():
    return chunks(chat("reasoning", reasoning_effort="low", stream=True))


@case
def long_and_in_order():
    seen = chunks(chat("long", stream=True))
    text = "".join(delta.get("content", "") for delta in seen["deltas"]["0"])
    return {"chunks": seen["chunks"], "in_order": text.split() == [str(number) for number in range(500)]}


@case
def foreign():
    return chat("foreign").choices[0].message.content


@case
def foreign_streamed():
    return joined(chat("foreign", stream=True))


@case
def refusal():
    return message(chat("refusal"))


@case
def image_and_audio():
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo=", "detail": "low"}},
        {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
    ]
    ask = [{"role": "user", "content": parts}]
    return message(client().chat.completions.create(model="chat", messages=ask))


@case
def every_other_field():
    return message(
        chat(
            "fields",
            seed=7,
            temperature=0.25,
            top_p=0.5,
            stop=["END"],
            max_completion_tokens=99,
            presence_penalty=0.125,
            frequency_penalty=-0.125,
            logit_bias={"50256": -100},
            reasoning_effort="low",
            service_tier="flex",
            store=False,
            user="somebody",
            metadata={"purpose": "test"},
            extra_body={"of_tomorrow": {"deep": [1, 2.5, None, "ü"]}},
            extra_headers={"x-of-tomorrow": "yes"},
        )
    )


# Tools


@case
def tools():
    return message(chat("tools", tools=TOOLS, tool_choice="auto"))


@case
def tools_streamed():
    return chunks(chat("tools", tools=TOOLS, stream=True))


@case
def tools_at_once():
    return message(chat("parallel", tools=TOOLS, parallel_tool_calls=True))


@case
def tools_at_once_streamed():
    return chunks(chat("parallel", tools=TOOLS, parallel_tool_calls=True, stream=True))


@case
def tools_there_and_back():
    api = client()
    first = chat("parallel", on=api, tools=TOOLS).choices[0].message
    results = [
        {"role": "tool", "tool_call_id": call.id, "content": json.dumps({"degrees": 21})}
        for call in first.tool_calls
    ]
    return message(
        api.chat.completions.create(model="parallel", messages=[*ASK, first, *results], tools=TOOLS)
    )


# Structured output


@case
def structured():
    completion = client().chat.completions.parse(model="schema", messages=ASK, response_format=City)
    return {"parsed": plain(completion.choices[0].message.parsed), "seen": message(completion)}


@case
def structured_streamed():
    with client().chat.completions.stream(model="schema", messages=ASK, response_format=City) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_completion()
        return {"kinds": kinds, "parsed": plain(final.choices[0].message.parsed)}

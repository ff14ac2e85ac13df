"""What OpenAI's library for Python is asked, and what a program reads of its answers."""

import openai
from observe import client, failure, plain
from pydantic import BaseModel

ASK = [{"role": "user", "content": "Hello?"}]

WEATHER = {
    "name": "weather",
    "description": "The weather in a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}
TOOLS = [{"type": "function", "function": WEATHER}]


class City(BaseModel):
    city: str
    population: int


def chat(model, on=None, **options):
    return (on or client()).chat.completions.create(model=model, messages=ASK, **options)


def message(completion):
    """All that a program reads of a completion."""
    choices = [
        {
            "message": plain(choice.message),
            "finish_reason": choice.finish_reason,
            "logprobs": plain(choice.logprobs),
        }
        for choice in completion.choices
    ]
    return {
        "object": completion.object,
        "model": completion.model,
        "service_tier": completion.service_tier,
        "system_fingerprint": completion.system_fingerprint,
        "choices": choices,
        "usage": plain(completion.usage),
    }


def chunks(stream):
    """All that a program reads of a stream of chunks."""
    seen = {"chunks": 0, "deltas": {}, "finish_reasons": [], "models": [], "usage": []}
    for chunk in stream:
        add(seen, chunk)
    return seen


def add(seen, chunk):
    seen["chunks"] += 1
    if chunk.model not in seen["models"]:
        seen["models"].append(chunk.model)
    if chunk.usage is not None:
        seen["usage"].append(plain(chunk.usage))
    for choice in chunk.choices:
        deltas = seen["deltas"].setdefault(str(choice.index), [])
        if delta := plain(choice.delta):
            deltas.append(delta)
        if choice.finish_reason:
            seen["finish_reasons"].append(choice.finish_reason)


def joined(stream):
    """The text of a stream, and what it ended with."""
    text = ""
    try:
        for chunk in stream:
            for choice in chunk.choices:
                text += choice.delta.content or ""
    except openai.OpenAIError as error:
        return {"text": text, "failure": failure(error)}
    return {"text": text}


def output(response):
    return {
        "status": response.status,
        "model": response.model,
        "text": response.output_text,
        "output": [plain(item) for item in response.output],
        "usage": plain(response.usage),
    }


def respond(model, **options):
    return client().responses.create(model=model, input="Hello?", **options)


RESPONSE_TOOLS = [{"type": "function", **WEATHER}]


def events(stream):
    """The kinds of the events in order, one of a kind once in a row, and the last one."""
    kinds = []
    for event in stream:
        if not kinds or kinds[-1] != event.type:
            kinds.append(event.type)
    return {"kinds": kinds, "final": output(event.response)}

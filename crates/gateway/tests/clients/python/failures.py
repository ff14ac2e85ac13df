"""Errors, failures in the middle, time, and leaving."""

import openai
from observe import case, client, failing, failure
from views import chat, joined, message, respond


@case
def error_wrong_key():
    # Refused before it is a call: it is not in the books, so it is not counted.
    return failing(lambda: chat("chat", on=openai.OpenAI(api_key="sk-wrong", max_retries=0)))


@case
def error_unknown_model():
    return failing(lambda: chat("no-such-model"))


@case
def error_no_messages():
    return failing(lambda: client().post("/chat/completions", body={"model": "chat"}, cast_to=object))


# Each way in, plain and streamed, for each error: a stream that has not begun fails as a plain call does.
WAYS = {
    "chat": lambda model: chat(model),
    "chat streamed": lambda model: chat(model, stream=True),
    "completions": lambda model: client().completions.create(model=model, prompt="Hello"),
    "completions streamed": lambda model: client().completions.create(
        model=model, prompt="Hello", stream=True
    ),
    "embeddings": lambda model: client().embeddings.create(model=model, input="one"),
    "responses": lambda model: respond(model),
    "responses streamed": lambda model: respond(model, stream=True),
}


def each_way(model):
    return {way: failing(lambda: call(model)) for way, call in WAYS.items()}


@case
def error_of_the_providers_key():
    return each_way("unauthorized")


@case
def error_invalid_request():
    return each_way("invalid")


@case
def error_context_length_exceeded():
    return each_way("too-long")


@case
def error_content_policy():
    return each_way("filtered")


@case
def error_model_not_found():
    return each_way("missing")


@case
def error_rate_limit():
    return each_way("limited")


@case
def error_rate_limit_with_retry_after():
    return each_way("cooled")


@case
def error_server():
    return each_way("broken")


@case
def error_overloaded():
    return each_way("overloaded")


@case
def error_nobody_there():
    return each_way("nobody")


# Failures in the middle


@case
def failure_mid_stream():
    return joined(chat("breaks", stream=True))


@case
def connection_cut_mid_stream():
    return joined(chat("cut", stream=True))


def completions_until_it_fails(model):
    text = ""
    try:
        for chunk in client().completions.create(model=model, prompt="Hello", stream=True):
            text += chunk.choices[0].text or ""
    except openai.OpenAIError as error:
        return {"text": text, "failure": failure(error)}
    return {"text": text}


@case
def failure_mid_stream_of_completions():
    return completions_until_it_fails("breaks")


@case
def connection_cut_mid_stream_of_completions():
    return completions_until_it_fails("cut")


def responses_until_they_fail(model):
    text = ""
    try:
        for event in respond(model, stream=True):
            if event.type == "response.output_text.delta":
                text += event.delta
            elif event.type in ("error", "response.failed"):
                return {"text": text, "event": event.type}
    except openai.OpenAIError as error:
        return {"text": text, "failure": failure(error)}
    return {"text": text}


@case
def failure_mid_stream_of_responses():
    return responses_until_they_fail("breaks")


@case
def connection_cut_mid_stream_of_responses():
    return responses_until_they_fail("cut")


# Time


@case
def timeout_of_the_client():
    return failing(lambda: chat("slow", on=client(timeout=0.5)))


@case
def timeout_of_the_client_with_embeddings():
    return failing(lambda: client(timeout=0.5).embeddings.create(model="slow", input="one"))


@case
def timeout_of_the_client_mid_stream():
    text = ""
    try:
        for chunk in chat("stalls", on=client(timeout=0.5), stream=True):
            text += chunk.choices[0].delta.content
    except Exception as error:
        return {"text": text, "class": type(error).__name__}
    return {"text": text}


@case
def retries_until_it_works():
    return message(chat("flaky", on=client(max_retries=2)))


@case
def retries_of_a_stream_until_it_works():
    return joined(chat("flaky-stream", on=client(max_retries=2), stream=True))


@case
def no_retry_of_a_fault_of_the_caller():
    return failing(lambda: chat("invalid", on=client(max_retries=2)))


@case
def cancelled_mid_stream():
    api = client()
    stream = chat("endless", on=api, stream=True)
    seen = [next(stream).choices[0].delta.content for _ in range(3)]
    stream.close()
    return {"before": seen, "after": chat("chat", on=api).choices[0].message.content}


@case
def cancelled_mid_stream_of_responses():
    api = client()
    stream = api.responses.create(model="endless", input="Hello?", stream=True)
    seen = [next(stream).type for _ in range(5)]
    stream.close()
    return {"before": seen, "after": chat("chat", on=api).choices[0].message.content}

"""Embeddings, responses and text completions."""

from observe import case, client, plain
from views import RESPONSE_TOOLS, City, events, output, respond


def vectors(answer):
    return {
        "model": answer.model,
        "vectors": [item.embedding for item in answer.data],
        "usage": plain(answer.usage),
    }


@case
def embeddings_in_the_librarys_own_format():
    return vectors(client().embeddings.create(model="embed", input=["one", "two"]))


@case
def embeddings_as_numbers():
    return vectors(client().embeddings.create(model="embed", input="one", encoding_format="float"))


# Responses


@case
def responses():
    return output(respond("chat", instructions="Be kind.", metadata={"purpose": "test"}, store=False))


@case
def responses_streamed():
    return events(respond("chat", stream=True))


@case
def responses_through_the_stream_helper():
    with client().responses.stream(model="chat", input="Hello?") as stream:
        kinds = [event.type for event in stream]
        return {"kinds": kinds, "final": output(stream.get_final_response())}


@case
def responses_with_tools():
    return output(respond("tools", tools=RESPONSE_TOOLS))


@case
def responses_with_tools_streamed():
    return events(respond("tools", tools=RESPONSE_TOOLS, stream=True))


@case
def responses_structured():
    response = client().responses.parse(model="schema", input="Hello?", text_format=City)
    return {"parsed": plain(response.output_parsed), "seen": output(response)}


def without_ids(seen):
    """A bridge makes up the items, and their identifiers, anew each time."""
    for item in seen.get("final", seen)["output"]:
        item.pop("id")
    return seen


@case
def responses_of_a_model_that_only_chats():
    return without_ids(output(respond("bridged")))


@case
def responses_of_a_model_that_only_chats_streamed():
    return without_ids(events(respond("bridged", stream=True)))


# Completions


@case
def completions():
    answer = client().completions.create(model="chat", prompt="Hello", max_tokens=8, echo=True)
    return {
        "model": answer.model,
        "choices": [plain(choice) for choice in answer.choices],
        "usage": plain(answer.usage),
    }


def completion_chunks(**options):
    seen = {"text": "", "finish_reasons": [], "usage": [], "chunks": 0}
    for chunk in client().completions.create(model="chat", prompt="Hello", stream=True, **options):
        seen["chunks"] += 1
        if chunk.usage is not None:
            seen["usage"].append(plain(chunk.usage))
        for choice in chunk.choices:
            seen["text"] += getattr(choice, "text", None) or ""
            if choice.finish_reason:
                seen["finish_reasons"].append(choice.finish_reason)
    return seen


@case
def completions_streamed():
    return completion_chunks()


@case
def completions_streamed_with_usage():
    return completion_chunks(stream_options={"include_usage": True})

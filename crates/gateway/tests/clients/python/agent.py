"""An agent framework that takes a base URL: Pydantic AI."""

import asyncio

from observe import async_client, case, main
from pydantic import BaseModel
from pydantic_ai import Agent, NativeOutput
from pydantic_ai.exceptions import AgentRunError
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider


class City(BaseModel):
    city: str
    population: int


def provider():
    return OpenAIProvider(openai_client=async_client())


def chatting(model, **options):
    return Agent(OpenAIChatModel(model, provider=provider()), **options)


def responding(model, **options):
    return Agent(OpenAIResponsesModel(model, provider=provider()), **options)


def with_tools(agent):
    @agent.tool_plain
    def weather(city: str) -> str:
        """The weather in a city."""
        return f"21 degrees in {city}"

    return agent


def seen(result):
    """What a user of the framework reads of a run: the output, how it came about, and what it took."""
    output = result.output
    usage = result.usage
    return {
        "output": output.model_dump() if isinstance(output, BaseModel) else output,
        "parts": [part.part_kind for message in result.all_messages() for part in message.parts],
        "usage": {
            "requests": usage.requests,
            "tool_calls": usage.tool_calls,
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
        },
    }


async def streamed(agent):
    async with agent.run_stream("Hello?") as result:
        texts = [text async for text in result.stream_text(delta=True, debounce_by=None)]
        output = await result.get_output()
    return {"texts": texts, "output": output, "tokens": result.usage.output_tokens}


async def failed(agent):
    try:
        await agent.run("Hello?")
    except AgentRunError as error:
        status = getattr(error, "status_code", None)
        return f"{type(error).__name__} {status}"
    return "nothing raised"


@case
async def run():
    return seen(await chatting("chat").run("Hello?"))


@case
async def run_streamed():
    return await streamed(chatting("chat"))


@case
async def run_with_a_tool():
    return seen(await with_tools(chatting("tools")).run("Hello?"))


@case
async def run_with_tools_at_once():
    return seen(await with_tools(chatting("parallel")).run("Hello?"))


@case
async def run_with_a_tool_streamed():
    return await streamed(with_tools(chatting("tools")))


@case
async def structured_result_as_a_tool():
    return seen(await chatting("schema", output_type=City).run("Hello?"))


@case
async def structured_result_as_a_schema():
    return seen(await chatting("schema", output_type=NativeOutput(City)).run("Hello?"))


@case
async def conversation():
    agent = chatting("chat")
    first = await agent.run("Hello?")
    return seen(await agent.run("And now?", message_history=first.all_messages()))


@case
async def thinking():
    return seen(await chatting("reasoning").run("Hello?"))


@case
async def run_on_responses():
    return seen(await responding("chat").run("Hello?"))


@case
async def run_on_responses_streamed():
    return await streamed(responding("chat"))


@case
async def run_on_responses_with_a_tool():
    return seen(await with_tools(responding("tools")).run("Hello?"))


@case
async def several_at_once():
    agent = chatting("chat")
    results = await asyncio.gather(*(agent.run("Hello?") for _ in range(8)))
    return sorted(result.output for result in results)


@case
async def error_rate_limit():
    return await failed(chatting("limited"))


@case
async def error_context_length_exceeded():
    return await failed(chatting("too-long"))


@case
async def error_server():
    return await failed(chatting("broken"))


@case
async def failure_mid_stream():
    try:
        return await streamed(chatting("breaks"))
    except Exception as error:
        return type(error).__name__


@case
async def local_run():
    result = await chatting("local", model_settings={"max_tokens": 8}).run("Hello?")
    return {"says_something": bool(result.output.strip()), "requests": result.usage.requests}


asyncio.run(main())

"""OpenAI's official library for Python."""

import asyncio
from typing import Literal

# Their cases come first, in this order.
import chats  # noqa: F401
import others  # noqa: F401
import failures  # noqa: F401
from observe import async_client, case, client, main
from pydantic import BaseModel
from views import ASK, chat, message

# The asynchronous client


@case
async def asynchronous_chat():
    async with async_client() as api:
        return message(await api.chat.completions.create(model="chat", messages=ASK))


async def text_of(api):
    text = ""
    stream = await api.chat.completions.create(model="chat", messages=ASK, stream=True)
    async for chunk in stream:
        text += chunk.choices[0].delta.content or ""
    return text


@case
async def asynchronous_streams_at_once():
    async with async_client() as api:
        return sorted(await asyncio.gather(*(text_of(api) for _ in range(8))))


@case
async def asynchronous_task_cancelled_mid_stream():
    async with async_client() as api:
        begun = asyncio.Event()

        async def listen():
            try:
                stream = await api.chat.completions.create(model="endless", messages=ASK, stream=True)
                async for _ in stream:
                    begun.set()
            finally:
                begun.set()

        task = asyncio.create_task(listen())
        await begun.wait()
        task.cancel()
        outcome = (await asyncio.gather(task, return_exceptions=True))[0]
        return {"outcome": type(outcome).__name__, "after": await text_of(api)}


# A real model. What it says depends on the machine; that it says something, and how it is told, does not.


def spoken(text, usage):
    seen = {"says_something": bool(text.strip())}
    if usage is not None:
        total = usage.prompt_tokens + usage.completion_tokens
        seen["tokens_add_up"] = total == usage.total_tokens and usage.completion_tokens > 0
    return seen


@case
def local_chat():
    answer = chat("local", max_tokens=8)
    choice = answer.choices[0]
    return {"finish_reason": choice.finish_reason, **spoken(choice.message.content, answer.usage)}


def local_stream(**options):
    text, usage, reasons, count = "", None, [], 0
    for chunk in chat("local", max_tokens=8, stream=True, **options):
        count += 1
        usage = chunk.usage or usage
        for choice in chunk.choices:
            text += choice.delta.content or ""
            reasons += [choice.finish_reason] if choice.finish_reason else []
    return {
        "finish_reasons": reasons,
        "in_parts": count > 4,
        "has_usage": usage is not None,
        **spoken(text, usage),
    }


@case
def local_chat_streamed():
    return local_stream()


@case
def local_chat_streamed_with_usage():
    return local_stream(stream_options={"include_usage": True})


class Weather(BaseModel):
    warm: bool
    season: Literal["spring", "summer", "autumn", "winter"]


@case
def local_structured():
    ask = [{"role": "user", "content": "Is it warm in summer? As JSON:"}]
    completion = client().chat.completions.parse(
        model="local", messages=ask, response_format=Weather, max_tokens=300
    )
    parsed = completion.choices[0].message.parsed
    return {name: type(value).__name__ for name, value in parsed}


asyncio.run(main())

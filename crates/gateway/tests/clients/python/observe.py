"""What a client saw, one JSON line a case, without what differs from one call to the next.

A program is started with `OPENAI_BASE_URL` and `OPENAI_API_KEY` in its environment, as any program of a user
is: nothing in it knows whether a proxy or octo answers.
"""

import inspect
import json
import traceback

import openai

CASES = []

# Requests that went out, by path: each of them has to be in octo's books.
SENT = {}


def case(function):
    """Marks a case. Its name is the function's, what it returns is what was seen."""
    CASES.append(function)
    return function


def count(request):
    if request.method == "POST":
        SENT[request.url.path] = SENT.get(request.url.path, 0) + 1


async def count_async(request):
    count(request)


def client(**options):
    # Retries are asked for where they are the subject.
    hooks = {"request": [count]}
    options.setdefault("max_retries", 0)
    return openai.OpenAI(http_client=openai.DefaultHttpxClient(event_hooks=hooks), **options)


def async_client(**options):
    hooks = {"request": [count_async]}
    options.setdefault("max_retries", 0)
    return openai.AsyncOpenAI(http_client=openai.DefaultAsyncHttpxClient(event_hooks=hooks), **options)


def plain(value):
    """A value of the library as JSON, without what is not there."""
    return value.model_dump(mode="json", exclude_none=True) if value is not None else None


def failure(error):
    """What a program can tell of an error. The wording is not part of it."""
    seen = type(error).__name__
    if status := getattr(error, "status_code", None):
        seen += f" {status}"
    for name in ("code", "type", "param"):
        if value := getattr(error, name, None):
            seen += f" {name}={value}"
    if (response := getattr(error, "response", None)) and "retry-after" in response.headers:
        seen += f" retry-after={response.headers['retry-after']}"
    return seen


def failing(call):
    """What `call` raises."""
    try:
        call()
    except openai.OpenAIError as error:
        return failure(error)
    return "nothing raised"


async def run(observe):
    try:
        result = observe()
        if inspect.isawaitable(result):
            result = await result
        return {"case": observe.__name__, "ok": True, "result": result}
    except Exception:
        return {"case": observe.__name__, "ok": False, "result": traceback.format_exc()}


async def main():
    for observe in CASES:
        print(json.dumps(await run(observe)), flush=True)
    print(json.dumps({"sent": SENT}), flush=True)

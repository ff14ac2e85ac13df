"""LiteLLM's own cost calculator, asked line by line.

stdin:  JSON lines {"model", "provider", "call_type", "usage"} and, where they matter, "service_tier",
        "data_residency", "vertex_location", "base_model", "seconds" (of the call, or of audio)
stdout: first {"version", "map"} (the path of the package's price map), then for each line
        {"cost": number} or {"error": text}
"""

import json
import os
import socket
import sys

# The map inside the package, not the one on the network.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"



def no_network(*_):
    raise OSError("the calculator is asked without a network")


# Some look-ups ask a server for models that the map does not list.
socket.socket.connect = no_network
socket.getaddrinfo = no_network

answers = sys.stdout
sys.stdout = sys.stderr  # what the library prints must not get between the answers

import importlib.metadata  # noqa: E402

import litellm  # noqa: E402
from litellm.types.rerank import RerankResponse  # noqa: E402
from litellm.types.utils import TranscriptionResponse  # noqa: E402

litellm.suppress_debug_info = True


def response(question):
    usage = question["usage"]
    seconds = question.get("seconds")
    if question["call_type"] == "rerank":
        units = {key: usage[key] for key in ("search_units", "total_tokens") if key in usage}
        return RerankResponse(id="1", results=[], meta={"billed_units": units})
    if question["call_type"] == "transcription" and seconds is not None:
        answer = TranscriptionResponse(text="")
        answer._hidden_params = {"audio_transcription_duration": seconds}
        return answer
    if seconds is not None:
        answer = litellm.ModelResponse(model=question["model"], usage=litellm.Usage(**usage))
        answer._response_ms = seconds * 1000
        return answer
    return {"model": question["model"], "usage": usage}


def cost(question):
    try:
        answer = litellm.completion_cost(
            completion_response=response(question),
            model=question["model"],
            custom_llm_provider=question["provider"],
            call_type=question["call_type"],
            **{
                name: question[name]
                for name in ("service_tier", "data_residency", "vertex_location", "base_model")
                if name in question
            },
        )
        return {"cost": answer}
    except Exception as error:
        return {"error": str(error)[:200]}


print(
    json.dumps(
        {
            "version": importlib.metadata.version("litellm"),
            "map": os.path.join(
                os.path.dirname(litellm.__file__), "model_prices_and_context_window_backup.json"
            ),
        }
    ),
    file=answers,
    flush=True,
)
for line in sys.stdin:
    print(json.dumps(cost(json.loads(line))), file=answers)
answers.flush()

"""LiteLLM's own cost calculator, asked line by line.

stdin:  JSON lines {"model", "provider", "call_type", "usage"}
stdout: first {"version", "map"} (the path of the package's price map), then for each line
        {"cost": number} or {"error": text}
"""

import json
import os
import sys

# The map inside the package, not the one on the network.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

answers = sys.stdout
sys.stdout = sys.stderr  # what the library prints must not get between the answers

import importlib.metadata  # noqa: E402

import litellm  # noqa: E402

litellm.suppress_debug_info = True


def cost(question):
    try:
        return {
            "cost": litellm.completion_cost(
                completion_response={"model": question["model"], "usage": question["usage"]},
                model=question["model"],
                custom_llm_provider=question["provider"],
                call_type=question["call_type"],
            )
        }
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

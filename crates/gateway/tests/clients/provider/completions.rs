//! `/v1/completions`, plain and streamed.

use serde_json::{Value, json};

use super::script::{
    Reply, Step, TEXT, asks_for_stream, asks_for_usage, break_off, broken, data, done, pieces,
    whole,
};

pub(crate) fn reply(model: &str, body: &Value) -> Reply {
    if asks_for_stream(body) {
        return Reply::Stream(stream(model, body));
    }
    let choice = json!({"text": TEXT, "index": 0, "logprobs": null, "finish_reason": "stop"});
    let mut answer = object(model, &[choice]);
    answer["usage"] = usage();
    whole(answer)
}

fn stream(model: &str, body: &Value) -> Vec<Step> {
    let mut steps = Vec::new();
    for piece in pieces(TEXT) {
        let choice = json!({"text": piece, "index": 0, "logprobs": null, "finish_reason": null});
        steps.push(data(&object(model, &[choice])));
        if steps.len() == 2
            && let Some(end) = break_off(model, &broken())
        {
            steps.extend(end);
            return steps;
        }
    }
    let end = json!({"text": "", "index": 0, "logprobs": null, "finish_reason": "stop"});
    steps.push(data(&object(model, &[end])));
    if asks_for_usage(body) {
        let mut last = object(model, &[]);
        last["usage"] = usage();
        steps.push(data(&last));
    }
    steps.push(done());
    steps
}

fn object(model: &str, choices: &[Value]) -> Value {
    json!({
        "id": "cmpl-scripted",
        "object": "text_completion",
        "created": 1_700_000_000,
        "model": model,
        "choices": choices,
    })
}

fn usage() -> Value {
    json!({"prompt_tokens": 5, "completion_tokens": 6, "total_tokens": 11})
}

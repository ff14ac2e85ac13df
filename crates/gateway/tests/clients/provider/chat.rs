//! `/v1/chat/completions`, plain and streamed.

use std::time::Duration;

use serde_json::{Value, json};

use super::script::{
    AFTER_TOOLS, ENDLESS, FOREIGN, JSON_TEXT, Reply, Step, TEXT, asks_for_stream, asks_for_usage,
    break_off, broken, data, done, long, pieces, whole,
};

/// What is said, before it is known whether it is streamed.
#[derive(Default)]
struct Message {
    content: Option<String>,
    reasoning: Option<&'static str>,
    refusal: Option<&'static str>,
    /// Name and arguments of each call.
    tool_calls: Vec<(String, &'static str)>,
}

pub(crate) fn reply(model: &str, body: &Value) -> Reply {
    let message = Message::of(model, body);
    let count = usize::try_from(body["n"].as_u64().unwrap_or(1)).unwrap();
    if asks_for_stream(body) {
        return Reply::Stream(stream(model, body, &message, count));
    }
    let choices = (0..count).map(|index| {
        json!({
            "index": index,
            "message": message.whole(),
            "logprobs": logprobs(body),
            "finish_reason": message.finish_reason(),
        })
    });
    let mut answer = object(model, "chat.completion", &choices.collect::<Vec<_>>());
    answer["usage"] = message.usage();
    whole(answer)
}

impl Message {
    fn of(model: &str, body: &Value) -> Self {
        let say = |content: &str| Self {
            content: Some(content.to_owned()),
            ..Self::default()
        };
        match model {
            "tools" | "parallel" if has_results(body) => say(AFTER_TOOLS),
            "tools" => Self::calling(body, &[r#"{"city":"Paris"}"#]),
            "parallel" => Self::calling(body, &[r#"{"city":"Paris"}"#, r#"{"city":"Rome"}"#]),
            "schema" if offers_tools(body) => Self::calling(body, &[JSON_TEXT]),
            "schema" => say(JSON_TEXT),
            "foreign" => say(FOREIGN),
            "long" => say(&long()),
            "reasoning" => Self {
                reasoning: Some("They greet me. "),
                ..say(TEXT)
            },
            "refusal" => Self {
                refusal: Some("I can not help with that."),
                ..Self::default()
            },
            _ => say(TEXT),
        }
    }

    /// Calls the first tool that is offered, once for each of these arguments.
    fn calling(body: &Value, arguments: &[&'static str]) -> Self {
        let tool = body["tools"][0]["function"]["name"]
            .as_str()
            .unwrap_or("nothing_offered");
        Self {
            tool_calls: arguments
                .iter()
                .map(|arguments| (tool.to_owned(), *arguments))
                .collect(),
            ..Self::default()
        }
    }

    fn finish_reason(&self) -> &'static str {
        if self.tool_calls.is_empty() {
            "stop"
        } else {
            "tool_calls"
        }
    }

    fn whole(&self) -> Value {
        let mut message = json!({
            "role": "assistant",
            "content": self.content,
            "refusal": self.refusal,
            "annotations": [],
        });
        if let Some(reasoning) = self.reasoning {
            message["reasoning_content"] = reasoning.into();
        }
        if !self.tool_calls.is_empty() {
            let calls = self.tool_calls.iter().enumerate();
            message["tool_calls"] = calls
                .map(|(index, (name, arguments))| {
                    json!({
                        "id": call_id(index),
                        "type": "function",
                        "function": {"name": name, "arguments": arguments},
                    })
                })
                .collect();
        }
        message
    }

    /// The deltas that make up the message, the role apart.
    fn deltas(&self) -> Vec<Value> {
        let mut deltas = Vec::new();
        for (field, text) in [
            ("reasoning_content", self.reasoning),
            ("refusal", self.refusal),
            ("content", self.content.as_deref()),
        ] {
            deltas.extend(pieces(text.unwrap_or_default()).map(|piece| json!({field: piece})));
        }
        for (index, (name, arguments)) in self.tool_calls.iter().enumerate() {
            let call = |call: Value| json!({"tool_calls": [call]});
            deltas.push(call(json!({
                "index": index,
                "id": call_id(index),
                "type": "function",
                "function": {"name": name, "arguments": ""},
            })));
            // In two halves, cut where no reader could make sense of the first one.
            let (first, second) = arguments.split_at(arguments.len() / 2);
            for part in [first, second] {
                deltas.push(call(
                    json!({"index": index, "function": {"arguments": part}}),
                ));
            }
        }
        deltas
    }

    fn usage(&self) -> Value {
        let reasoning = if self.reasoning.is_some() { 3 } else { 0 };
        json!({
            "prompt_tokens": 11,
            "completion_tokens": 7,
            "total_tokens": 18,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": reasoning,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        })
    }
}

fn stream(model: &str, body: &Value, message: &Message, count: usize) -> Vec<Step> {
    let chunk = |choices: Vec<Value>| data(&object(model, "chat.completion.chunk", &choices));
    let choice = |index: usize, delta: &Value, finish_reason: Option<&str>| {
        let logprobs = if delta["content"].is_string() {
            logprobs(body)
        } else {
            Value::Null
        };
        json!({"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish_reason})
    };
    if model == "endless" {
        return endless(|delta| chunk(vec![choice(0, &delta, None)]));
    }
    let mut steps = Vec::new();
    let role = json!({"role": "assistant", "content": "", "refusal": null});
    let deltas = [vec![role], message.deltas()].concat();
    for (number, delta) in deltas.iter().enumerate() {
        // The choices of one request come interleaved.
        steps.extend((0..count).map(|index| chunk(vec![choice(index, delta, None)])));
        if number == 2
            && let Some(end) = break_off(model, &broken())
        {
            steps.extend(end);
            return steps;
        }
    }
    let end = |index| {
        chunk(vec![choice(
            index,
            &json!({}),
            Some(message.finish_reason()),
        )])
    };
    steps.extend((0..count).map(end));
    if asks_for_usage(body) && model != "no-usage" {
        let mut last = object(model, "chat.completion.chunk", &[]);
        last["usage"] = message.usage();
        steps.push(data(&last));
    }
    steps.push(done());
    steps
}

fn endless(chunk: impl Fn(Value) -> Step) -> Vec<Step> {
    let word = |number: usize| {
        let pause = Step::Pause(Duration::from_millis(50));
        [chunk(json!({"content": format!("{number} ")})), pause]
    };
    (0..ENDLESS).flat_map(word).collect()
}

fn object(model: &str, kind: &str, choices: &[Value]) -> Value {
    json!({
        "id": "chatcmpl-scripted",
        "object": kind,
        "created": 1_700_000_000,
        "model": model,
        "choices": choices,
        "service_tier": "default",
        "system_fingerprint": "fp_scripted",
    })
}

fn call_id(index: usize) -> String {
    format!("call_{index}")
}

fn logprobs(body: &Value) -> Value {
    if body["logprobs"] != true {
        return Value::Null;
    }
    let token = json!({"token": "Hello", "logprob": -0.25, "bytes": [72, 101, 108, 108, 111]});
    let mut content = token.clone();
    content["top_logprobs"] = json!([token, {"token": "Hi", "logprob": -1.5, "bytes": [72, 105]}]);
    json!({"content": [content], "refusal": null})
}

fn has_results(body: &Value) -> bool {
    let messages = body["messages"].as_array();
    messages.is_some_and(|messages| messages.iter().any(|message| message["role"] == "tool"))
}

fn offers_tools(body: &Value) -> bool {
    body["tools"].is_array()
}

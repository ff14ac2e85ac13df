//! `/v1/responses`, plain and as the sequence of events that OpenAI documents.

use std::time::Duration;

use serde_json::{Value, json};

use super::script::{
    AFTER_TOOLS, ENDLESS, JSON_TEXT, Reply, Step, TEXT, asks_for_stream, break_off, pieces, whole,
};

pub(crate) fn reply(model: &str, body: &Value) -> Reply {
    let item = match model {
        "tools" if has_results(body) => text_item(AFTER_TOOLS),
        "tools" => call_item(body),
        "schema" => text_item(JSON_TEXT),
        _ => text_item(TEXT),
    };
    if asks_for_stream(body) {
        return Reply::Stream(Events::new(model, body).play(&item));
    }
    whole(response(model, body, "completed", &[item]))
}

/// The events of one stream, numbered.
struct Events<'a> {
    model: &'a str,
    body: &'a Value,
    steps: Vec<Step>,
    count: usize,
}

impl<'a> Events<'a> {
    fn new(model: &'a str, body: &'a Value) -> Self {
        Self {
            model,
            body,
            steps: Vec::new(),
            count: 0,
        }
    }

    fn play(mut self, item: &Value) -> Vec<Step> {
        for kind in ["response.created", "response.in_progress"] {
            let response = response(self.model, self.body, "in_progress", &[]);
            self.event(kind, json!({"response": response}));
        }
        let mut started = item.clone();
        started["status"] = "in_progress".into();
        if item["type"] == "message" {
            started["content"] = json!([]);
        } else {
            started["arguments"] = "".into();
        }
        self.event(
            "response.output_item.added",
            json!({"output_index": 0, "item": started}),
        );
        let complete = if item["type"] == "message" {
            self.text(item)
        } else {
            self.arguments(item);
            true
        };
        if complete {
            self.event(
                "response.output_item.done",
                json!({"output_index": 0, "item": item}),
            );
            let response = response(
                self.model,
                self.body,
                "completed",
                std::slice::from_ref(item),
            );
            self.event("response.completed", json!({"response": response}));
        }
        self.steps
    }

    /// The events of a text; false if the stream breaks off in it.
    fn text(&mut self, item: &Value) -> bool {
        let place = json!({"item_id": item["id"], "output_index": 0, "content_index": 0});
        let part = &item["content"][0];
        let mut empty = part.clone();
        empty["text"] = "".into();
        self.event(
            "response.content_part.added",
            with(&place, json!({"part": empty})),
        );

        if self.model == "endless" {
            for number in 0..ENDLESS {
                let delta = json!({"delta": format!("{number} "), "logprobs": []});
                self.event("response.output_text.delta", with(&place, delta));
                self.steps.push(Step::Pause(Duration::from_millis(50)));
            }
            return false;
        }
        let text = part["text"].as_str().unwrap();
        for (number, piece) in pieces(text).enumerate() {
            let delta = json!({"delta": piece, "logprobs": []});
            self.event("response.output_text.delta", with(&place, delta));
            let error = json!({"type": "error", "code": "server_error", "message": "The server had an error.", "param": null, "sequence_number": self.count});
            if number == 1
                && let Some(end) = break_off(self.model, &error)
            {
                self.steps.extend(end);
                return false;
            }
        }
        let text = json!({"text": text, "logprobs": []});
        self.event("response.output_text.done", with(&place, text));
        self.event(
            "response.content_part.done",
            with(&place, json!({"part": part})),
        );
        true
    }

    fn arguments(&mut self, item: &Value) {
        let place = json!({"item_id": item["id"], "output_index": 0});
        let arguments = item["arguments"].as_str().unwrap();
        let (first, second) = arguments.split_at(arguments.len() / 2);
        for part in [first, second] {
            let kind = "response.function_call_arguments.delta";
            self.event(kind, with(&place, json!({"delta": part})));
        }
        let whole = json!({"name": item["name"], "arguments": arguments});
        self.event("response.function_call_arguments.done", with(&place, whole));
    }

    fn event(&mut self, kind: &str, more: Value) {
        let head = json!({"type": kind, "sequence_number": self.count});
        self.count += 1;
        let event = with(&head, more);
        self.steps
            .push(Step::Send(format!("event: {kind}\ndata: {event}\n\n")));
    }
}

fn with(head: &Value, more: Value) -> Value {
    let mut value = head.clone();
    let Value::Object(more) = more else {
        return value;
    };
    value.as_object_mut().unwrap().extend(more);
    value
}

fn response(model: &str, body: &Value, status: &str, output: &[Value]) -> Value {
    let or = |field: &str, default: Value| match &body[field] {
        Value::Null => default,
        given => given.clone(),
    };
    let usage = (status == "completed").then(|| {
        json!({
            "input_tokens": 11,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": 7,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 18,
        })
    });
    json!({
        "id": "resp_scripted",
        "object": "response",
        "created_at": 1_700_000_000,
        "status": status,
        "background": false,
        "error": null,
        "incomplete_details": null,
        "instructions": body["instructions"],
        "max_output_tokens": body["max_output_tokens"],
        "model": model,
        "output": output,
        "parallel_tool_calls": true,
        "previous_response_id": null,
        "reasoning": {"effort": null, "summary": null},
        "store": or("store", json!(true)),
        "temperature": 1.0,
        "text": or("text", json!({"format": {"type": "text"}})),
        "tool_choice": "auto",
        "tools": or("tools", json!([])),
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": usage,
        "user": null,
        "metadata": or("metadata", json!({})),
    })
}

fn text_item(text: &str) -> Value {
    json!({
        "id": "msg_scripted",
        "type": "message",
        "status": "completed",
        "role": "assistant",
        "content": [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}],
    })
}

fn call_item(body: &Value) -> Value {
    let tool = body["tools"][0]["name"]
        .as_str()
        .unwrap_or("nothing_offered");
    json!({
        "id": "fc_scripted",
        "type": "function_call",
        "status": "completed",
        "call_id": "call_0",
        "name": tool,
        "arguments": r#"{"city":"Paris"}"#,
    })
}

fn has_results(body: &Value) -> bool {
    let input = body["input"].as_array();
    input.is_some_and(|items| {
        items
            .iter()
            .any(|item| item["type"] == "function_call_output")
    })
}

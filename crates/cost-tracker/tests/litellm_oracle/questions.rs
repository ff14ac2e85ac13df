//! What both calculators are asked.

use cost_tracker::{Billable, CallType, PriceBook, Priced, Residency, Unpriced, parse_billable};
use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

use crate::usages::{
    Random, Shape, around, bounds, embedding, media_units, other_shapes, plain, rerank, tokens,
    tools,
};

/// One question.
pub(crate) struct Question {
    /// The entry of the map that it is about.
    pub(crate) entry: String,
    /// What is asked for; differs from the entry where names are tried.
    pub(crate) model: String,
    pub(crate) provider: Option<String>,
    pub(crate) call_type: &'static str,
    pub(crate) shape: Shape,
    pub(crate) service: &'static str,
    pub(crate) residency: Option<&'static str>,
    pub(crate) location: Option<&'static str>,
    pub(crate) base_model: Option<String>,
    pub(crate) seconds: Option<Decimal>,
    /// How the name was made.
    pub(crate) name: &'static str,
}

/// How many of them.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Extent {
    /// Every entry, with a third of the usages; classes of service where they have prices.
    Subset,
    /// Everything.
    Whole,
}

impl Question {
    /// The line for LiteLLM.
    pub(crate) fn line(&self) -> String {
        let mut line = json!({"model": self.model, "provider": self.provider, "call_type": self.call_type,
                              "usage": self.shape.usage});
        let mut set = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                line[name] = value;
            }
        };
        match self.service {
            "" => {}
            // LiteLLM prices a batch by another call.
            "batch" => set("call_type", Some("retrieve_batch".into())),
            service => set("service_tier", Some(service.into())),
        }
        set("data_residency", self.residency.map(Into::into));
        set("vertex_location", self.location.map(Into::into));
        set("base_model", self.base_model.clone().map(Into::into));
        let seconds = self.seconds.map(|seconds| seconds.to_string());
        set(
            "seconds",
            seconds.map(|text| serde_json::from_str(&text).unwrap()),
        );
        line.to_string()
    }

    pub(crate) fn call(&self) -> Billable {
        let call_type: CallType = match self.call_type {
            "rerank" => CallType::Rerank,
            "transcription" => CallType::Transcription,
            _ => CallType::AsTheModel,
        };
        let mut call = if self.shape.usage.is_null() {
            Billable::default().with_call_type(call_type)
        } else {
            parse_billable(&self.shape.usage, call_type).expect("the test's usages are good")
        };
        if !self.service.is_empty() {
            call.service_tier = self.service.parse().unwrap();
        }
        call.place.residency = self.residency.map(|region| match region {
            "eu" => Residency::EuropeanUnion,
            _ => Residency::UnitedStates,
        });
        call.place.regional_endpoint = self.location.is_some_and(|place| place != "global");
        if let Some(seconds) = self.seconds {
            match call_type {
                CallType::Transcription => call.units.audio_seconds = seconds,
                _ => call.units.call_seconds = seconds,
            }
        }
        call
    }

    pub(crate) fn ours(&self, book: &PriceBook) -> Result<Priced, Unpriced> {
        let model = self.base_model.as_deref().unwrap_or(&self.model);
        book.price_call(self.provider.as_deref(), model, &self.call())
    }
}

/// The name by which callers know the provider of an entry.
fn caller_provider(entry_provider: &str) -> &str {
    match entry_provider {
        "bedrock_converse" => "bedrock",
        other if other.starts_with("vertex_ai") => "vertex_ai",
        other if other.starts_with("fireworks_ai") => "fireworks_ai",
        other => other,
    }
}

fn call_type(mode: &str) -> Option<&'static str> {
    Some(match mode {
        "chat" | "realtime" => "completion",
        "completion" => "text_completion",
        "responses" => "responses",
        "embedding" => "embedding",
        "rerank" => "rerank",
        "audio_transcription" => "transcription",
        _ => return None,
    })
}

fn question(entry: &str, provider: &str, call_type: &'static str, shape: Shape) -> Question {
    Question {
        entry: entry.to_owned(),
        model: entry.to_owned(),
        provider: Some(provider.to_owned()),
        call_type,
        shape,
        service: "",
        residency: None,
        location: None,
        base_model: None,
        seconds: None,
        name: "key and provider",
    }
}

pub(crate) fn all(map: &Map<String, Value>, extent: Extent, seed: u64) -> Vec<Question> {
    let mut random = Random(seed);
    let mut questions = Vec::new();
    for (number, (key, entry)) in map.iter().enumerate() {
        let Some(call_type) = entry["mode"].as_str().and_then(call_type) else {
            continue;
        };
        let provider = caller_provider(entry["litellm_provider"].as_str().unwrap());
        let about = About {
            number,
            key,
            entry,
            provider,
            call_type,
        };
        about.usages(&mut random, extent, &mut questions);
        about.services(extent, &mut questions);
        about.places(&mut questions);
        about.times(&mut questions);
        if extent == Extent::Whole || number % 10 == 0 {
            about.names(&mut questions);
        }
    }
    questions
}

struct About<'a> {
    number: usize,
    key: &'a str,
    entry: &'a Value,
    provider: &'a str,
    call_type: &'static str,
}

impl About<'_> {
    fn ask(&self, shape: Shape) -> Question {
        question(self.key, self.provider, self.call_type, shape)
    }

    fn has(&self, part: &str) -> bool {
        let fields = self.entry.as_object().unwrap();
        fields.keys().any(|field| field.contains(part))
    }

    fn shapes(&self, random: &mut Random, extent: Extent) -> Vec<Shape> {
        match self.call_type {
            // Price classes by size and no models: one usage shows that.
            _ if self.key.starts_with("together-ai-") => plain().into_iter().take(1).collect(),
            "rerank" => rerank(),
            "embedding" => [embedding(), media_units()].concat(),
            _ => {
                let mut shapes =
                    [tokens(), other_shapes(), tools(self.provider, self.key)].concat();
                shapes.extend(bounds(self.entry).into_iter().flat_map(around));
                let times = if extent == Extent::Whole { 5 } else { 1 };
                shapes.extend((0..times).map(|_| random.usage()));
                if self.has("per_character") || self.has("per_image") || self.has("per_second") {
                    shapes.extend(media_units());
                }
                shapes
            }
        }
    }

    fn usages(&self, random: &mut Random, extent: Extent, questions: &mut Vec<Question>) {
        let shapes = self.shapes(random, extent);
        let first = questions.len();
        questions.extend(shapes.into_iter().map(|shape| self.ask(shape)));
        if extent == Extent::Subset {
            // Each entry is asked a third of them, another third than the entry before.
            let mut index = self.number;
            let third = questions.split_off(first).into_iter().filter(|_| {
                index += 1;
                index.is_multiple_of(3)
            });
            questions.extend(third);
        }
    }

    /// Every class of service: with every usage where the entry has prices of one, else with two.
    fn services(&self, extent: Extent, questions: &mut Vec<Question>) {
        if self.call_type == "rerank" || self.key.starts_with("together-ai-") {
            return;
        }
        let has_classes = self.has("_flex") || self.has("_priority") || self.has("_batches");
        let shapes = match (has_classes, self.call_type) {
            (_, "embedding") if extent == Extent::Whole => embedding(),
            (true, _) => {
                let around = bounds(self.entry).into_iter().flat_map(around).collect();
                [tokens(), other_shapes(), around].concat()
            }
            (false, _) if extent == Extent::Whole => plain(),
            (false, _) => return,
        };
        for service in ["flex", "priority", "fast", "ultrafast", "batch"] {
            questions.extend(shapes.iter().map(|shape| Question {
                service,
                ..self.ask(shape.clone())
            }));
        }
    }

    fn places(&self, questions: &mut Vec<Question>) {
        if self.has("regional_processing_uplift") {
            for (region, service) in [("eu", ""), ("us", ""), ("eu", "priority"), ("us", "batch")] {
                questions.extend(tokens().into_iter().map(|shape| Question {
                    residency: Some(region),
                    service,
                    ..self.ask(shape)
                }));
            }
        }
        if self.has("regional_endpoint_uplift") {
            for place in ["us-east5", "global"] {
                questions.extend(tokens().into_iter().map(|shape| Question {
                    location: Some(place),
                    ..self.ask(shape)
                }));
            }
        }
    }

    /// By seconds of audio, and by those of the call.
    fn times(&self, questions: &mut Vec<Question>) {
        if !self.has("per_second") {
            return;
        }
        let usage = if self.call_type == "transcription" {
            Value::Null
        } else {
            json!({"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30})
        };
        questions.push(Question {
            seconds: Some(Decimal::new(125, 1)),
            ..self.ask(Shape {
                name: "seconds",
                usage,
            })
        });
    }

    /// Other names for the entry.
    fn names(&self, questions: &mut Vec<Question>) {
        let shape = match self.call_type {
            "rerank" => rerank().remove(1),
            "embedding" => embedding().remove(0),
            _ => plain().remove(1),
        };
        let (key, provider) = (self.key, self.provider);
        let bare = key.strip_prefix(&format!("{provider}/")).unwrap_or(key);
        let mut add = |name: &'static str, provider: Option<&str>, model: String| {
            questions.push(Question {
                name,
                model,
                provider: provider.map(str::to_owned),
                ..self.ask(shape.clone())
            });
        };
        add("without provider", None, key.to_owned());
        add("provider before it", None, format!("{provider}/{bare}"));
        add(
            "provider twice",
            Some(provider),
            format!("{provider}/{bare}"),
        );
        add("bare", Some(provider), bare.to_owned());
        add("upper case", Some(provider), key.to_uppercase());
        add("another release", Some(provider), format!("{bare}-001"));
        add(
            "a dated release",
            Some(provider),
            format!("{bare}-20260102"),
        );
        add("another version", Some(provider), format!("{bare}-9"));
        add("a similar name", Some(provider), format!("{bare}-x"));
        add("under a team", Some(provider), format!("team/{bare}"));
        if provider == "bedrock" {
            if !bare.contains('/') {
                add("in an area", Some(provider), format!("us.{bare}"));
                add("everywhere", Some(provider), format!("global.{bare}"));
            }
            add("in a region", Some(provider), format!("us-east-1/{bare}"));
            add("on a route", Some(provider), format!("converse/{bare}"));
            add("with a throughput", Some(provider), format!("{bare}:18k"));
            add("with a window", Some(provider), format!("{bare}[1m]"));
        }
        if provider == "vertex_ai" {
            add("latest", Some(provider), format!("{bare}@latest"));
            add("by an older name", Some("vertex_ai_beta"), bare.to_owned());
        }
        if provider == "openai" {
            add(
                "fine-tuned",
                Some(provider),
                format!("ft:{}:me::id", bare.trim_start_matches("ft:")),
            );
        }
        questions.push(Question {
            name: "as a base model",
            model: "my-deployment".to_owned(),
            base_model: Some(key.to_owned()),
            ..self.ask(shape)
        });
    }
}

//! The reviewed table.

use cost_tracker::{MatchedBy, Unpriced};

use crate::review::{Case, Class, amount, same};

/// LiteLLM answers 0, or leaves out a part, without a price that says so.
pub(crate) const SILENT_ZEROS: [Class; 11] = [
    Class {
        name: "tokens without a price count 0",
        reason: "the map states no price for tokens that were used (capacity commitments, previews, \
                 containers)",
        applies: |case| match case.ours {
            Err(Unpriced::NoPriceForTokens { key, dimension }) => {
                let field = match dimension.as_str() {
                    "input" => "input_cost_per_token",
                    "output" => "output_cost_per_token",
                    _ => return false,
                };
                case.theirs.is_some() && case.map[key][field].is_null()
            }
            _ => false,
        },
    },
    Class {
        name: "cached tokens alone count 0",
        reason: "every token of the call was cached, and the map states no price of cached tokens",
        applies: |case| match case.ours {
            Err(Unpriced::NoPriceForTokens { key, dimension }) => {
                dimension.as_str() == "cached_input"
                    && case.theirs_is_zero()
                    && case.map[key]["cache_read_input_token_cost"].is_null()
            }
            _ => false,
        },
    },
    Class {
        name: "units without a price count 0",
        reason: "images, seconds or characters are all that was used, and the map states no price for them",
        applies: |case| match case.ours {
            Err(Unpriced::NoPriceForTokens { dimension, .. }) => {
                !dimension.is_tokens() && case.theirs_is_zero()
            }
            _ => false,
        },
    },
    Class {
        name: "a song costs 0",
        reason: "the map states 0 for the tokens and a price for each piece of media, which no usage counts",
        applies: |case| {
            matches!(case.ours, Err(Unpriced::ChargedBesideTokens { .. }))
                && case.theirs_is_zero()
                && case.price("output_cost_per_image") > 0.0
        },
    },
    Class {
        name: "a rerank without its count costs 0",
        reason: "the model is charged by search units and the answer has tokens, or the reverse",
        applies: |case| {
            let uncounted = matches!(
                case.ours,
                Err(Unpriced::ChargedBesideTokens { .. } | Unpriced::NoTokens)
            );
            uncounted && case.question.call_type == "rerank" && case.theirs_is_zero()
        },
    },
    Class {
        name: "a rerank by tokens costs 0",
        reason: "the map states a price by token; the calculator asks for one by query for every provider \
                 but two (Novita publishes its rerank prices by token)",
        applies: |case| {
            let tokens = case.question.shape.usage["total_tokens"].as_f64();
            case.question.call_type == "rerank"
                && case.theirs_is_zero()
                && tokens.is_some_and(|tokens| {
                    case.is_more_by(tokens * case.price("input_cost_per_token"))
                })
        },
    },
    Class {
        name: "a batch of a model that is not found costs 0",
        reason: "the batch calculator does not find some models again that were just found, and answers 0; \
                 ours is half of the price that the map states, as for every batch",
        applies: |case| {
            let usage = &case.question.shape.usage;
            let tokens = |value: &serde_json::Value| value.as_f64().unwrap_or(0.0);
            let cached = tokens(&usage["prompt_tokens_details"]["cached_tokens"]);
            let input =
                (tokens(&usage["prompt_tokens"]) - cached) * case.price("input_cost_per_token");
            let output = tokens(&usage["completion_tokens"]) * case.price("output_cost_per_token");
            let read = cached * case.price("cache_read_input_token_cost");
            case.question.service == "batch"
                && case.theirs_is_zero()
                && case.is_more_by((input + read + output) / 2.0)
        },
    },
    Class {
        name: "time costs 0",
        reason: "the map states a price by second alone, and the provider's calculator knows tokens alone",
        applies: |case| {
            let seconds = case.question.seconds.map(|seconds| seconds.to_string());
            let seconds: f64 = seconds.map_or(0.0, |text| text.parse().unwrap());
            let price = case.price("input_cost_per_second") + case.price("output_cost_per_second");
            case.theirs_is_zero() && case.is_more_by(seconds * price)
        },
    },
    Class {
        name: "a name that is not found costs 0",
        reason: "LiteLLM takes a name that looks like a known family for a model without prices; where it \
                 is another name of a listed model we price that, else it is unknown",
        applies: |case| {
            case.is_named_otherwise()
                && case.theirs_is_zero()
                && (case.is_unknown() || case.is_price_of_entry())
        },
    },
    Class {
        name: "requests count 0",
        reason: "the map states one for each request (Perplexity published 5 USD per 1000 for its online \
                 models); LiteLLM's calculator does not read it",
        applies: |case| case.is_more_by(case.price("input_cost_per_request")),
    },
    Class {
        name: "searches after the first count 0",
        reason: "the usage counts several searches; for providers outside its list LiteLLM charges one, \
                 whatever the count (OpenAI and Amazon publish a price for each)",
        applies: |case| {
            let tools = &case.question.shape.usage["server_tool_use"];
            let searches = tools["web_search_requests"].as_f64().unwrap_or(0.0);
            let price = case.entry()["search_context_cost_per_query"]["search_context_size_medium"]
                .as_f64()
                .unwrap_or(0.0);
            case.is_more_by((searches - 1.0) * price)
        },
    },
];

/// Both have a price and differ, or one refuses.
pub(crate) const REVIEWED: [Class; 12] = [
    Class {
        name: "priority audio has a price",
        reason: "the map states one; it gets lost between LiteLLM's map and its calculator, which takes the \
                 standard one (Google publishes a priority price of audio)",
        applies: |case| {
            let usage = &case.question.shape.usage;
            let parts = [
                "prompt_tokens_details",
                "input_token_details",
                "input_tokens_details",
            ];
            let audio = parts
                .iter()
                .find_map(|part| usage[part]["audio_tokens"].as_f64());
            let more = case.price("input_cost_per_audio_token_priority")
                - case.price("input_cost_per_audio_token");
            // Cached audio is not charged as audio.
            let cached = usage["prompt_tokens_details"]["cached_tokens"]
                .as_f64()
                .unwrap_or(0.0);
            let prompt = usage["prompt_tokens"].as_f64().unwrap_or(f64::MAX);
            let audio = audio.map(|audio| audio.min(prompt - cached));
            audio.is_some_and(|audio| case.is_more_by(audio * more))
        },
    },
    Class {
        name: "together: a class by size",
        reason: "LiteLLM guesses a price class from the numbers in a name, also in the names of the classes \
                 themselves; we never guess",
        applies: |case| {
            case.entry_provider() == "together_ai"
                && case.theirs > Some(0.0)
                && (case.is_unknown() || case.is_price_of_entry())
        },
    },
    Class {
        name: "fireworks: a class by size",
        reason: "the same for models of Fireworks that are not listed",
        applies: |case| {
            case.provider() == "fireworks_ai" && case.theirs > Some(0.0) && case.is_unknown()
        },
    },
    Class {
        name: "replicate: by the clock",
        reason: "LiteLLM prices a model of Replicate that it does not find by the time of its own \
                 calculation; ours is the price of the listed model, or none",
        applies: |case| {
            case.entry_provider() == "replicate"
                && case.theirs.is_some_and(|theirs| theirs < 1e-9)
                && (case.is_unknown() || case.is_price_of_entry())
        },
    },
    Class {
        name: "another version is another model",
        reason: "LiteLLM cuts one or two digits off a name of Google or Databricks; a version number is no \
                 release, and a new version has a price of its own",
        applies: |case| {
            case.question.name == "another version"
                && matches!(case.provider(), "vertex_ai" | "gemini" | "databricks")
                && case.is_unknown()
        },
    },
    Class {
        name: "an unknown segment is part of the name",
        reason: "LiteLLM drops a first segment that it does not know; who hosts a model under such a \
                 name may charge what they like",
        applies: |case| case.question.name == "under a team" && case.is_unknown(),
    },
    Class {
        name: "LiteLLM refuses, the price is listed",
        reason: "the name leads to one entry, whose price this is; LiteLLM does not know the provider, or \
                 takes a part of the name for one",
        applies: |case| {
            case.is_named_otherwise() && case.theirs.is_none() && case.is_price_of_entry()
        },
    },
    Class {
        name: "a router's fee is no model's price",
        reason: "LiteLLM adds the fee of Azure's model router to every name that holds these words, to the fee \
                 itself too where it is written in capitals; the price of an unlisted router is unknown",
        applies: |case| {
            case.question.entry.contains("model_router")
                | case.question.entry.contains("model-router")
                && case.provider() == "azure_ai"
                && case.is_named_otherwise()
                && (case.is_unknown() || case.is_price_of_entry())
        },
    },
    Class {
        name: "LiteLLM wants a login",
        reason: "the calculator logs in at the provider to price a batch; the map states the price",
        applies: |case| {
            case.question.service == "batch"
                && case.theirs.is_none()
                && case.provider() == "github_copilot"
                && case.ours.is_ok()
        },
    },
    Class {
        name: "a region keeps its price",
        reason: "behind a route, a throughput or a window LiteLLM drops the region of some names and takes the \
                 price of the model elsewhere; ours is the one that the map states for the region",
        applies: |case| {
            matches!(
                case.question.name,
                "on a route" | "with a throughput" | "with a window"
            ) && case.matched_by() == Some(MatchedBy::BedrockBase)
                && case.is_price_of_entry()
        },
    },
    Class {
        name: "a doubled name is a key",
        reason: "LiteLLM strips the doubled name and takes the price of `perplexity/sonar`, another entry; \
                 ours is the price that the map states under this key",
        applies: |case| {
            case.question.entry == "perplexity/perplexity/sonar" && case.is_price_of_entry()
        },
    },
    Class {
        name: "a key is its own entry",
        reason: "the map lists the model twice, with and without its provider, at two prices; asked without \
                 a provider, ours is the entry of that very name",
        applies: |case| {
            case.question.name == "without provider"
                && case.theirs > Some(0.0)
                && case.is_price_of_entry()
                && case
                    .map
                    .contains_key(&format!("{}/{}", caller(case), case.question.entry))
                && !same(case.ours.as_ref().map_or(0.0, amount), 0.0)
        },
    },
];

/// The provider that LiteLLM infers for a name.
fn caller(case: &Case<'_>) -> String {
    case.entry_provider().replace("_converse", "")
}

//! Names of models as providers write them, and the names that they are made from.

/// Models that LiteLLM knows under a second name (`azure_llms`, `azure_embedding_models`).
const OTHER_NAMES: [(&str, &str); 7] = [
    ("gpt-35-turbo", "azure/gpt-35-turbo"),
    ("gpt-35-turbo-16k", "azure/gpt-35-turbo-16k"),
    ("gpt-35-turbo-instruct", "azure/gpt-35-turbo-instruct"),
    ("azure/gpt-41", "gpt-4.1"),
    ("azure/gpt-41-mini", "gpt-4.1-mini"),
    ("azure/gpt-41-nano", "gpt-4.1-nano"),
    ("ada", "azure/ada"),
];

/// What Bedrock puts before a model for inference across regions.
const BEDROCK_AREAS: [&str; 7] = ["global", "us", "eu", "apac", "jp", "au", "us-gov"];
/// What LiteLLM puts before a Bedrock model to choose an API.
const BEDROCK_ROUTES: [&str; 6] = [
    "bedrock/",
    "converse/",
    "invoke/",
    "openai/",
    "nova-2/",
    "nova/",
];

/// The name under which the same model is listed, from a fixed table.
pub(super) fn other_name(model: &str) -> Option<&'static str> {
    OTHER_NAMES
        .iter()
        .find(|(name, _)| *name == model)
        .map(|(_, other)| *other)
}

/// A Bedrock model without its route and throughput, still with its region; `None` if it has neither.
pub(super) fn bedrock_regional<'a>(provider: &str, model: &'a str) -> Option<&'a str> {
    if !provider.starts_with("bedrock") {
        return None;
    }
    let rest = without_throughput(without_routes(model));
    (rest != model && !rest.is_empty()).then_some(rest)
}

fn without_routes(model: &str) -> &str {
    BEDROCK_ROUTES.iter().fold(model, |rest, route| {
        rest.strip_prefix(route).unwrap_or(rest)
    })
}

/// `converse/us.anthropic.claude-x-v1:0:18k` → `anthropic.claude-x-v1:0`; `None` if nothing falls off.
pub(super) fn bedrock_base(model: &str) -> Option<&str> {
    let routed = without_route_to_spec(model);
    for (spec, custom) in [
        ("nova-2/", "amazon.nova-2-custom"),
        ("nova/", "amazon.nova-custom"),
    ] {
        if routed.starts_with(spec) {
            return Some(custom);
        }
    }
    let mut rest = without_routes(model);
    if rest.starts_with("arn:") {
        rest = rest.rsplit('/').next().unwrap_or(rest);
    }
    rest = without_throughput(rest);
    rest = match rest.split_once('.') {
        Some((area, base)) if BEDROCK_AREAS.contains(&area) => base,
        _ => match rest.split_once('/') {
            Some((region, base)) if is_aws_region(region) => base,
            _ => rest,
        },
    };
    (rest != model && !rest.is_empty()).then_some(rest)
}

fn without_route_to_spec(model: &str) -> &str {
    ["bedrock/converse/", "bedrock/", "converse/"]
        .iter()
        .find_map(|route| model.strip_prefix(route))
        .unwrap_or(model)
}

/// `name:0:18k` → `name:0`, `name[1m]` → `name`.
fn without_throughput(model: &str) -> &str {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if let Some((rest, throughput)) = model.rsplit_once(':')
        && throughput.strip_suffix('k').is_some_and(is_number)
        && rest
            .rsplit_once(':')
            .is_some_and(|(_, version)| is_number(version))
    {
        return rest;
    }
    match model
        .strip_suffix(']')
        .and_then(|open| open.rsplit_once('['))
    {
        Some((rest, window)) if is_word(window) => rest,
        _ => model,
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || c == '_')
}

/// `us-east-1`, `us-gov-west-1`.
fn is_aws_region(text: &str) -> bool {
    let mut parts = text.split('-');
    let ends_in_number = parts
        .next_back()
        .is_some_and(|last| last.len() == 1 && last.bytes().all(|byte| byte.is_ascii_digit()));
    let mut count = 0;
    let in_words = parts.all(|part| {
        count += 1;
        part.len() >= 2 && part.bytes().all(|byte| byte.is_ascii_lowercase())
    });
    ends_in_number && in_words && (2..=3).contains(&count)
}

/// `gemini-x-002` → `gemini-x`: a release or a date of the same model.
///
/// LiteLLM cuts off any number. One or two digits are a version, though, and another version is another
/// model with a price of its own: `claude-opus-4-9` is not `claude-opus-4`.
pub(super) fn unversioned(model: &str) -> Option<&str> {
    let (base, release) = model.rsplit_once('-')?;
    let is_release = release.len() >= 3 && release.bytes().all(|byte| byte.is_ascii_digit());
    (is_release && !base.is_empty()).then_some(base)
}

/// `ft:gpt-4o-mini:org:suffix:id` → `ft:gpt-4o-mini`, under which the price of such models is listed.
pub(super) fn fine_tuned_base(model: &str) -> Option<&str> {
    if !model.contains("ft:") {
        return None;
    }
    let (at, _) = model.rmatch_indices(':').nth(2)?;
    model.get(..at).filter(|base| base.len() > "ft:".len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bedrock_names_lose_route_region_and_throughput() {
        for (name, base) in [
            ("us.meta.llama-v1:0", Some("meta.llama-v1:0")),
            ("global.anthropic.claude-x", Some("anthropic.claude-x")),
            ("converse/eu.anthropic.claude-x", Some("anthropic.claude-x")),
            (
                "bedrock/invoke/anthropic.claude-x",
                Some("anthropic.claude-x"),
            ),
            ("us-east-1/anthropic.claude-x", Some("anthropic.claude-x")),
            (
                "us-gov-west-1/anthropic.claude-x",
                Some("anthropic.claude-x"),
            ),
            (
                "anthropic.claude-x-v2:0:51k",
                Some("anthropic.claude-x-v2:0"),
            ),
            (
                "us.anthropic.claude-x-v1[1m]",
                Some("anthropic.claude-x-v1"),
            ),
            (
                "arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-x",
                Some("anthropic.claude-x"),
            ),
            ("nova/arn:aws:bedrock:x", Some("amazon.nova-custom")),
            ("bedrock/nova-2/x", Some("amazon.nova-2-custom")),
            ("anthropic.claude-x", None),
            ("anthropic.claude-x:0:k", None),
            ("anthropic.claude-x:51k", None),
            ("not-a-region/x", None),
            ("de.anthropic.claude-x", None),
        ] {
            assert_eq!(bedrock_base(name), base, "{name}");
        }
    }

    #[test]
    fn a_release_falls_off_and_a_version_does_not() {
        assert_eq!(unversioned("gemini-1.5-pro-002"), Some("gemini-1.5-pro"));
        assert_eq!(unversioned("claude-x-20250514"), Some("claude-x"));
        assert_eq!(unversioned("claude-opus-4-9"), None);
        assert_eq!(unversioned("gemini-10"), None);
        assert_eq!(unversioned("gemini"), None);
        assert_eq!(unversioned("-002"), None);
    }

    #[test]
    fn a_fine_tuned_name_loses_its_last_three_parts() {
        assert_eq!(fine_tuned_base("ft:gpt-4o:org:x:id"), Some("ft:gpt-4o"));
        assert_eq!(fine_tuned_base("ft:gpt-4o:org::id"), Some("ft:gpt-4o"));
        assert_eq!(fine_tuned_base("ft:gpt-4o"), None);
        assert_eq!(fine_tuned_base("ft:gpt-4o:a:b"), None);
        assert_eq!(fine_tuned_base("gpt:a:b:c"), None);
    }

    #[test]
    fn no_name_makes_taking_it_apart_panic() {
        for name in [
            "", ":", "::::", "/", "[", "[]", "]", "ft:", "ü[ü]", "nova/", "-", "a-é", "arn:",
        ] {
            let _ = (
                bedrock_base(name),
                unversioned(name),
                fine_tuned_base(name),
                other_name(name),
            );
        }
    }
}

//! What the proxy itself says about its models: prices that whoever runs it has set, and base models.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::book::PriceBook;
use super::entry::Entry;
use super::layer::Layer;
use crate::price_map::kept_prices;

/// One deployment of the proxy (`GET /model/info`), as far as its price depends on it.
#[derive(Clone, Copy, Debug)]
pub struct Deployment<'a> {
    /// The model as the proxy calls it: `openai/gpt-4o-mini`.
    pub model: &'a str,
    /// `litellm_params`: a price in here was set by whoever runs the proxy.
    pub params: &'a Map<String, Value>,
    /// `model_info`: all prices of the deployment, its provider, and perhaps a `base_model`.
    pub info: &'a Map<String, Value>,
}

/// What one deployment states of its price.
#[derive(Clone, Debug, PartialEq)]
enum Stated {
    /// Nothing of its own: the map counts.
    Nothing,
    /// Prices, in the form of the map.
    Prices(String),
    /// The prices of another model.
    Base(String),
}

impl Stated {
    fn of(deployment: &Deployment<'_>) -> Self {
        if !kept_prices(deployment.params).is_empty() {
            let mut prices = kept_prices(deployment.info);
            prices.extend(kept_prices(deployment.params));
            for field in ["litellm_provider", "mode"] {
                let text = deployment.info.get(field).filter(|value| value.is_string());
                let otherwise = if field == "mode" { "chat" } else { "" };
                let text = text.cloned().unwrap_or_else(|| otherwise.into());
                prices.insert(field.to_owned(), text);
            }
            return Self::Prices(Value::Object(prices).to_string());
        }
        let base = deployment.info.get("base_model").and_then(Value::as_str);
        base.map_or(Self::Nothing, |base| Self::Base(base.to_owned()))
    }
}

impl PriceBook {
    /// This book with what the proxy says about its own models.
    ///
    /// A price that whoever runs the proxy has set for a deployment, and its `base_model`, count before the
    /// map and after the user's own prices. Prices that the proxy has from its copy of the map do not: the
    /// book is a second opinion on them.
    ///
    /// Where two deployments of one model state different prices, or one that can not be read, the model has
    /// no price: which of them answered can not be told from the model's name.
    #[must_use]
    pub fn with_deployments<'a>(
        &self,
        deployments: impl IntoIterator<Item = Deployment<'a>>,
    ) -> Self {
        let mut stated: HashMap<&str, Option<Stated>> = HashMap::new();
        for deployment in deployments {
            let said = Stated::of(&deployment);
            let known = stated
                .entry(deployment.model)
                .or_insert_with(|| Some(said.clone()));
            if *known != Some(said) {
                *known = None;
            }
        }
        let entries = stated.into_iter().filter_map(|(model, said)| {
            let entry = match said {
                Some(Stated::Nothing) => return None,
                Some(Stated::Prices(prices)) => serde_json::from_str(&prices).unwrap_or_default(),
                Some(Stated::Base(base)) => self.lookup(None, &base)?.entry().clone(),
                None => Entry::default(),
            };
            Some((model.to_owned(), entry))
        });
        self.with_layer_of_proxy(Layer::new(entries.collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MatchedBy, PriceOrigin, Unpriced};
    use event_payloads::TokenUsage;
    use serde_json::json;

    fn book(deployments: &[Value]) -> PriceBook {
        let objects = deployments.iter().map(|deployment| {
            let object = |field: &str| deployment[field].as_object().unwrap().clone();
            (
                deployment["model"].as_str().unwrap(),
                object("params"),
                object("info"),
            )
        });
        let objects: Vec<_> = objects.collect();
        let deployments = objects.iter().map(|(model, params, info)| Deployment {
            model,
            params,
            info,
        });
        PriceBook::builtin().with_deployments(deployments)
    }

    fn usd(book: &PriceBook, model: &str) -> Result<String, Unpriced> {
        let usage = TokenUsage::new(1000, 100);
        book.price(Some("openai"), model, &usage)
            .map(|priced| priced.total.to_string())
    }

    fn priced(model: &str, input: f64) -> Value {
        json!({
            "model": model,
            "params": {"input_cost_per_token": input, "output_cost_per_token": 0.00001},
            "info": {"input_cost_per_token": input, "output_cost_per_token": 0.00001, "litellm_provider": "openai", "mode": null},
        })
    }

    #[test]
    fn a_price_that_was_set_at_the_proxy_counts_before_the_map() {
        let book = book(&[
            priced("openai/mine", 1e-6),
            priced("openai/gpt-4o-mini", 2e-6),
        ]);
        assert_eq!(usd(&book, "mine").unwrap(), "0.002");
        assert_eq!(usd(&book, "gpt-4o-mini").unwrap(), "0.003");
        let found = book.lookup(Some("openai"), "mine").unwrap();
        assert_eq!(
            (found.origin(), found.by()),
            (PriceOrigin::Proxy, MatchedBy::Name)
        );
        let toml = "[models.\"openai/mine\"]\ninput_per_million = 3.0\noutput_per_million = 10.0\n";
        let user = book.with_overrides(toml).unwrap();
        assert_eq!(usd(&user, "mine").unwrap(), "0.004", "the user's own first");
    }

    #[test]
    fn what_the_proxy_has_from_its_map_does_not_count_as_its_own() {
        let copied = json!({
            "model": "openai/gpt-4o-mini",
            "params": {"input_cost_per_token": null},
            "info": {"input_cost_per_token": 0.5, "output_cost_per_token": 0.5, "litellm_provider": "openai"},
        });
        let book = book(&[copied]);
        assert_eq!(
            usd(&book, "gpt-4o-mini"),
            usd(&PriceBook::builtin(), "gpt-4o-mini")
        );
    }

    #[test]
    fn a_base_model_lends_its_prices() {
        let based = json!({"model": "azure/my-deployment", "params": {}, "info": {"base_model": "azure/gpt-4o-mini"}});
        let unknown =
            json!({"model": "azure/other", "params": {}, "info": {"base_model": "azure/nope"}});
        let book = book(&[based, unknown]);
        let usage = TokenUsage::new(1000, 100);
        let lent = book.price(Some("azure"), "my-deployment", &usage).unwrap();
        let own = book.price(Some("azure"), "gpt-4o-mini", &usage).unwrap();
        assert_eq!(lent.total, own.total);
        assert!(book.price(Some("azure"), "other", &usage).is_err());
    }

    #[test]
    fn two_prices_for_one_model_are_none_and_so_is_one_that_is_no_price() {
        let plain = json!({"model": "openai/gpt-4o-mini", "params": {}, "info": {}});
        for deployments in [
            vec![priced("openai/gpt-4o-mini", 1e-6), plain],
            vec![
                priced("openai/gpt-4o-mini", 1e-6),
                priced("openai/gpt-4o-mini", 2e-6),
                priced("openai/gpt-4o-mini", 1e-6),
            ],
            vec![priced("openai/gpt-4o-mini", -1.0)],
        ] {
            assert!(usd(&book(&deployments), "gpt-4o-mini").is_err());
        }
        let same = [
            priced("openai/gpt-4o-mini", 1e-6),
            priced("openai/gpt-4o-mini", 1e-6),
        ];
        assert_eq!(usd(&book(&same), "gpt-4o-mini").unwrap(), "0.002");
    }
}

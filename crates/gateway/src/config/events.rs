//! Where events are published.

use event_relay::{InvalidNats, NatsConfig};

use super::file::Events;
use super::{ConfigError, Environment};

const VARIABLE: &str = "OCTO_NATS_URL";
const KEY: &str = "events.nats_url";

/// `None` if no URL is set.
pub(super) fn nats(
    environment: &Environment,
    file: &Events,
) -> Result<Option<NatsConfig>, ConfigError> {
    let in_file = file.nats_url.as_deref().map(str::trim);
    let in_file = in_file.filter(|url| !url.is_empty());
    let config = match (environment.get(VARIABLE), in_file) {
        (Some(url), _) => NatsConfig::new(url).map_err(|error| refused(VARIABLE, HIDDEN, error))?,
        (None, Some(url)) => {
            let config = NatsConfig::new(url).map_err(|error| refused(KEY, HIDDEN, error))?;
            if config.has_login() {
                return Err(ConfigError::Value {
                    name: KEY.to_owned(),
                    value: HIDDEN.to_owned(),
                    allowed: format!(
                        "a URL without a password or token; one with them belongs into .env, as {VARIABLE}"
                    ),
                });
            }
            config
        }
        (None, None) => return Ok(None),
    };
    let config = match &file.nats_stream {
        Some(name) => {
            let named = config.with_stream(name);
            named.map_err(|error| refused("events.nats_stream", name, error))?
        }
        None => config,
    };
    let config = match &file.nats_subjects {
        Some(start) => {
            let named = config.with_subjects(start);
            named.map_err(|error| refused("events.nats_subjects", start, error))?
        }
        None => config,
    };
    Ok(Some(config))
}

/// A URL may hold a password, so it is not repeated.
const HIDDEN: &str = "(not shown)";

fn refused(name: &str, value: &str, error: InvalidNats) -> ConfigError {
    ConfigError::Value {
        name: name.to_owned(),
        value: event_payloads::first_chars(value, 80).to_owned(),
        allowed: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, file: &Events) -> Result<Option<NatsConfig>, String> {
        let environment = Environment::of_pairs([(VARIABLE, url.to_owned())]);
        nats(&environment, file).map_err(|error| error.to_string())
    }

    fn file(url: &str) -> Events {
        Events {
            nats_url: Some(url.into()),
            ..Events::default()
        }
    }

    #[test]
    fn no_url_or_an_empty_one_publishes_nowhere() {
        assert!(check("", &Events::default()).unwrap().is_none());
        assert!(check(" ", &file("")).unwrap().is_none());
    }

    #[test]
    fn the_environment_wins_over_the_file() {
        let of = |url| check(url, &file("nats://file")).unwrap().unwrap().servers();
        assert_eq!(of("nats://env:1"), "nats://env:1");
        assert_eq!(of(""), "nats://file:4222");
    }

    #[test]
    fn a_bad_url_is_an_error_that_names_the_setting_and_not_the_url() {
        let message = check("http://octo:hidden@host", &Events::default()).unwrap_err();
        assert!(
            message.contains(VARIABLE) && message.contains("nats://HOST:PORT"),
            "{message}"
        );
        assert!(!message.contains("hidden"), "{message}");
    }

    #[test]
    fn a_password_in_the_file_is_refused_without_being_shown() {
        let message = check("", &file("nats://octo:hidden@host")).unwrap_err();
        assert!(
            message.contains(KEY) && message.contains(".env"),
            "{message}"
        );
        assert!(!message.contains("hidden"), "{message}");
    }

    #[test]
    fn the_stream_and_its_subjects_can_be_named() {
        let named = |stream: &str, subjects: &str| Events {
            nats_stream: Some(stream.into()),
            nats_subjects: Some(subjects.into()),
            ..Events::default()
        };
        let config = check("localhost", &named("B", "octo.b")).unwrap().unwrap();
        assert_eq!((config.stream(), config.subjects()), ("B", "octo.b"));
        assert!(
            check("localhost", &named("B.C", "octo.b"))
                .unwrap_err()
                .contains("`B.C`")
        );
        assert!(
            check("localhost", &named("B", "*"))
                .unwrap_err()
                .contains("events.nats_subjects")
        );
    }
}

//! The database that several gateways share.

use event_store::PostgresOptions;
use secrecy::SecretString;

use super::{ConfigError, Environment};

const VARIABLE: &str = "OCTO_DATABASE_URL";
const KEY: &str = "storage.database_url";
/// A URL may hold a password, so it is not repeated.
const HIDDEN: &str = "(not shown)";

/// `None` if no URL is set: the store is in a file then.
pub(super) fn url(
    environment: &Environment,
    file: Option<&str>,
) -> Result<Option<SecretString>, ConfigError> {
    let in_file = file.map(str::trim).filter(|url| !url.is_empty());
    let (name, url) = match (environment.get(VARIABLE), in_file) {
        (Some(url), _) => (VARIABLE, url),
        (None, Some(url)) => (KEY, url),
        (None, None) => return Ok(None),
    };
    let refused = |allowed: String| ConfigError::Value {
        name: name.to_owned(),
        value: HIDDEN.to_owned(),
        allowed,
    };
    let options = PostgresOptions::new(url).map_err(|error| {
        refused(format!(
            "a URL such as postgres://user:password@host:5432/database ({error})"
        ))
    })?;
    if name == KEY && options.has_password() {
        return Err(refused(format!(
            "a URL without a password; one with it belongs into .env, as {VARIABLE}"
        )));
    }
    Ok(Some(SecretString::from(url)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    fn check(variable: &str, file: &str) -> Result<Option<String>, String> {
        let environment = Environment::of_pairs([(VARIABLE, variable.to_owned())]);
        let url = url(&environment, Some(file)).map_err(|error| error.to_string())?;
        Ok(url.map(|url| url.expose_secret().to_owned()))
    }

    #[test]
    fn the_environment_wins_over_the_file_and_empty_counts_as_unset() {
        let of = |variable| check(variable, "postgres://file/octo").unwrap().unwrap();
        assert_eq!(
            of("postgresql://octo:pw@env/octo"),
            "postgresql://octo:pw@env/octo"
        );
        assert_eq!(of(" "), "postgres://file/octo");
        assert_eq!(check("", " ").unwrap(), None);
    }

    #[test]
    fn a_wrong_url_is_named_by_its_setting_and_not_shown() {
        for url in [
            "mysql://octo:hidden@db/octo",
            "octo:hidden",
            "postgres://octo:hidden@db:x/octo",
        ] {
            let told = check(url, "").unwrap_err();
            assert!(
                told.contains(VARIABLE) && told.contains("postgres://"),
                "{told}"
            );
            assert!(!told.contains("hidden"), "{told}");
        }
    }

    #[test]
    fn a_password_in_the_file_is_refused_without_being_shown() {
        let told = check("", "postgres://octo:hidden@db/octo").unwrap_err();
        assert!(told.contains(KEY) && told.contains(".env"), "{told}");
        assert!(!told.contains("hidden"), "{told}");
    }
}

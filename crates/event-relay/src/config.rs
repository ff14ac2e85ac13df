//! Where to publish.

use std::str::FromStr;

use async_nats::ServerAddr;
use secrecy::SecretString;

/// The stream that is used if none is named.
const STREAM: &str = "OCTO_EVENTS";
/// What every subject starts with if nothing else is asked for.
const SUBJECTS: &str = "octo.events";

/// A NATS setting that can not be used. Does not repeat a URL, which may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidNats {
    /// The URL.
    #[error(
        "a NATS URL is nats://HOST:PORT or tls://HOST:PORT, with USER:PASSWORD@ or TOKEN@ before the host if needed, and several of them are separated by commas"
    )]
    Url,
    /// Two servers of one cluster with different credentials.
    #[error("all servers of one NATS URL have the same user and password")]
    Credentials,
    /// The stream's name.
    #[error("the name of a NATS stream has 1 to 255 letters, digits, `-` and `_`")]
    Stream,
    /// The start of the subjects.
    #[error(
        "the start of NATS subjects is words of letters, digits, `-` and `_` with dots between"
    )]
    Subjects,
}

/// Who we are to the server.
#[derive(Clone, Debug)]
pub(crate) enum Login {
    Nobody,
    User {
        name: String,
        password: SecretString,
    },
    Token(SecretString),
}

/// The server, who we are to it, and the stream. Its `Debug` output shows no secret.
#[derive(Clone, Debug)]
pub struct NatsConfig {
    /// Without credentials.
    servers: Vec<String>,
    login: Login,
    stream: String,
    subjects: String,
}

impl NatsConfig {
    /// For a URL such as `nats://localhost:4222`, `tls://user:password@host` or `nats://token@host`; several
    /// servers of a cluster with commas between. The stream is `OCTO_EVENTS`, its subjects are
    /// `octo.events.>`.
    ///
    /// # Errors
    /// The URL can not be used.
    pub fn new(url: &str) -> Result<Self, InvalidNats> {
        let mut servers = Vec::new();
        let mut credentials: Option<(String, Option<String>)> = None;
        for part in url.split(',') {
            let server = ServerAddr::from_str(part.trim()).map_err(|_| InvalidNats::Url)?;
            let path = server.clone().into_inner();
            let bare = matches!(path.path(), "" | "/") && path.query().is_none();
            if server.host().is_empty() || server.is_websocket() || !bare {
                return Err(InvalidNats::Url);
            }
            let given = decoded(server.username())?
                .map(|name| decoded(server.password()).map(|password| (name, password)));
            match (given.transpose()?, &credentials) {
                (None, _) => {}
                (Some(given), None) => credentials = Some(given),
                (Some(given), Some(known)) if given == *known => {}
                (Some(_), Some(_)) => return Err(InvalidNats::Credentials),
            }
            servers.push(address(&server));
        }
        Ok(Self {
            servers,
            login: match credentials {
                None => Login::Nobody,
                Some((token, None)) => Login::Token(token.into()),
                Some((name, Some(password))) => Login::User {
                    name,
                    password: password.into(),
                },
            },
            stream: STREAM.to_owned(),
            subjects: SUBJECTS.to_owned(),
        })
    }

    /// Another stream. Each installation needs one of its own: a stream is a copy of one log.
    ///
    /// # Errors
    /// The name is not one.
    pub fn with_stream(mut self, name: &str) -> Result<Self, InvalidNats> {
        if !is_word(name) || name.len() > 255 {
            return Err(InvalidNats::Stream);
        }
        self.stream = name.to_owned();
        Ok(self)
    }

    /// Another start of the subjects: `octo.events` means `octo.events.<type>.<task>`.
    ///
    /// # Errors
    /// It can not start a subject.
    pub fn with_subjects(mut self, start: &str) -> Result<Self, InvalidNats> {
        if !start.split('.').all(is_word) || start.len() > 255 {
            return Err(InvalidNats::Subjects);
        }
        self.subjects = start.to_owned();
        Ok(self)
    }

    /// The servers, without credentials.
    #[must_use]
    pub fn servers(&self) -> String {
        self.servers.join(",")
    }

    /// The name of the stream.
    #[must_use]
    pub fn stream(&self) -> &str {
        &self.stream
    }

    /// What every subject starts with.
    #[must_use]
    pub fn subjects(&self) -> &str {
        &self.subjects
    }

    /// True if there is a password or a token.
    #[must_use]
    pub fn has_login(&self) -> bool {
        !matches!(self.login, Login::Nobody)
    }

    pub(crate) fn addresses(&self) -> &[String] {
        &self.servers
    }

    pub(crate) fn login(&self) -> &Login {
        &self.login
    }
}

fn is_word(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    !text.is_empty() && text.bytes().all(allowed)
}

fn decoded(part: Option<&str>) -> Result<Option<String>, InvalidNats> {
    let Some(part) = part else { return Ok(None) };
    let text = percent_encoding::percent_decode_str(part).decode_utf8();
    Ok(Some(text.map_err(|_| InvalidNats::Url)?.into_owned()))
}

fn address(server: &ServerAddr) -> String {
    let (scheme, host, port) = (server.scheme(), server.host(), server.port());
    if host.contains(':') {
        return format!("{scheme}://[{host}]:{port}");
    }
    format!("{scheme}://{host}:{port}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    #[test]
    fn a_url_is_taken_apart_and_its_secrets_are_shown_nowhere() {
        let config = NatsConfig::new("tls://octo:p%40ss-hidden@[::1]:4333").unwrap();
        assert_eq!(config.servers(), "tls://[::1]:4333");
        assert!(config.has_login());
        let Login::User { name, password } = config.login() else {
            panic!("{config:?}")
        };
        assert_eq!(
            (name.as_str(), password.expose_secret()),
            ("octo", "p@ss-hidden")
        );
        assert!(!format!("{config:?}").contains("hidden"));
        let config = NatsConfig::new("nats://tok-hidden@a,nats://b:1").unwrap();
        assert_eq!(config.servers(), "nats://a:4222,nats://b:1");
        assert!(config.has_login());
        assert!(
            matches!(config.login(), Login::Token(token) if token.expose_secret() == "tok-hidden")
        );
        assert!(!format!("{config:?}").contains("hidden"));
        let config = NatsConfig::new("localhost").unwrap();
        assert_eq!(config.servers(), "nats://localhost:4222");
        assert!(!config.has_login());
    }

    #[test]
    fn what_is_no_url_of_a_nats_server_is_refused_without_being_repeated() {
        for url in [
            "",
            "http://hidden",
            "nats://",
            "nats://a:hidden",
            "nats://a/hidden",
            "ws://hidden",
            "nats://a,,",
        ] {
            let error = NatsConfig::new(url).unwrap_err();
            assert_eq!(error, InvalidNats::Url, "{url}");
            assert!(!error.to_string().contains("hidden"));
        }
        assert_eq!(
            NatsConfig::new("nats://u:1@a,nats://u:2@b").unwrap_err(),
            InvalidNats::Credentials
        );
    }

    #[test]
    fn names_that_would_mean_something_else_to_the_server_are_refused() {
        let config = NatsConfig::new("localhost").unwrap();
        for name in ["", "A.B", "A B", "*", ">", "é"] {
            assert_eq!(
                config.clone().with_stream(name).unwrap_err(),
                InvalidNats::Stream
            );
        }
        for start in ["", ".", "a.", "a..b", "a.*", "a b", "$JS.>"] {
            assert_eq!(
                config.clone().with_subjects(start).unwrap_err(),
                InvalidNats::Subjects
            );
        }
        let other = config
            .with_stream("A_1")
            .unwrap()
            .with_subjects("a.b-c")
            .unwrap();
        assert_eq!((other.stream(), other.subjects()), ("A_1", "a.b-c"));
    }
}

//! Names of things, told apart by type.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use ulid::Ulid;

/// Longest identifier, in bytes.
pub const MAX_ID_BYTES: usize = 128;

/// A text that can not be an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an identifier has 1 to {MAX_ID_BYTES} bytes of letters, digits and `-_.:`, not `{0}`")]
pub struct InvalidId(String);

fn check(text: &str) -> Result<(), InvalidId> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    if text.is_empty() || text.len() > MAX_ID_BYTES || !text.bytes().all(allowed) {
        return Err(InvalidId(
            crate::first_chars(text, 40).escape_debug().to_string(),
        ));
    }
    Ok(())
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// A ULID where we make it; any [`InvalidId`]-free text where it was made elsewhere.
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schemars(with = "String")]
        pub struct $name(Box<str>);

        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<Ulid> for $name {
            fn from(ulid: Ulid) -> Self {
                Self(ulid.to_string().into())
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                check(text)?;
                Ok(Self(text.into()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, InvalidId> {
                check(&text)?;
                Ok(Self(text.into()))
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0.into()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

identifier! {
    /// Names an event. Ordered by time within one store.
    EventId
}
identifier! {
    /// Names a task.
    TaskId
}
identifier! {
    /// Names an artifact.
    ArtifactId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_identifiers_are_refused() {
        for text in ["", "a b", "../etc", "a\n", "é", &"x".repeat(129)] {
            assert!(text.parse::<TaskId>().is_err(), "{text:?}");
        }
        assert_eq!(
            "run-42.a:b_c".parse::<TaskId>().unwrap().as_str(),
            "run-42.a:b_c"
        );
    }

    #[test]
    fn a_ulid_prints_as_its_26_characters() {
        let id = EventId::from(Ulid::from_parts(1, 1));
        assert_eq!(id.as_str(), "00000000010000000000000001");
        assert_eq!(id.as_str().parse::<EventId>().unwrap(), id);
    }
}

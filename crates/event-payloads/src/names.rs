//! Names that route and attribute a call.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Longest name, in bytes.
const MAX_NAME_BYTES: usize = 256;

/// A text that can not be a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a name has 1 to {MAX_NAME_BYTES} bytes and no control characters, not `{0}`")]
pub struct InvalidName(String);

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Box<str>);

        impl $name {
            /// The text; never empty.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, InvalidName> {
                let text = text.trim();
                if text.is_empty() || text.len() > MAX_NAME_BYTES || text.chars().any(char::is_control) {
                    return Err(InvalidName(crate::first_chars(text, 40).escape_debug().to_string()));
                }
                Ok(Self(text.into()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;

            fn try_from(text: String) -> Result<Self, InvalidName> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.into()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name! {
    /// What the proxy calls `model_name`: a group of deployments that it balances over.
    RuntimeGroup
}
name! {
    /// What costs are attributed to: `cheap`, `main`, `fallback`.
    Category
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_never_empty_and_never_carries_control_characters() {
        for text in ["", "  ", "a\u{0}b", "a\r\nx-header: 1", &"x".repeat(300)] {
            assert!(text.parse::<RuntimeGroup>().is_err(), "{text:?}");
        }
        assert_eq!(" main ".parse::<RuntimeGroup>().unwrap().as_str(), "main");
    }
}

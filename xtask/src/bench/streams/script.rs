//! What a stream is to look like. It travels as the prompt, so that it gets through whatever is between
//! the load and the stand-in upstream.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Chunks with text, and when they come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::bench) struct Script {
    pub(in crate::bench) chunks: u32,
    /// Before the first.
    pub(in crate::bench) first_ms: u32,
    /// Before each of the others.
    pub(in crate::bench) between_ms: u32,
}

impl Script {
    /// All at once.
    pub(in crate::bench) fn fast(chunks: u32) -> Self {
        Self::paced(chunks, 0)
    }

    /// The first at once, the others at a distance.
    pub(in crate::bench) fn paced(chunks: u32, between_ms: u32) -> Self {
        Self {
            chunks,
            first_ms: 0,
            between_ms,
        }
    }

    /// How long to wait before the chunk of this number (the first is 0).
    pub(in crate::bench) fn pause_before(&self, chunk: u32) -> Duration {
        let ms = if chunk == 0 {
            self.first_ms
        } else {
            self.between_ms
        };
        Duration::from_millis(ms.into())
    }

    /// How long the whole takes.
    pub(in crate::bench) fn length(&self) -> Duration {
        let pauses = self.chunks.saturating_sub(1);
        self.pause_before(0) + self.pause_before(1) * pauses
    }

    pub(in crate::bench) fn to_prompt(self) -> String {
        // Numbers alone can always be written.
        serde_json::to_string(&self).unwrap_or_default()
    }

    pub(in crate::bench) fn of_prompt(prompt: &str) -> Option<Self> {
        serde_json::from_str(prompt).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_survives_being_a_prompt() {
        let script = Script {
            first_ms: 3,
            ..Script::paced(5, 20)
        };
        assert_eq!(Script::of_prompt(&script.to_prompt()), Some(script));
        assert_eq!(Script::of_prompt("What is two plus two?"), None);
    }

    #[test]
    fn a_stream_is_as_long_as_its_pauses() {
        let ms = |script: Script| script.length().as_millis();
        assert_eq!(ms(Script::paced(5, 20)), 80);
        assert_eq!(ms(Script::fast(5)), 0);
        let late = Script {
            first_ms: 7,
            ..Script::paced(1, 20)
        };
        assert_eq!(ms(late), 7);
    }
}

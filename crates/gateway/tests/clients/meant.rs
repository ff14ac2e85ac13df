//! Where octo is meant to be other than the proxy, and why. What exactly each side says is in the snapshots
//! `…-differences`.

/// A place, or several, where a difference is meant.
pub(crate) struct Meant {
    /// Case and path in what it saw; `*` is any one part, and everything below is in it.
    pub(crate) place: &'static str,
    pub(crate) why: &'static str,
}

const fn meant(place: &'static str, why: &'static str) -> Meant {
    Meant { place, why }
}

const WORDS: &str =
    "the code and the type are OpenAI's words, where the proxy has the status as text";

const UPSTREAM: &str = "a failure behind octo is a 502, whatever it was; the library raises the same class, and tries again";

pub(crate) const MEANT: &[Meant] = &[
    meant(
        "error_wrong_key",
        "a wrong key is a 401, so that the library raises AuthenticationError; without a database the proxy says 400",
    ),
    meant(
        "error_unknown_model",
        "an unknown alias is answered by the group `main`, with a warning in a header",
    ),
    meant(
        "requests/chat completions/main",
        "the request of the unknown alias",
    ),
    meant(
        "completions_streamed/usage",
        "the proxy sends a usage of zeros with every piece unless it was asked for one; octo asks always, and hides it",
    ),
    meant(
        "requests/completions/*/*/stream_options",
        "a stream without usage could not be priced",
    ),
    meant(
        "error_of_the_providers_key",
        "the key that was refused is the proxy's: the caller's is fine, and no other key would help",
    ),
    meant("error_model_not_found", WORDS),
    meant("error_server", UPSTREAM),
    meant("error_overloaded", WORDS),
    meant("error_nobody_there", UPSTREAM),
    meant("error_rate_limit", WORDS),
    meant("error_rate_limit_with_retry_after", WORDS),
    meant("error_context_length_exceeded", WORDS),
    meant("error_content_policy", WORDS),
    meant("error_invalid_request", WORDS),
    meant("error_no_messages", WORDS),
    meant("no_retry_of_a_fault_of_the_caller", WORDS),
    meant("failure_mid_stream/failure", WORDS),
    meant("failure_mid_stream_of_completions/failure", WORDS),
    meant("failure_mid_stream_of_responses/failure", WORDS),
    meant("connection_cut_mid_stream/failure", WORDS),
    meant("connection_cut_mid_stream_of_completions/failure", WORDS),
    meant("connection_cut_mid_stream_of_responses/failure", WORDS),
];

//! A streamed answer as LiteLLM Proxy 1.102.4 gives it.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame};
use serde::Deserialize;
use sse_reader::data_frame;
use tokio::time::{Sleep, sleep};

use crate::bench::streams::{Script, stamp};

/// What every chunk begins with. The body's model is the group.
const HEAD: &str = r#"{"id":"chatcmpl-0190f0a5-6f7e-7c11-8f4e-3a52c4b6a001","created":1795511075,"model":"main","object":"chat.completion.chunk""#;

/// The parts of a request that decide what a stream looks like.
#[derive(Debug, Deserialize)]
struct Asked {
    #[serde(default)]
    stream: bool,
    #[serde(default)]
    stream_options: Option<StreamOptions>,
    #[serde(default)]
    messages: Vec<Message>,
}

#[derive(Debug, Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: bool,
}

#[derive(Debug, Deserialize)]
struct Message {
    #[serde(default)]
    content: String,
}

/// The stream that a request asks for; none if it asks for no stream.
pub(super) fn asked_for(body: &[u8]) -> Option<Chunks> {
    let asked: Asked = serde_json::from_slice(body).ok()?;
    let prompt = asked.messages.last().filter(|_| asked.stream)?;
    Some(Chunks {
        script: Script::of_prompt(&prompt.content)?,
        sent: 0,
        pause: None,
        left: Last::all(
            asked
                .stream_options
                .is_some_and(|asked| asked.include_usage),
        ),
    })
}

/// The body: its chunks at their times, then what ends a stream.
pub(super) struct Chunks {
    script: Script,
    sent: u32,
    /// Before the next chunk.
    pause: Option<Pin<Box<Sleep>>>,
    left: Vec<Last>,
}

/// What comes behind the text.
#[derive(Clone, Copy, Debug)]
enum Last {
    Finish,
    Usage,
    Done,
}

impl Last {
    /// In the order in which they are taken from the end.
    fn all(with_usage: bool) -> Vec<Self> {
        if with_usage {
            vec![Self::Done, Self::Usage, Self::Finish]
        } else {
            vec![Self::Done, Self::Finish]
        }
    }

    fn frame(self, chunks: u32) -> Bytes {
        let rest = match self {
            Self::Done => return data_frame("[DONE]"),
            Self::Finish => {
                r#""choices":[{"finish_reason":"stop","index":0,"delta":{}}]"#.to_owned()
            }
            Self::Usage => format!(
                r#""choices":[{{"index":0,"delta":{{}}}}],"usage":{{"completion_tokens":{chunks},"prompt_tokens":28,"total_tokens":{},"cost":6e-06}}"#,
                u64::from(chunks) + 28
            ),
        };
        data_frame(&format!("{HEAD},{rest}}}"))
    }
}

fn text_frame() -> Bytes {
    let text = stamp::text(stamp::now_ns());
    data_frame(&format!(
        r#"{HEAD},"choices":[{{"index":0,"delta":{{"content":"{text}","role":"assistant"}}}}]}}"#
    ))
}

impl Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = &mut *self;
        if this.sent == this.script.chunks {
            let last = this.left.pop();
            let frame = last.map(|last| Ok(Frame::data(last.frame(this.sent))));
            return Poll::Ready(frame);
        }
        let length = this.script.pause_before(this.sent);
        if !length.is_zero() {
            let pause = this.pause.get_or_insert_with(|| Box::pin(sleep(length)));
            ready!(pause.as_mut().poll(cx));
            this.pause = None;
        }
        this.sent += 1;
        Poll::Ready(Some(Ok(Frame::data(text_frame()))))
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;
    use serde_json::{Value, json};

    use super::*;

    fn request(script: Script, stream_options: &Value) -> Vec<u8> {
        let request = json!({
            "stream": true,
            "stream_options": stream_options,
            "messages": [{"role": "user", "content": script.to_prompt()}],
        });
        request.to_string().into_bytes()
    }

    fn frames(request: &[u8]) -> Vec<String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let body = asked_for(request).unwrap();
        let body = runtime.block_on(body.collect()).unwrap().to_bytes();
        let body = String::from_utf8(body.to_vec()).unwrap();
        body.split_terminator("\n\n").map(str::to_owned).collect()
    }

    #[test]
    fn a_stream_has_its_chunks_then_a_finish_the_usage_if_asked_and_done() {
        let script = Script {
            first_ms: 1,
            ..Script::paced(3, 1)
        };
        let frames = frames(&request(script, &json!({"include_usage": true})));
        let parts = frames.iter().map(|frame| {
            let data = frame.strip_prefix("data: ").unwrap();
            serde_json::from_str::<Value>(data).unwrap_or(data.into())
        });
        let parts: Vec<Value> = parts.collect();
        assert_eq!(parts.len(), 6, "{parts:#?}");
        for (frame, part) in frames.iter().zip(&parts).take(3) {
            assert!(frame.len() > 230 && frame.len() < 280, "{}", frame.len());
            let text = part.pointer("/choices/0/delta/content").unwrap();
            assert!(text.as_str().unwrap().starts_with("sent at "), "{text}");
        }
        assert_eq!(
            parts[3].pointer("/choices/0/finish_reason"),
            Some(&json!("stop"))
        );
        assert_eq!(
            parts[4].pointer("/usage/completion_tokens"),
            Some(&json!(3))
        );
        assert!(parts[4].pointer("/usage/cost").is_some());
        assert_eq!(parts[5], "[DONE]");
    }

    #[test]
    fn the_usage_comes_only_if_asked_for() {
        let frames = frames(&request(Script::fast(1), &Value::Null));
        assert_eq!(frames.len(), 3, "{frames:#?}");
        assert!(frames.iter().all(|frame| !frame.contains("usage")));
    }

    #[test]
    fn a_call_that_is_not_streamed_gets_none() {
        let request =
            json!({"messages": [{"role": "user", "content": Script::fast(1).to_prompt()}]});
        assert!(asked_for(request.to_string().as_bytes()).is_none());
        assert!(asked_for(b"not JSON").is_none());
    }
}

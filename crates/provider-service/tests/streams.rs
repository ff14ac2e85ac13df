//! Answers in pieces, from their first piece to their end, over a real store and a model that writes what the
//! test says.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops where something is missing"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use alias_registry::AliasRegistry;
use async_trait::async_trait;
use bytes::Bytes;
use event_payloads::{Cost, CostSource, ModelCallChunk, Payload, TaskId, TaskStatus, TokenUsage};
use event_store::{CostQuery, EventStore, Follow, Followed, SqliteOptions, SqliteStore};
use provider_core::{
    AnswerStream, Chunk, Closed, Completion, Endpoint, ModelCall, ModelCallResult, ModelClient,
    ModelRequest, ModelStream, ProviderError,
};
use provider_service::{
    DirectCall, DirectError, DirectStream, FallbackManager, FallbackPolicy, Limits, LlmService,
    Message, StopReason, StreamPart, TaskService, report,
};
use tempfile::TempDir;
use tokio::sync::{Mutex, mpsc};

/// What the model does next.
enum Line {
    Say(&'static str),
    /// Says that it is done, and does not end yet.
    Finish(&'static str),
    Break,
    Fault,
}

/// A model that writes what the test says, line by line; at the end of the script it is done.
#[derive(Clone)]
struct Scripted {
    script: Arc<Mutex<Option<mpsc::Receiver<Line>>>>,
    /// Pieces that were asked for.
    asked: Arc<AtomicUsize>,
    /// Streams that are open.
    open: Arc<AtomicUsize>,
}

impl Scripted {
    fn new() -> (mpsc::Sender<Line>, Self) {
        let (pen, script) = mpsc::channel(1000);
        let model = Self {
            script: Arc::new(Mutex::new(Some(script))),
            asked: Arc::default(),
            open: Arc::default(),
        };
        (pen, model)
    }
}

#[async_trait]
impl ModelClient for Scripted {
    fn name(&self) -> &'static str {
        "scripted"
    }

    async fn complete(&self, _: &ModelCall) -> Result<Completion, ProviderError> {
        panic!("a stream was asked for")
    }

    async fn stream(&self, call: &ModelCall) -> Result<ModelStream, ProviderError> {
        let mut script = self.script.lock().await.take().unwrap();
        let first = match script.recv().await.unwrap() {
            Line::Say(text) | Line::Finish(text) => text,
            Line::Break => return Err(broken()),
            Line::Fault => panic!("a fault, on purpose"),
        };
        self.open.fetch_add(1, Ordering::SeqCst);
        Ok(Box::new(Writing {
            call: call.clone(),
            script,
            first: Some(first),
            text: String::new(),
            done: false,
            model: self.clone(),
        }))
    }
}

struct Writing {
    call: ModelCall,
    script: mpsc::Receiver<Line>,
    first: Option<&'static str>,
    text: String,
    done: bool,
    model: Scripted,
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.model.open.fetch_sub(1, Ordering::SeqCst);
    }
}

fn broken() -> ProviderError {
    ProviderError::InvalidAnswer {
        reason: "it was cut off before its end".into(),
        source: None,
    }
}

#[async_trait]
impl AnswerStream for Writing {
    fn model_name(&self) -> &str {
        "scripted-1"
    }

    async fn next(&mut self) -> Result<Option<Chunk>, ProviderError> {
        self.model.asked.fetch_add(1, Ordering::SeqCst);
        let line = match self.first.take() {
            Some(first) => Some(Line::Say(first)),
            None => self.script.recv().await,
        };
        self.done |= matches!(line, None | Some(Line::Finish(_)));
        match line {
            None => Ok(None),
            Some(Line::Say(text) | Line::Finish(text)) => {
                self.text.push_str(text);
                let frame = Bytes::from(text);
                let text = text.to_owned();
                Ok(Some(Chunk { frame, text }))
            }
            Some(Line::Break) => Err(broken()),
            Some(Line::Fault) => panic!("a fault, on purpose"),
        }
    }

    /// A millionth of a dollar a byte.
    async fn close(self: Box<Self>) -> Closed {
        let bytes = u64::try_from(self.text.len()).unwrap();
        let usd = format!("0.{bytes:06}").parse().unwrap();
        let cost = Cost::known(usd, CostSource::PriceBook);
        let result = ModelCallResult {
            token_usage: Some(TokenUsage::new(1, bytes)),
            usage_is_estimated: true,
            ..ModelCallResult::answered(&self.call, "scripted-1", "tests", &self.text, cost)
        };
        Closed {
            result,
            is_whole: self.done,
            tail: "end".into(),
            last_words: "broken".into(),
        }
    }
}

struct House {
    store: Arc<dyn EventStore>,
    tasks: TaskService,
    model: Scripted,
    pen: Option<mpsc::Sender<Line>>,
    _dir: TempDir,
}

impl House {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = SqliteOptions::new(dir.path().join("octo.db"), dir.path().join("artifacts"));
        let store: Arc<dyn EventStore> = Arc::new(SqliteStore::open(options).await.unwrap());
        let (pen, model) = Scripted::new();
        let clients = FallbackManager::without_fallback(Arc::new(model.clone()));
        let llm = LlmService::new(AliasRegistry::default(), clients);
        Self {
            tasks: TaskService::new(store.clone(), llm, Limits::default()),
            store,
            model,
            pen: Some(pen),
            _dir: dir,
        }
    }

    async fn write(&self, line: Line) {
        self.pen.as_ref().unwrap().send(line).await.unwrap();
    }

    /// The model is done.
    fn lay_down_the_pen(&mut self) {
        self.pen = None;
    }

    async fn stream(&self) -> Result<DirectStream, DirectError> {
        let body =
            br#"{"model":"planner","stream":true,"messages":[{"role":"user","content":"hi"}]}"#;
        let call = DirectCall {
            model: "planner".into(),
            request: ModelRequest::from_json(Endpoint::ChatCompletions, body).unwrap(),
            task: None,
            fallback: FallbackPolicy::Refuse,
        };
        self.tasks.stream(call).await
    }

    /// The one terminal event of the task's call, once all work has ended.
    async fn end_of(&self, task_id: &TaskId) -> (TaskStatus, Payload) {
        self.tasks.shut_down(Duration::from_secs(30)).await;
        assert_eq!(
            self.model.open.load(Ordering::SeqCst),
            0,
            "the call upstream is ended"
        );
        let events = self.store.events(task_id, 0, 100).await.unwrap();
        let mut ends = events.iter().filter_map(|event| {
            let payload = event.decode().unwrap();
            let is_end = matches!(
                payload,
                Payload::ModelCallCompleted(_) | Payload::ModelCallFailed(_)
            );
            is_end.then_some(payload)
        });
        let end = ends.next().unwrap();
        assert!(ends.next().is_none(), "more than one end");
        let task = self.store.task(task_id).await.unwrap().unwrap();
        (task.status, end)
    }
}

async fn frame(stream: &mut DirectStream) -> String {
    match stream.next().await.unwrap() {
        StreamPart::Frame(frame) => String::from_utf8(frame.to_vec()).unwrap(),
        other @ StreamPart::End { .. } => panic!("{other:?}"),
    }
}

fn failed(payload: Payload) -> event_payloads::ModelCallFailed {
    match payload {
        Payload::ModelCallFailed(failed) => *failed,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_end_is_recorded_before_the_caller_hears_of_it() {
    let mut house = House::new().await;
    house.write(Line::Say("Hel")).await;
    let mut stream = house.stream().await.unwrap();
    assert_eq!(stream.model_name, "scripted-1");
    assert_eq!(frame(&mut stream).await, "Hel");
    house.write(Line::Say("lo.")).await;
    assert_eq!(
        frame(&mut stream).await,
        "lo.",
        "a piece comes before the next one is written"
    );
    house.lay_down_the_pen();
    let Some(StreamPart::End { tail, outcome }) = stream.next().await else {
        panic!("no end")
    };
    let sums = report(house.store.as_ref(), CostQuery::default())
        .await
        .unwrap();
    assert_eq!((sums.total.open_calls, sums.total.estimated_calls), (0, 1));
    assert_eq!(tail, "end");
    assert_eq!(outcome.unwrap().usd(), Some("0.000006".parse().unwrap()));
    assert!(stream.next().await.is_none());
    let (status, end) = house.end_of(&stream.task_id).await;
    let Payload::ModelCallCompleted(call) = end else {
        panic!("{end:?}")
    };
    assert_eq!(status, TaskStatus::Succeeded);
    assert_eq!(call.response_summary, "Hello.");
    assert!(call.usage_is_estimated);
    let whole = house
        .store
        .artifact_content(&call.artifact_ref.unwrap())
        .await;
    assert_eq!(whole.unwrap().unwrap(), b"Hello.");
}

#[tokio::test]
async fn a_caller_that_hangs_up_ends_the_call_and_what_came_is_paid_for() {
    let house = House::new().await;
    house.write(Line::Say("Hel")).await;
    let mut stream = house.stream().await.unwrap();
    assert_eq!(frame(&mut stream).await, "Hel");
    let task_id = stream.task_id.clone();
    drop(stream);
    // The model says nothing more, and is not done: only the hang-up can end it.
    let (status, end) = house.end_of(&task_id).await;
    let call = failed(end);
    assert_eq!(status, TaskStatus::Cancelled);
    assert_eq!(call.error_type, "caller_gone");
    assert_eq!(call.cost().usd(), Some("0.000003".parse().unwrap()));
    assert_eq!(call.model_name, "scripted-1");
    assert!(call.usage_is_estimated);
}

#[tokio::test]
async fn a_caller_that_leaves_when_the_model_is_done_has_its_whole_answer() {
    let house = House::new().await;
    house.write(Line::Say("Hel")).await;
    house.write(Line::Finish("lo.")).await;
    let mut stream = house.stream().await.unwrap();
    assert_eq!(frame(&mut stream).await, "Hel");
    assert_eq!(frame(&mut stream).await, "lo.");
    let task_id = stream.task_id.clone();
    drop(stream);
    let (status, end) = house.end_of(&task_id).await;
    assert_eq!(status, TaskStatus::Succeeded);
    assert!(matches!(end, Payload::ModelCallCompleted(call) if call.response_summary == "Hello."));
}

#[tokio::test]
async fn a_caller_that_hangs_up_before_the_first_piece_ends_the_call_too() {
    let house = House::new().await;
    let asking = house.stream();
    let impatient = tokio::time::timeout(Duration::from_millis(50), asking).await;
    assert!(impatient.is_err());
    house.tasks.shut_down(Duration::from_secs(30)).await;
    let sums = report(house.store.as_ref(), CostQuery::default())
        .await
        .unwrap();
    assert_eq!((sums.total.calls, sums.total.open_calls), (1, 0));
    assert_eq!(
        sums.total.calls_without_cost, 1,
        "nobody knows what it cost"
    );
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_a_failure_with_what_it_used() {
    let house = House::new().await;
    house.write(Line::Say("Hel")).await;
    house.write(Line::Break).await;
    let mut stream = house.stream().await.unwrap();
    assert_eq!(frame(&mut stream).await, "Hel");
    let Some(StreamPart::End { tail, outcome }) = stream.next().await else {
        panic!("no end")
    };
    assert_eq!(tail, "broken", "nothing that ends a whole answer");
    let DirectError::Call { cost, .. } = outcome.unwrap_err() else {
        panic!("another error")
    };
    assert_eq!(cost.usd(), Some("0.000003".parse().unwrap()));
    let (status, end) = house.end_of(&stream.task_id).await;
    assert_eq!(status, TaskStatus::Failed);
    assert_eq!(failed(end).error_type, "invalid_answer");
}

#[tokio::test]
async fn a_stream_that_does_not_begin_is_a_plain_error() {
    let house = House::new().await;
    house.write(Line::Break).await;
    let error = house.stream().await.unwrap_err();
    assert!(matches!(error, DirectError::Call { .. }), "{error}");
}

#[tokio::test]
async fn a_fault_in_the_middle_leaves_no_call_open() {
    let house = House::new().await;
    house.write(Line::Say("Hel")).await;
    house.write(Line::Fault).await;
    let mut stream = house.stream().await.unwrap();
    assert_eq!(frame(&mut stream).await, "Hel");
    let Some(StreamPart::End { outcome, .. }) = stream.next().await else {
        panic!("no end")
    };
    assert!(outcome.is_err());
    let (status, _) = house.end_of(&stream.task_id).await;
    assert_eq!(status, TaskStatus::Failed);
}

#[tokio::test]
async fn cancelling_the_task_ends_its_stream() {
    let house = House::new().await;
    house.write(Line::Say("Hel")).await;
    let mut stream = house.stream().await.unwrap();
    assert_eq!(frame(&mut stream).await, "Hel");
    house.tasks.cancel(&stream.task_id).await.unwrap();
    let Some(StreamPart::End { outcome, .. }) = stream.next().await else {
        panic!("no end")
    };
    let DirectError::Stopped { reason, cost, .. } = outcome.unwrap_err() else {
        panic!("another error")
    };
    assert_eq!(reason, StopReason::Cancelled);
    assert_eq!(cost.usd(), Some("0.000003".parse().unwrap()));
    let (status, end) = house.end_of(&stream.task_id).await;
    assert_eq!(status, TaskStatus::Cancelled);
    assert_eq!(failed(end).cost().usd(), Some("0.000003".parse().unwrap()));
}

#[tokio::test]
async fn a_caller_that_does_not_read_slows_the_model_down() {
    let mut house = House::new().await;
    for _ in 0..100 {
        house.write(Line::Say("x")).await;
    }
    house.lay_down_the_pen();
    let mut stream = house.stream().await.unwrap();
    // Every other task runs until it can go no further.
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    let asked = house.model.asked.load(Ordering::SeqCst);
    assert!(
        asked < 20,
        "{asked} pieces were read for a caller that took none"
    );
    let mut heard = 0;
    while let Some(StreamPart::Frame(_)) = stream.next().await {
        heard += 1;
    }
    assert_eq!(heard, 100);
}

#[tokio::test]
async fn a_message_is_told_piece_by_piece_to_who_follows_its_task() {
    let mut house = House::new().await;
    let taken = house.tasks.submit(Message::new("hi", "1")).await.unwrap();
    let mut follow = Follow::new(house.store.clone(), taken.task_id.clone(), 0);
    let mut seen = Vec::new();
    let mut chunks: Vec<Arc<ModelCallChunk>> = Vec::new();
    while let Some(next) = follow.next().await.unwrap() {
        match next {
            Followed::Chunk(chunk) => {
                seen.push("chunk".to_owned());
                chunks.push(chunk);
                if chunks.len() == 2 {
                    house.lay_down_the_pen();
                }
            }
            Followed::Event(event) => {
                seen.push(event.event_type.to_string());
                if seen.last().unwrap() == "MODEL_CALL_STARTED" {
                    for text in ["Hel", "", "lo."] {
                        house.write(Line::Say(text)).await;
                    }
                }
                if event.is_final() {
                    break;
                }
            }
        }
    }
    assert_eq!(
        seen,
        [
            "TASK_CREATED",
            "USER_MESSAGE",
            "STATE_TRANSITION",
            "MODEL_CALL_STARTED",
            "chunk",
            "chunk",
            "MODEL_CALL_COMPLETED",
            "ARTIFACT_CREATED",
            "STATE_TRANSITION"
        ]
    );
    let said: Vec<(u64, &str)> = chunks.iter().map(|c| (c.index, c.text.as_str())).collect();
    assert_eq!(said, [(0, "Hel"), (1, "lo.")]);
}

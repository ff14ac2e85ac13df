//! A second parser, to check the first against: the standard's text, line by line, over a whole string.
//!
//! <https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation>, as of
//! 2026; an id counts for its own block only.

use sse_reader::SseEvent;

#[derive(Default)]
struct Buffers {
    name: String,
    data: String,
    id: Option<String>,
}

/// The events of a whole body.
pub(crate) fn parse(body: &str) -> Vec<SseEvent> {
    let body = body.strip_prefix('\u{feff}').unwrap_or(body);
    let body = body.replace("\r\n", "\n").replace('\r', "\n");
    let mut lines: Vec<&str> = body.split('\n').collect();
    // What is behind the last line end is not a line yet.
    lines.pop();
    let mut buffers = Buffers::default();
    let mut events = Vec::new();
    for line in lines {
        if line.is_empty() {
            events.extend(dispatch(std::mem::take(&mut buffers)));
        } else if !line.starts_with(':') {
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            process(
                &mut buffers,
                field,
                value.strip_prefix(' ').unwrap_or(value),
            );
        }
    }
    events
}

fn process(buffers: &mut Buffers, field: &str, value: &str) {
    match field {
        "event" => buffers.name = value.to_owned(),
        "data" => buffers.data.extend([value, "\n"]),
        "id" if !value.contains('\0') => buffers.id = Some(value.to_owned()),
        _ => {}
    }
}

fn dispatch(buffers: Buffers) -> Option<SseEvent> {
    Some(SseEvent {
        data: buffers.data.strip_suffix('\n')?.to_owned(),
        name: (!buffers.name.is_empty()).then_some(buffers.name),
        id: buffers.id,
    })
}

//! One event, and how it is written.

use bytes::Bytes;

const NAME: &str = "event: ";
const ID: &str = "id: ";
const DATA: &str = "data: ";

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SseEvent {
    /// What kind of event it is; none where the stream gives no name or an empty one (to a browser,
    /// that is a `message`).
    pub name: Option<String>,
    /// Its data, lines joined with `\n`. May be empty.
    pub data: String,
    /// The id that its own block gives. (The standard has an id hold on for the events behind it; that
    /// is up to the caller.)
    pub id: Option<String>,
}

impl SseEvent {
    /// The event on the wire: name, id, data, and the blank line that ends it.
    ///
    /// Data is split at every line end (`\n`, `\r\n` or `\r`), and reads back with `\n` in its place.
    /// A name and an id have no form for a line end, nor an id for a NUL: there these characters are
    /// left out. What [`SseReader`](crate::SseReader) has read holds none of them and reads back equal.
    pub fn to_frame(&self) -> Bytes {
        let name = self.name.as_deref().unwrap_or_default();
        let id = self.id.as_deref();
        let fields = name.len() + id.map_or(0, str::len) + NAME.len() + ID.len() + 2;
        let mut frame = String::with_capacity(fields + data_len(&self.data));
        if !name.is_empty() {
            push_field(&mut frame, NAME, name, &['\r', '\n']);
        }
        if let Some(id) = id {
            push_field(&mut frame, ID, id, &['\r', '\n', '\0']);
        }
        push_data(&mut frame, &self.data);
        frame.into()
    }
}

/// An event that is data alone, on the wire.
///
/// Data is split at every line end, as [`SseEvent::to_frame`] does it.
pub fn data_frame(data: &str) -> Bytes {
    let mut frame = String::with_capacity(data_len(data));
    push_data(&mut frame, data);
    frame.into()
}

fn push_field(frame: &mut String, field: &str, value: &str, without: &[char]) {
    frame.push_str(field);
    value.split(without).for_each(|part| frame.push_str(part));
    frame.push('\n');
}

/// As many bytes as [`push_data`] writes, or a few more: a line end of two characters counts twice.
fn data_len(data: &str) -> usize {
    let line_ends = memchr::memchr2_iter(b'\r', b'\n', data.as_bytes()).count();
    data.len() + (line_ends + 1) * DATA.len() + 2
}

fn push_data(frame: &mut String, data: &str) {
    let mut rest = Some(data);
    while let Some(text) = rest {
        let line;
        (line, rest) = split_line(text);
        frame.push_str(DATA);
        frame.push_str(line);
        frame.push('\n');
    }
    frame.push('\n');
}

/// The first line, and what is behind its end if it has one.
fn split_line(text: &str) -> (&str, Option<&str>) {
    match text.split_once(['\r', '\n']) {
        None => (text, None),
        Some((line, rest)) => {
            let ended_by_cr = text.as_bytes().get(line.len()) == Some(&b'\r');
            match rest.strip_prefix('\n') {
                Some(behind) if ended_by_cr => (line, Some(behind)),
                _ => (line, Some(rest)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(data: &str, frame: &str) {
        assert_eq!(data_frame(data), frame);
    }

    #[test]
    fn data_is_split_at_every_kind_of_line_end() {
        check("{}", "data: {}\n\n");
        check("", "data: \n\n");
        check("a\nb\r\nc\rd", "data: a\ndata: b\ndata: c\ndata: d\n\n");
        check("\n\n", "data: \ndata: \ndata: \n\n");
        check("\r\n", "data: \ndata: \n\n");
        check("\n\r", "data: \ndata: \ndata: \n\n");
        check(" a", "data:  a\n\n");
    }

    #[test]
    fn a_frame_is_allocated_once() {
        for data in ["", "{}", "a\nb\n", "ä\r\nö\r"] {
            let mut frame = String::with_capacity(data_len(data));
            let before = frame.capacity();
            push_data(&mut frame, data);
            assert_eq!(frame.capacity(), before, "{data:?}");
        }
    }

    #[test]
    fn a_frame_names_the_event_and_its_id_before_the_data() {
        let event = SseEvent {
            name: Some("delta".to_owned()),
            data: "a\nb".to_owned(),
            id: Some("7".to_owned()),
        };
        assert_eq!(
            event.to_frame(),
            "event: delta\nid: 7\ndata: a\ndata: b\n\n"
        );
    }

    #[test]
    fn no_name_and_no_id_can_smuggle_a_line_in() {
        let event = SseEvent {
            name: Some("a\ndata: x\r\n\r\n".to_owned()),
            data: "y".to_owned(),
            id: Some("1\0\n\nevent: z".to_owned()),
        };
        assert_eq!(
            event.to_frame(),
            "event: adata: x\nid: 1event: z\ndata: y\n\n"
        );
    }

    #[test]
    fn an_empty_name_is_none_and_an_empty_id_is_one() {
        let event = SseEvent {
            name: Some(String::new()),
            data: "y".to_owned(),
            id: Some(String::new()),
        };
        assert_eq!(event.to_frame(), "id: \ndata: y\n\n");
    }
}

//! The size of the event under way.

use std::mem;

use memchr::memchr2;

/// Counts the bytes of one event after the other.
///
/// The size of an event is that of its lines, without their ends and without comments: what a parser has
/// to hold of it, and a little more.
#[derive(Debug)]
pub(crate) struct Meter {
    limit: usize,
    event_bytes: usize,
    line: Line,
    /// The last byte was a CR; a LF behind it is part of the same line end.
    after_cr: bool,
}

/// The line under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    /// Nothing of it has come.
    Empty,
    /// Not held by the parser, however long it is.
    Comment,
    Field,
}

impl Meter {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            event_bytes: 0,
            line: Line::Empty,
            after_cr: false,
        }
    }

    /// Takes the next bytes of the body in. If with them an event gets too large: how many of them still
    /// fit.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<(), usize> {
        let mut rest = bytes;
        while let Some((&first, behind)) = rest.split_first() {
            if mem::take(&mut self.after_cr) && first == b'\n' {
                rest = behind;
                continue;
            }
            let end = memchr2(b'\r', b'\n', rest);
            let (part, behind) = rest.split_at(end.unwrap_or(rest.len()));
            self.take_of_line(part)
                .map_err(|fit| bytes.len() - rest.len() + fit)?;
            rest = match behind.split_first() {
                Some((&end, behind)) => {
                    self.end_line(end);
                    behind
                }
                None => behind,
            };
        }
        Ok(())
    }

    fn take_of_line(&mut self, part: &[u8]) -> Result<(), usize> {
        let Some(first) = part.first() else {
            return Ok(());
        };
        if self.line == Line::Empty {
            self.line = if *first == b':' {
                Line::Comment
            } else {
                Line::Field
            };
        }
        if self.line == Line::Comment {
            return Ok(());
        }
        let room = self.limit - self.event_bytes;
        if part.len() > room {
            return Err(room);
        }
        self.event_bytes += part.len();
        Ok(())
    }

    fn end_line(&mut self, end: u8) {
        if self.line == Line::Empty {
            self.event_bytes = 0;
        }
        self.line = Line::Empty;
        self.after_cr = end == b'\r';
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// Whether more than comments came behind the last blank line.
    pub(crate) fn is_inside_an_event(&self) -> bool {
        self.event_bytes > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a meter says to the whole at once, and to every byte by itself.
    #[track_caller]
    fn check(limit: usize, body: &str, expected: Result<bool, usize>) {
        let mut whole = Meter::new(limit);
        let seen = whole.take(body.as_bytes());
        assert_eq!(seen.map(|()| whole.is_inside_an_event()), expected);

        let mut bytewise = Meter::new(limit);
        let seen = (0..body.len()).try_for_each(|at| {
            let byte = &body.as_bytes()[at..=at];
            bytewise.take(byte).map_err(|fit| at + fit)
        });
        assert_eq!(seen.map(|()| bytewise.is_inside_an_event()), expected);
    }

    #[test]
    fn an_event_may_be_as_large_as_the_limit() {
        check(7, "data: x\n\n", Ok(false));
        check(6, "data: x\n\n", Err(6));
        check(7, "data:\r\ni:", Ok(true));
        check(7, "data:\r\ni:1\r\n", Err(9));
        check(0, "\n\r\n\r", Ok(false));
        check(0, "x", Err(0));
    }

    #[test]
    fn a_blank_line_of_any_kind_begins_a_new_event() {
        for end in ["\n", "\r", "\r\n"] {
            let event = format!("data: x{end}{end}");
            check(7, &event.repeat(3), Ok(false));
            check(7, &format!("{event}data: xy"), Err(event.len() + 7));
        }
        check(7, "data: x\r\ndata: x\n\n", Err(9));
    }

    #[test]
    fn comments_take_no_room() {
        check(
            7,
            ": a comment\n: another\n\ndata: x\n: and one more",
            Ok(true),
        );
        check(7, ":\n\n: and one more", Ok(false));
    }
}

//! JSON as text that people review: what fits into a line is one line.

use serde_json::Value;

/// Columns of a line.
const WIDTH: usize = 110;

pub(crate) fn readable(value: &Value) -> String {
    let mut text = String::new();
    write(value, 0, &mut text);
    text
}

fn write(value: &Value, indent: usize, text: &mut String) {
    let line = value.to_string();
    let fits = indent + line.chars().count() <= WIDTH;
    match value {
        Value::Object(fields) if !fits || indent == 0 => {
            let fields = fields
                .iter()
                .map(|(name, value)| (format!("{}: ", Value::from(name.as_str())), value));
            write_inner(('{', '}'), fields, indent, text);
        }
        Value::Array(items) if !fits => {
            let items = items.iter().map(|value| (String::new(), value));
            write_inner(('[', ']'), items, indent, text);
        }
        _ => text.push_str(&line),
    }
}

fn write_inner<'a>(
    (open, close): (char, char),
    items: impl Iterator<Item = (String, &'a Value)>,
    indent: usize,
    text: &mut String,
) {
    text.push(open);
    for (number, (name, value)) in items.enumerate() {
        text.push_str(if number == 0 { "\n" } else { ",\n" });
        text.push_str(&" ".repeat(indent + 2));
        text.push_str(&name);
        write(value, indent + 2, text);
    }
    text.push('\n');
    text.push_str(&" ".repeat(indent));
    text.push(close);
}

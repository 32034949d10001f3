//! Values into text.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulla::secret::Plaintext;
use zeroize::Zeroizing;

use super::{BINARY, read};

/// Characters of base64 a line.
const WIDTH: usize = 76;

/// How a value may be written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Plain,
    Single,
    Block,
    Double,
    Binary,
}

/// Writes a sheet: the comment, a line each, then the values in the order given. Every value reads back as itself:
/// what does not in one form is written in the next.
pub(crate) fn write<'a>(
    comment: &str,
    values: impl IntoIterator<Item = (&'a str, &'a Plaintext)>,
) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::new());
    for line in comment.lines() {
        append(&mut text, if line.is_empty() { "#" } else { "# " });
        append(&mut text, line);
        append(&mut text, "\n");
    }
    for (key, value) in values {
        append(&mut text, &entry(key, value));
    }
    text
}

/// Grows by hand, so that no copy of a value is left behind in memory that was given back.
fn append(text: &mut Zeroizing<String>, more: &str) {
    if text.capacity() - text.len() < more.len() {
        let mut larger = Zeroizing::new(String::with_capacity((text.len() + more.len()) * 2));
        larger.push_str(text);
        *text = larger;
    }
    text.push_str(more);
}

fn entry(key: &str, value: &Plaintext) -> Zeroizing<String> {
    let written = |form| {
        // Nothing grows by more: a character becomes six, a line begins with two more.
        let mut text = Zeroizing::new(String::with_capacity(key.len() * 6 + value.len() * 6 + 64));
        write_key(&mut text, key);
        match (form, std::str::from_utf8(value.expose())) {
            (Form::Binary, _) | (_, Err(_)) => write_binary(&mut text, value),
            (Form::Plain, Ok(value)) => text.push_str(value),
            (Form::Single, Ok(value)) => write_single(&mut text, value),
            (Form::Double, Ok(value)) => write_double(&mut text, value),
            (Form::Block, Ok(value)) => write_block(&mut text, value),
        }
        if !text.ends_with('\n') {
            text.push('\n');
        }
        text
    };
    let reads_back = |text: &str| {
        let same = |(read, found): &(String, Plaintext)| read == key && found.same_as(value.expose());
        read(text).is_ok_and(|values| matches!(values.as_slice(), [one] if same(one)))
    };
    let first = std::str::from_utf8(value.expose()).map_or(Form::Binary, form_of);
    let tried = [first, Form::Double, Form::Binary].into_iter().map(written).find(|text| reads_back(text));
    tried.unwrap_or_else(|| written(Form::Binary))
}

fn form_of(text: &str) -> Form {
    let is_special =
        |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}');
    if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{85}')) {
        return Form::Binary;
    }
    if !text.chars().any(is_special) {
        return if is_plain(text) { Form::Plain } else { Form::Single };
    }
    let is_block = |text: &str| {
        text.contains('\n')
            && !text.trim_matches('\n').is_empty()
            && !text.chars().any(|c| is_special(c) && !matches!(c, '\n' | '\t'))
    };
    if is_block(text) { Form::Block } else { Form::Double }
}

/// Whether it stands without quotes in front of every reader's eyes, people's too.
fn is_plain(text: &str) -> bool {
    let starts_well = text.starts_with(|first: char| first.is_ascii_alphanumeric() || matches!(first, '_' | '/' | '.'));
    let is_tame = |c: char| c.is_ascii_alphanumeric() || "._-/+=@~^$%:?&;*".contains(c);
    starts_well && !text.starts_with("...") && !text.ends_with(':') && text.chars().all(is_tame)
}

fn write_key(text: &mut String, key: &str) {
    if is_plain(key) {
        text.push_str(key)
    } else {
        write_double(text, key)
    }
    text.push_str(": ");
}

fn write_single(text: &mut String, value: &str) {
    text.push('\'');
    for c in value.chars() {
        text.push(c);
        if c == '\'' {
            text.push('\'');
        }
    }
    text.push('\'');
}

fn write_double(text: &mut String, value: &str) {
    text.push('"');
    for c in value.chars() {
        match c {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}') => {
                text.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => text.push(c),
        }
    }
    text.push('"');
}

fn write_block(text: &mut String, value: &str) {
    text.push('|');
    // Else the reader takes the indentation from the first line.
    if value.trim_start_matches('\n').starts_with([' ', '\t']) || value.starts_with('\n') {
        text.push('2');
    }
    let body = value.strip_suffix('\n');
    match body {
        None => text.push('-'),
        Some(body) if body.is_empty() || body.ends_with('\n') => text.push('+'),
        Some(_) => {}
    }
    text.push('\n');
    for line in body.unwrap_or(value).split('\n') {
        if !line.is_empty() {
            text.push_str("  ");
            text.push_str(line);
        }
        text.push('\n');
    }
}

fn write_binary(text: &mut String, value: &Plaintext) {
    text.push_str("!!");
    text.push_str(BINARY);
    let encoded = Zeroizing::new(STANDARD.encode(value.expose()));
    if encoded.len() <= WIDTH {
        text.push_str(" \"");
        text.push_str(&encoded);
        text.push('"');
        return;
    }
    text.push_str(" |\n");
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(WIDTH));
        text.push_str("  ");
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
}

//! What each verb does with each kind of value.

use super::{Directive, Printer, quote};
use crate::secret::template::{
    budget::deeper,
    error::Fault,
    value::{List, Map, Value, Width, runes},
};

impl Printer<'_> {
    /// A whole operand of `printf`.
    pub(super) fn operand(&mut self, value: &Value, verb: char, directive: &Directive) -> Result<(), Fault> {
        match (value, verb) {
            (_, 'T') => self.pad(value.type_name().as_bytes(), directive),
            (Value::Nil, 'v') => self.pad(b"<nil>", directive),
            (Value::Nil, _) => self.bad_verb(value, verb),
            _ => self.value(value, verb, directive, 0),
        }
    }

    /// A value, or a value inside a collection.
    pub(super) fn value(
        &mut self,
        value: &Value,
        verb: char,
        directive: &Directive,
        depth: usize,
    ) -> Result<(), Fault> {
        let source = directive.sharp && verb == 'v';
        match value {
            Value::Nil if source && depth > 0 => self.push(b"interface {}(nil)"),
            Value::Nil => self.push(b"<nil>"),
            Value::Bool(truth) if matches!(verb, 't' | 'v') => {
                self.pad(if *truth { b"true" } else { b"false" }, directive)
            }
            Value::Int(number, width) => self.integer(value, *number, *width, verb, directive),
            Value::Float(number) => self.float(value, *number, verb, directive),
            Value::Text(text) => self.bytes(value, text.bytes(), verb, directive),
            Value::Moment(moment) if is_text_verb(verb) => self.bytes(value, &moment.display(), verb, directive),
            Value::Version(version) if is_text_verb(verb) => {
                self.bytes(value, version.to_string().as_bytes(), verb, directive)
            }
            Value::List(list) => self.list(value, list, verb, directive, depth),
            Value::Map(map) => self.map(value, map, verb, directive, depth),
            Value::Certificate(certificate) => {
                self.push(if directive.plus { b"{Cert:" } else { b"{" })?;
                self.bytes(value, certificate.certificate.bytes(), verb, directive)?;
                self.push(if directive.plus { b" Key:" } else { b" " })?;
                self.bytes(value, certificate.key.bytes(), verb, directive)?;
                self.push(b"}")
            }
            Value::Bool(_) | Value::Moment(_) | Value::Version(_) => self.bad_verb(value, verb),
        }
    }

    fn integer(
        &mut self,
        value: &Value,
        number: i64,
        width: Width,
        verb: char,
        directive: &Directive,
    ) -> Result<(), Fault> {
        match verb {
            'v' if directive.sharp && width == Width::Byte => self.whole(number, 16, verb, directive),
            'v' => self.whole(number, 10, verb, &Directive { sharp: false, ..*directive }),
            'd' => self.whole(number, 10, verb, directive),
            'b' => self.whole(number, 2, verb, directive),
            'o' | 'O' => self.whole(number, 8, verb, directive),
            'x' | 'X' => self.whole(number, 16, verb, directive),
            'c' => {
                let mut text = Vec::new();
                crate::secret::template::value::encode(&mut text, rune(number));
                self.pad(&text, directive)
            }
            'q' => {
                let text = quote::quoted_rune(rune(number), directive.plus);
                self.pad(text.as_bytes(), directive)
            }
            'U' => self.unicode(number, directive),
            _ => self.bad_verb(value, verb),
        }
    }

    /// Text verbs, for strings and for what prints itself as one.
    pub(super) fn bytes(
        &mut self,
        value: &Value,
        bytes: &[u8],
        verb: char,
        directive: &Directive,
    ) -> Result<(), Fault> {
        let cut = match directive.precision {
            Some(precision) => {
                let length = runes(bytes).take(precision).map(|(_, rune)| rune.len()).sum();
                bytes.get(..length).unwrap_or(bytes)
            }
            None => bytes,
        };
        match verb {
            'v' if directive.sharp => self.quoted(cut, &Directive { sharp: false, ..*directive }),
            'v' | 's' => self.pad(cut, directive),
            'q' => self.quoted(cut, directive),
            'x' | 'X' => {
                // Here the precision counts bytes.
                let bytes = bytes.get(..directive.precision.unwrap_or(usize::MAX)).unwrap_or(bytes);
                self.hexadecimal(bytes, verb == 'X', directive)
            }
            _ => self.bad_verb(value, verb),
        }
    }

    fn quoted(&mut self, bytes: &[u8], directive: &Directive) -> Result<(), Fault> {
        let text = if directive.sharp && quote::fits_backquotes(bytes) {
            [b"`", bytes, b"`"].concat()
        } else {
            quote::quoted_as(bytes, directive.plus)
        };
        self.pad(&text, directive)
    }

    fn hexadecimal(&mut self, bytes: &[u8], upper: bool, directive: &Directive) -> Result<(), Fault> {
        self.budget.text(bytes.len().saturating_mul(5))?;
        let prefix = match (directive.sharp, upper) {
            (false, _) => "",
            (true, false) => "0x",
            (true, true) => "0X",
        };
        let mut text = String::new();
        for (index, byte) in bytes.iter().enumerate() {
            if directive.space && index > 0 {
                text.push(' ');
            }
            if index == 0 || directive.space {
                text.push_str(prefix);
            }
            text.push_str(&if upper { format!("{byte:02X}") } else { format!("{byte:02x}") });
        }
        self.pad(text.as_bytes(), directive)
    }

    fn list(
        &mut self,
        value: &Value,
        list: &List,
        verb: char,
        directive: &Directive,
        depth: usize,
    ) -> Result<(), Fault> {
        let source = directive.sharp && verb == 'v';
        if source {
            self.push(value.type_name().as_bytes())?;
            if list.is_absent() {
                return self.push(b"(nil)");
            }
        }
        self.push(if source { b"{" } else { b"[" })?;
        for (index, item) in list.items().iter().enumerate() {
            if index > 0 {
                self.push(if source { b", " } else { b" " })?;
            }
            self.value(item, verb, directive, deeper(depth)?)?;
        }
        self.push(if source { b"}" } else { b"]" })
    }

    fn map(&mut self, value: &Value, map: &Map, verb: char, directive: &Directive, depth: usize) -> Result<(), Fault> {
        let source = directive.sharp && verb == 'v';
        if source {
            self.push(value.type_name().as_bytes())?;
        }
        self.push(if source { b"{" } else { b"map[" })?;
        for (index, (key, item)) in map.entries().into_iter().enumerate() {
            if index > 0 {
                self.push(if source { b", " } else { b" " })?;
            }
            self.value(&Value::Text(key), verb, directive, deeper(depth)?)?;
            self.push(b":")?;
            self.value(&item, verb, directive, deeper(depth)?)?;
        }
        self.push(if source { b"}" } else { b"]" })
    }

    /// Go's way of saying that a verb does not fit, which is output and not an error.
    pub(super) fn bad_verb(&mut self, value: &Value, verb: char) -> Result<(), Fault> {
        self.push(format!("%!{verb}(").as_bytes())?;
        if !matches!(value, Value::Nil) {
            self.push(value.type_name().as_bytes())?;
            self.push(b"=")?;
        }
        self.value(value, 'v', &Directive::default(), 0)?;
        self.push(b")")
    }
}

const fn is_text_verb(verb: char) -> bool {
    matches!(verb, 'v' | 's' | 'q' | 'x' | 'X')
}

fn rune(number: i64) -> char {
    u32::try_from(number).ok().and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER)
}

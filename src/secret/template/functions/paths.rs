//! Paths with slashes. The `os` variants are those of a Unix system.

use bstr::ByteSlice as _;

use super::{Function, function};
use crate::secret::template::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    function("base", 1, 1, |call| Ok(Value::text(base(call.text(0)?)))),
    function("osBase", 1, 1, |call| Ok(Value::text(base(call.text(0)?)))),
    function("dir", 1, 1, |call| Ok(Value::text(directory(call.text(0)?)))),
    function("osDir", 1, 1, |call| Ok(Value::text(directory(call.text(0)?)))),
    function("clean", 1, 1, |call| Ok(Value::text(clean(call.text(0)?)))),
    function("osClean", 1, 1, |call| Ok(Value::text(clean(call.text(0)?)))),
    function("ext", 1, 1, |call| Ok(Value::text(extension(call.text(0)?)))),
    function("osExt", 1, 1, |call| Ok(Value::text(extension(call.text(0)?)))),
    function("isAbs", 1, 1, |call| Ok(Value::Bool(call.text(0)?.starts_with(b"/")))),
    function("osIsAbs", 1, 1, |call| Ok(Value::Bool(call.text(0)?.starts_with(b"/")))),
];

fn base(path: &[u8]) -> &[u8] {
    if path.is_empty() {
        return b".";
    }
    let path = path.trim_end_with(|character| character == '/');
    match path.rfind_byte(b'/').and_then(|slash| path.get(slash + 1..)) {
        _ if path.is_empty() => b"/",
        Some(name) => name,
        None => path,
    }
}

fn directory(path: &[u8]) -> Vec<u8> {
    clean(path.rfind_byte(b'/').and_then(|slash| path.get(..=slash)).unwrap_or_default())
}

fn extension(path: &[u8]) -> &[u8] {
    let name = path.rfind_byte(b'/').and_then(|slash| path.get(slash + 1..)).unwrap_or(path);
    name.rfind_byte(b'.').and_then(|dot| name.get(dot..)).unwrap_or_default()
}

/// The shortest equivalent path, by the text alone.
fn clean(path: &[u8]) -> Vec<u8> {
    let rooted = path.starts_with(b"/");
    let mut kept: Vec<&[u8]> = Vec::new();
    for element in path.split_str("/") {
        match element {
            b"" | b"." => {}
            b".." => match kept.last() {
                Some(last) if *last != b".." => {
                    kept.pop();
                }
                _ if rooted => {}
                _ => kept.push(element),
            },
            _ => kept.push(element),
        }
    }
    let joined = kept.join(&b'/');
    match (rooted, joined.is_empty()) {
        (true, _) => [b"/", &*joined].concat(),
        (false, true) => b".".to_vec(),
        (false, false) => joined,
    }
}

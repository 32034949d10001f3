//! Patterns of paths.

use regex::Regex;

/// The longest pattern, in bytes.
const LONGEST: usize = 1024;

/// A pattern of absolute paths: `*` and `?` stay inside one name, `**` between two `/` is any number of folders (at the
/// end, everything below), `[a-z]` and `[!a-z]` are one character, `{a,b}` is one of these, `\` takes the next as it is.
#[derive(Clone, Debug)]
pub struct Glob(Regex);

impl Glob {
    /// Reads a pattern.
    ///
    /// # Errors
    /// It is none; why.
    pub fn parse(pattern: &str) -> Result<Self, &'static str> {
        if pattern.len() > LONGEST {
            return Err("is longer than 1024 bytes");
        }
        if !pattern.starts_with('/') {
            return Err("must begin with /, as paths do");
        }
        if pattern.chars().any(char::is_control) {
            return Err("holds a control character");
        }
        let mut expression = String::from("^");
        translate(pattern, &mut expression)?;
        expression.push('$');
        let built = regex::RegexBuilder::new(&expression).size_limit(1 << 20).dot_matches_new_line(true).build();
        built.map(Self).map_err(|_| "is no pattern")
    }

    /// Whether the path fits.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        self.0.is_match(path)
    }
}

fn translate(pattern: &str, expression: &mut String) -> Result<(), &'static str> {
    let literal = |c: char, expression: &mut String| expression.push_str(&regex::escape(c.encode_utf8(&mut [0; 4])));
    let (mut rest, mut alternatives) = (pattern, false);
    while let Some(c) = rest.chars().next() {
        let before = pattern.len() - rest.len();
        rest = &rest[c.len_utf8()..];
        match c {
            '*' if rest.starts_with('*') => {
                let is_name = pattern[..before].ends_with('/');
                rest = rest.trim_start_matches('*');
                if !is_name || !(rest.is_empty() || rest.starts_with('/')) {
                    return Err("`**` must stand alone between two `/`");
                }
                if rest.is_empty() {
                    expression.push_str(".+");
                } else {
                    rest = &rest[1..];
                    expression.push_str("(?:[^/]+/)*");
                }
            }
            '*' => expression.push_str("[^/]*"),
            '?' => expression.push_str("[^/]"),
            '[' => rest = class(rest, expression)?,
            '{' if alternatives => return Err("has `{` inside of `{`"),
            '{' => {
                alternatives = true;
                expression.push_str("(?:");
            }
            ',' if alternatives => expression.push('|'),
            '}' if alternatives => {
                alternatives = false;
                expression.push(')');
            }
            '}' | ']' => return Err("has a bracket that nothing opens"),
            '\\' => {
                let next = rest.chars().next().ok_or("ends with a backslash")?;
                rest = &rest[next.len_utf8()..];
                literal(next, expression);
            }
            _ => literal(c, expression),
        }
    }
    if alternatives { Err("has a `{` that nothing closes") } else { Ok(()) }
}

/// One of some characters; what follows it.
fn class<'p>(pattern: &'p str, expression: &mut String) -> Result<&'p str, &'static str> {
    let (negated, body) = match pattern.strip_prefix(['!', '^']) {
        Some(body) => (true, body),
        None => (false, pattern),
    };
    // A bracket that comes first is one of the characters.
    let from = usize::from(body.starts_with(']'));
    let end = body[from..].find(']').ok_or("has a `[` that nothing closes")? + from;
    let (inside, after) = (&body[..end], &body[end + 1..]);
    if inside.is_empty() || inside.contains('/') {
        return Err("has brackets with nothing or a `/` in them");
    }
    expression.push_str(if negated { "[^/" } else { "[" });
    for c in inside.chars() {
        if !c.is_alphanumeric() && c != '-' {
            expression.push('\\');
        }
        expression.push(c);
    }
    expression.push(']');
    Ok(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_fits_the_paths_that_it_means_and_no_other() {
        for (pattern, fits, not) in [
            (
                "/etc/nginx/*.conf",
                &["/etc/nginx/a.conf", "/etc/nginx/.conf"][..],
                &["/etc/nginx/x/a.conf", "/etc/nginx/a.conf2"][..],
            ),
            ("/etc/nginx/**", &["/etc/nginx/a", "/etc/nginx/x/y"], &["/etc/nginx", "/etc/nginx/", "/etc/nginxa/b"]),
            ("/etc/**/tls.key", &["/etc/tls.key", "/etc/a/b/tls.key"], &["/etc/a-tls.key", "/tls.key"]),
            ("/a/?.[ch]", &["/a/x.c", "/a/y.h"], &["/a//.c", "/a/xy.c", "/a/x.d"]),
            ("/a/[!x]", &["/a/y"], &["/a/x", "/a//"]),
            ("/a/{b,c*}", &["/a/b", "/a/cd"], &["/a/bd", "/a/{b,c*}"]),
            (r"/a/\*", &["/a/*"], &["/a/b"]),
            ("/a/b+(c).d|e", &["/a/b+(c).d|e"], &["/a/bb", "/a/bc.d"]),
            ("/a/[]^-]", &["/a/]", "/a/^", "/a/-"], &["/a/a"]),
        ] {
            let glob = Glob::parse(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
            for path in fits {
                assert!(glob.matches(path), "{pattern} {path}");
            }
            for path in not {
                assert!(!glob.matches(path), "{pattern} {path}");
            }
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for bad in ["", "a", "/a**", "/**b", "/[", "/[]", "/{a", "/a}", "/{a{b}}", "/\\", "/[a/b]", "/a\n", "/]"] {
            assert!(Glob::parse(bad).is_err(), "{bad:?}");
        }
        assert!(Glob::parse(&format!("/{}", "a".repeat(1024))).is_err());
        assert!(Glob::parse(&format!("/{}", "{a,b}".repeat(200))).is_ok());
    }
}

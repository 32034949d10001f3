//! What cron takes: schedules, commands, variables.

/// The longest command, in bytes as it is written to the file: Debian's cron takes no longer one.
const LONGEST_COMMAND: usize = 990;

/// Words in place of the five fields.
const WORDS: [&str; 8] = ["@reboot", "@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"];

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// One of the five fields.
struct Field {
    called: &'static str,
    least: u32,
    most: u32,
    names: &'static [&'static str],
    /// The number of the first name.
    first: u32,
}

const FIELDS: [Field; 5] = [
    Field { called: "the minute", least: 0, most: 59, names: &[], first: 0 },
    Field { called: "the hour", least: 0, most: 23, names: &[], first: 0 },
    Field { called: "the day of the month", least: 1, most: 31, names: &[], first: 0 },
    Field { called: "the month", least: 1, most: 12, names: &MONTHS, first: 1 },
    Field { called: "the day of the week", least: 0, most: 7, names: &DAYS, first: 0 },
];

/// Whether cron takes this schedule.
///
/// # Errors
/// It does not; why.
pub(super) fn schedule(text: &str) -> Result<(), String> {
    if text.starts_with('@') {
        let known = || format!("must be five fields, or one of {}", WORDS.join(", "));
        return if WORDS.contains(&text) { Ok(()) } else { Err(known()) };
    }
    if text.chars().any(|c| c.is_control() && c != '\t') {
        return Err("holds a control character".to_owned());
    }
    let fields: Vec<_> = text.split([' ', '\t']).filter(|field| !field.is_empty()).collect();
    if fields.len() != FIELDS.len() {
        let count = fields.len();
        return Err(format!("must be five fields, such as `30 2 * * *`, or a word such as @daily; it has {count}"));
    }
    for (text, field) in fields.iter().zip(&FIELDS) {
        for part in text.split(',') {
            field.part(part).map_err(|problem| format!("{}: {problem}", field.called))?;
        }
    }
    Ok(())
}

impl Field {
    /// `*`, a value or a range, each with or without a step.
    fn part(&self, part: &str) -> Result<(), String> {
        let (range, step) = part.split_once('/').map_or((part, None), |(range, step)| (range, Some(step)));
        if let Some(step) = step {
            let number = number(step).filter(|number| (1..=self.most).contains(number));
            number.ok_or_else(|| format!("a step must be a number from 1 to {}", self.most))?;
        }
        if range == "*" {
            return Ok(());
        }
        if let Some((from, to)) = range.split_once('-') {
            let (from, to) = (self.value(from)?, self.value(to)?);
            return if from <= to { Ok(()) } else { Err("a range must not end before it begins".to_owned()) };
        }
        if step.is_some() {
            return Err("a step belongs to `*` or to a range".to_owned());
        }
        self.value(range).map(drop)
    }

    fn value(&self, text: &str) -> Result<u32, String> {
        let named = self.names.iter().zip(self.first..).find(|(name, _)| name.eq_ignore_ascii_case(text));
        let value = named.map(|(_, value)| value).or_else(|| number(text));
        let legal = value.filter(|value| (self.least..=self.most).contains(value));
        legal.ok_or_else(|| {
            let names = if self.names.is_empty() { String::new() } else { format!(" or {}", self.names.join(", ")) };
            format!("must be {} to {}{names}", self.least, self.most)
        })
    }
}

fn number(text: &str) -> Option<u32> {
    let is_number = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

/// A command as cron's file has it: a `%` that is not escaped yet is.
///
/// # Errors
/// Cron does not take it; why.
pub fn command(text: &str) -> Result<String, &'static str> {
    if text.trim().is_empty() {
        return Err("must not be empty");
    }
    if text.chars().any(|c| c.is_control() && c != '\t') {
        return Err("must be one line without control characters");
    }
    let mut written = String::with_capacity(text.len());
    let mut is_escaped = false;
    for c in text.trim().chars() {
        if c == '%' && !is_escaped {
            written.push('\\');
        }
        is_escaped = c == '\\' && !is_escaped;
        written.push(c);
    }
    if written.len() > LONGEST_COMMAND {
        return Err("is longer than cron takes (990 bytes): put it into a file");
    }
    Ok(written)
}

/// The value of a variable as cron's file has it.
///
/// # Errors
/// Cron cannot be given it; why.
pub fn value(text: &str) -> Result<String, &'static str> {
    if text.chars().any(char::is_control) {
        return Err("must be one line without control characters");
    }
    if text.len() > LONGEST_COMMAND {
        return Err("is longer than cron takes (990 bytes)");
    }
    match (text.contains('"'), text.contains('\'')) {
        (false, _) => Ok(format!("\"{text}\"")),
        (true, false) => Ok(format!("'{text}'")),
        (true, true) => Err("holds both kinds of quotes, which cron's file cannot express"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_are_those_of_cron() {
        for good in [
            "* * * * *",
            "30 2 * * *",
            "*/5 * * * *",
            "0 0 1,15 * mon-fri",
            "0-30/10 8-18 * jan-mar,Dec 0-7",
            "5\t4 * * Sun",
            "@daily",
            "@reboot",
            "@hourly",
            "@annually",
        ] {
            assert_eq!(schedule(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "* * * *",
            "* * * * * *",
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "* * * 13 *",
            "* * * * 8",
            "5-1 * * * *",
            "*/0 * * * *",
            "5/2 * * * *",
            "* * * foo *",
            "jan * * * *",
            "@dayly",
            "@daily\nroot",
            "* * * * *\n",
            "1, * * * *",
            "-1 * * * *",
            "* * * * mon-",
            "@",
            "+1 * * * *",
            "1.5 * * * *",
        ] {
            assert!(schedule(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_percent_sign_is_escaped_once() {
        assert_eq!(command("date +%F > /tmp/x").unwrap(), r"date +\%F > /tmp/x");
        assert_eq!(command(r"date +\%F").unwrap(), r"date +\%F");
        assert_eq!(command(r"echo \\%").unwrap(), r"echo \\\%");
        for bad in ["", "  ", "a\nb", "a\r", "a\0", &"%".repeat(600)] {
            assert!(command(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn variables_are_quoted() {
        assert_eq!(value("a b # c").unwrap(), "\"a b # c\"");
        assert_eq!(value("say \"x\"").unwrap(), "'say \"x\"'");
        assert!(value("\"'").is_err());
        assert!(value("a\n* * * * * root id").is_err());
    }
}

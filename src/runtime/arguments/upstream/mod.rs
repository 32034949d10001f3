//! The command line and the environment of the Sealed Secrets controller, translated into ours.
//!
//! Whoever has its manifest, its Helm values or its `SEALED_SECRETS_*` variables exchanges the image and nothing else.
//! A flag that ours has under the same name gets the value, another is renamed, and what is not needed here is answered
//! with one notice when the controller starts. A value that upstream would refuse is refused.

mod flags;
#[cfg(test)]
mod tests;
mod value;

use std::ffi::{OsStr, OsString};

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, Command, CommandFactory as _, FromArgMatches as _};

use self::flags::{Flag, Kind, Otherwise};
use super::{Arguments, Command as Verb};

/// What was made of a setting of upstream's, for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The setting as it was given, such as `--kubeclient-qps=50` or `SEALED_SECRETS_LOG_INFO_STDOUT=true`.
    pub given: String,
    /// What becomes of it: a sentence that begins with the setting.
    pub answer: String,
    /// Whether what was asked for holds here all the same.
    pub holds: bool,
}

/// What a command line asks for.
#[derive(Debug)]
enum Wish {
    /// `--version`.
    Version,
    /// What clap is to read, and what there is to say about it.
    Read(Vec<OsString>, Vec<Notice>),
}

impl Arguments {
    /// Reads the command line and the environment of this process, ours or upstream's. Ends the process where there is
    /// nothing to run: for `--help`, `--version` and errors.
    #[must_use]
    pub fn of_process() -> Self {
        match translate(std::env::args_os().collect(), |name| std::env::var_os(name)) {
            Ok(Wish::Version) => {
                print!("{}", version());
                std::process::exit(0)
            }
            Ok(Wish::Read(words, notices)) => match Self::read(words, notices) {
                Ok(arguments) => arguments,
                Err(error) => error.exit(),
            },
            Err(problem) => Self::command().error(ErrorKind::InvalidValue, problem).exit(),
        }
    }

    fn read(words: Vec<OsString>, notices: Vec<Notice>) -> Result<Self, clap::Error> {
        let mut arguments = Self::from_arg_matches(&Self::command().try_get_matches_from(words)?)?;
        #[cfg_attr(not(feature = "host"), expect(irrefutable_let_patterns, reason = "there is only one"))]
        if let Verb::Run(run) = &mut arguments.command {
            run.notices = notices;
        }
        Ok(arguments)
    }
}

/// The first line is what upstream's controller prints, and what tools look for.
fn version() -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!("controller version: {version}\nbulla-controller {version}\n")
}

/// A setting of upstream's.
struct Setting {
    flag: &'static Flag,
    given: String,
    value: String,
    from_environment: bool,
}

/// Our flag that has certificates for kubeseal made, and its variable.
const CERTIFICATES: &str = "--kubeseal-certificates";
const CERTIFICATES_VARIABLE: &str = "BULLA_KUBESEAL_CERTIFICATES";

fn translate(words: Vec<OsString>, variable: impl Fn(&str) -> Option<OsString>) -> Result<Wish, String> {
    let mut words = words.into_iter();
    let program = words.next().unwrap_or_else(|| "bulla-controller".into());
    let mut words: Vec<OsString> = words.collect();
    let ours = Arguments::command();
    let Some(run) = ours.find_subcommand("run") else { return Err("there is no command run".to_owned()) };
    let first = words.first().and_then(|word| word.to_str());
    let as_upstream = first != Some("run");
    match first {
        Some("run") => drop(words.remove(0)),
        Some("-h" | "--help" | "help") => return Ok(whole(program, words)),
        Some("-V") => return Ok(Wish::Version),
        Some(word) if !word.starts_with('-') => return Ok(whole(program, words)),
        // Upstream's image is started with flags only, or with nothing. With nothing, only where it cannot be a person
        // who wants to know what this is.
        None if variable("KUBERNETES_SERVICE_HOST").is_none() => return Ok(whole(program, words)),
        Some(_) | None => {}
    }
    let (mut settings, mut rest) = (Vec::new(), Vec::new());
    let mut words = words.into_iter().peekable();
    while let Some(word) = words.next() {
        let Some((name, value)) = word.to_str().and_then(split) else {
            rest.push(word);
            continue;
        };
        if name == "version" {
            if value.map_or(Ok(true), value::switch).map_err(|problem| format!("--version: {problem}"))? {
                return Ok(Wish::Version);
            }
            continue;
        }
        let Some(flag) = flags::find(name) else {
            rest.push(doubled(run, &word, name));
            continue;
        };
        let value = match (value, flag.kind) {
            (Some(value), _) => value.to_owned(),
            (None, Kind::Switch) => {
                // Go needs the sign; without it people mean the same.
                let next = words.next_if(|next| next.to_str().is_some_and(|word| matches!(word, "true" | "false")));
                next.and_then(|next| next.into_string().ok()).unwrap_or_else(|| "true".to_owned())
            }
            (None, _) => {
                let next = words.next().and_then(|next| next.into_string().ok());
                next.ok_or_else(|| format!("the flag --{name} needs a value"))?
            }
        };
        let given = format!("--{name}={value}");
        settings.retain(|earlier: &Setting| earlier.flag.name != flag.name);
        settings.push(Setting { flag, given, value, from_environment: false });
    }
    for flag in flags::FLAGS {
        let name = flags::variable(flag);
        let value = variable(&name).filter(|value| !value.is_empty());
        let Some(value) = value.as_deref().and_then(OsStr::to_str) else { continue };
        if settings.iter().all(|earlier| earlier.flag.name != flag.name) {
            let given = format!("{name}={value}");
            settings.push(Setting { flag, given, value: value.to_owned(), from_environment: true });
        }
    }
    let mut line = Line { run, typed: rest, made: Vec::new(), notices: Vec::new() };
    for setting in &settings {
        line.put(setting, &settings, &variable)?;
    }
    line.own_namespace(&variable);
    let Line { mut made, typed, notices, .. } = line;
    made.splice(0..0, [program, "run".into()]);
    // Whoever starts it as upstream's program has people who seal with kubeseal: they need a certificate.
    let says = typed.iter().any(|word| word.to_str().is_some_and(|word| word.starts_with(CERTIFICATES)));
    if as_upstream && !says && variable(CERTIFICATES_VARIABLE).is_none() {
        made.push(format!("{CERTIFICATES}=true").into());
    }
    made.extend(typed);
    Ok(Wish::Read(made, notices))
}

fn whole(program: OsString, mut words: Vec<OsString>) -> Wish {
    words.insert(0, program);
    Wish::Read(words, Vec::new())
}

/// Name and value of a word that is a flag.
fn split(word: &str) -> Option<(&str, Option<&str>)> {
    let name = word.strip_prefix("--").or_else(|| word.strip_prefix('-'))?;
    let (name, value) = name.split_once('=').map_or((name, None), |(name, value)| (name, Some(value)));
    (!name.is_empty()).then_some((name, value))
}

/// Go takes one dash for two.
fn doubled(run: &Command, word: &OsString, name: &str) -> OsString {
    let text = word.to_str().unwrap_or_default();
    let is_single = name.len() > 1 && !text.starts_with("--") && argument(run, name).is_some();
    if is_single { format!("-{text}").into() } else { word.clone() }
}

fn argument<'a>(run: &'a Command, name: &str) -> Option<&'a Arg> {
    run.get_arguments().find(|argument| {
        argument.get_long() == Some(name) || argument.get_all_aliases().is_some_and(|all| all.contains(&name))
    })
}

/// Our command line in the making.
struct Line<'a> {
    run: &'a Command,
    /// Words that are no settings of upstream's.
    typed: Vec<OsString>,
    /// Words made of upstream's settings.
    made: Vec<OsString>,
    notices: Vec<Notice>,
}

impl Line<'_> {
    fn put(
        &mut self,
        setting: &Setting,
        all: &[Setting],
        variable: &impl Fn(&str) -> Option<OsString>,
    ) -> Result<(), String> {
        let Setting { flag, given, value, from_environment } = setting;
        // What ours takes under the same name, ours judges: it may take more.
        let kind =
            if argument(self.run, flag.name).is_some() && flag.kind != Kind::Switch { Kind::Text } else { flag.kind };
        let value = value::read(kind, value).map_err(|problem| format!("invalid value in {given}: {problem}"))?;
        let (name, renamed) = match flag.otherwise {
            Otherwise::Becomes(ours) if argument(self.run, flag.name).is_none() => (ours, true),
            Otherwise::Becomes(_) | Otherwise::Nothing(_) => (flag.name, false),
        };
        let Some(argument) = argument(self.run, name) else {
            let answer = match flag.otherwise {
                Otherwise::Nothing(answer) => answer,
                Otherwise::Becomes(_) => "has no counterpart in this version",
            };
            self.say(given, format!("{given} {answer}"), value == flag.default);
            return Ok(());
        };
        let is_typed = self.typed.iter().filter_map(|word| split(word.to_str()?)).any(|(typed, _)| typed == name)
            || (renamed && all.iter().any(|other| other.flag.name == name));
        let preferred = argument.get_env().and_then(OsStr::to_str).filter(|ours| variable(ours).is_some());
        match preferred {
            _ if is_typed => self.say(given, format!("{given} gives way to --{name}, which is set too"), false),
            Some(ours) if *from_environment => {
                self.say(given, format!("{given} gives way to {ours}, which is set too"), false);
            }
            _ => {
                self.made.extend(as_ours(argument, name, &value));
                if renamed {
                    self.say(given, format!("{given} is taken as --{name}={value}"), true);
                }
            }
        }
        Ok(())
    }

    fn say(&mut self, given: &str, answer: String, holds: bool) {
        self.notices.push(Notice { given: given.to_owned(), answer, holds });
    }

    /// Upstream learns its own namespace from this variable before it looks anywhere else.
    fn own_namespace(&mut self, variable: &impl Fn(&str) -> Option<OsString>) {
        const OURS: &str = "controller-namespace";
        let is_typed = self.typed.iter().filter_map(|word| split(word.to_str()?)).any(|(typed, _)| typed == OURS);
        if is_typed || variable("BULLA_CONTROLLER_NAMESPACE").is_some() {
            return;
        }
        if let Some(namespace) = variable("POD_NAMESPACE").filter(|namespace| !namespace.is_empty()) {
            let mut word = OsString::from(format!("--{OURS}="));
            word.push(namespace);
            self.made.push(word);
        }
    }
}

/// The word for our flag: one that takes no value is there or not.
fn as_ours(argument: &Arg, name: &str, value: &str) -> Option<OsString> {
    let takes_value = !matches!(argument.get_action(), ArgAction::SetTrue | ArgAction::Count);
    if takes_value {
        return Some(format!("--{name}={value}").into());
    }
    (value != "false").then(|| format!("--{name}").into())
}

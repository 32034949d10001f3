//! Files that change over the years of a repository: code, lock files, documents, definitions, bundles, pictures.

use super::manifests;
use super::words::Words;

/// A file, as it stands and as it changes.
pub(crate) struct Source {
    pub(crate) path: String,
    lines: Vec<String>,
    kind: Kind,
}

/// What a file is made of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Go,
    TypeScript,
    Python,
    /// `go.sum`: a hash in every line.
    GoSum,
    /// `package-lock.json`: longer hashes, and addresses.
    PackageLock,
    Markdown,
    /// Of Helm charts: large, deeply nested YAML.
    Definition,
    /// What a bundler makes: few lines, very long.
    Bundle,
    /// Variables without values, or with such as tell where to get one.
    Settings,
}

impl Source {
    pub(crate) fn new(words: &mut Words, path: String, kind: Kind, length: usize) -> Self {
        let lines = match kind {
            Kind::Definition => manifests::definition(words, length / 4),
            Kind::Go
            | Kind::TypeScript
            | Kind::Python
            | Kind::GoSum
            | Kind::PackageLock
            | Kind::Markdown
            | Kind::Bundle
            | Kind::Settings => (0..length).map(|_| line(words, kind)).collect(),
        };
        Self { path, lines, kind }
    }

    pub(crate) fn text(&self) -> String {
        let mut text = self.lines.join("\n");
        if self.kind == Kind::PackageLock {
            text = format!("{{\n  \"lockfileVersion\": 3,\n  \"packages\": {{\n{text}\n    \"\": {{}}\n  }}\n}}");
        }
        text.push('\n');
        text
    }

    /// A line of it, from 1: where it is, and what to put there to get another text once.
    pub(crate) fn with_line(&self, words: &mut Words, line: &str) -> (String, usize) {
        let at = words.below(self.lines.len());
        let mut lines: Vec<&str> = self.lines.iter().map(String::as_str).collect();
        lines.insert(at, line);
        let before: usize = lines[..at].iter().map(|line| 1 + line.matches('\n').count()).sum();
        (lines.join("\n") + "\n", before + 1)
    }

    /// Goes on by one commit.
    pub(crate) fn change(&mut self, words: &mut Words) {
        let edits = match self.kind {
            Kind::GoSum | Kind::PackageLock => words.between(1, 12),
            Kind::Bundle => self.lines.len().div_ceil(2),
            Kind::Definition => words.between(3, 40),
            Kind::Go | Kind::TypeScript | Kind::Python | Kind::Markdown | Kind::Settings => words.between(1, 15),
        };
        for _ in 0..edits {
            let at = words.below(self.lines.len());
            if self.kind == Kind::Definition {
                // Only what has no structure changes.
                if let Some((before, _)) = self.lines[at].split_once("description: ") {
                    self.lines[at] = format!("{before}description: {}", words.sentence());
                }
                continue;
            }
            let new = line(words, self.kind);
            match words.below(10) {
                0..6 => self.lines[at] = new,
                6..9 => self.lines.insert(at, new),
                _ if self.lines.len() > 10 => drop(self.lines.remove(at)),
                _ => {}
            }
        }
    }
}

/// A picture, to whoever does not look closely.
pub(crate) fn picture(words: &mut Words, length: usize) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
    bytes.extend(words.bytes(length));
    bytes
}

fn line(words: &mut Words, kind: Kind) -> String {
    match kind {
        Kind::Go => go(words),
        Kind::TypeScript => type_script(words),
        Kind::Python => python(words),
        Kind::GoSum => {
            let (host, name, version) = (words.word(), words.name(), words.version());
            let ending = if words.chance(50) { "/go.mod" } else { "" };
            format!("code.example.org/{host}/{name} v{version}{ending} h1:{}", words.base64(32))
        }
        Kind::PackageLock => {
            let (name, version) = (words.name(), words.version());
            format!(
                "    \"node_modules/{name}\": {{\n      \"version\": \"{version}\",\n      \"resolved\": \
                 \"https://packages.example.org/{name}/-/{name}-{version}.tgz\",\n      \"integrity\": \"sha512-{}\"\n    }},",
                words.base64(64)
            )
        }
        Kind::Markdown => markdown(words),
        Kind::Definition => String::new(),
        Kind::Bundle => {
            let mut text = String::new();
            while text.len() < 20_000 {
                let (first, second, third) = (words.base62(2), words.base62(1), words.word());
                text.push_str(&format!(
                    "function {first}({second}){{return {second}.{third}?\"{}\":{}}}var token=e.token,key={}[\"{third}\"];",
                    words.word(),
                    words.below(100_000),
                    words.base62(3),
                ));
            }
            text
        }
        Kind::Settings => {
            let name = format!("{}_{}", words.word().to_uppercase(), words.word().to_uppercase());
            match words.below(6) {
                0 => format!("{name}_PASSWORD="),
                1 => format!("{name}_TOKEN=<ask the {} team>", words.word()),
                2 => format!("{name}_PASSWORD=${{{name}_PASSWORD}}"),
                3 => format!("{name}_API_KEY=changeme"),
                4 => format!("# {}", words.sentence()),
                _ => format!("{name}_URL=https://{}.example.org:{}", words.word(), words.below(9000)),
            }
        }
    }
}

fn go(words: &mut Words) -> String {
    let (first, second, third) = (words.word(), words.variable(), words.word());
    let constant = first.to_uppercase();
    match words.below(16) {
        0 => format!("func (s *Service) {second}(ctx context.Context, {first} string) error {{"),
        1 => format!("\tif err := s.{second}(ctx, {third}); err != nil {{"),
        2 => format!("\t\treturn fmt.Errorf(\"{first} {third}: %w\", err)"),
        3 => "\t}".to_owned(),
        4 => format!("\tpassword := os.Getenv(\"{constant}_PASSWORD\")"),
        5 => format!("\t{second} := make(map[string]{third}.Options, len({first}s))"),
        6 => format!("\ttoken, err := s.{second}Token(ctx, {first}.Name)"),
        7 => format!("\tslog.InfoContext(ctx, \"{first} {third} done\", \"count\", {})", words.below(900)),
        8 => format!("// {}", words.sentence()),
        9 => format!("\tsecret, err := client.CoreV1().Secrets({first}).Get(ctx, {second}, metav1.GetOptions{{}})"),
        10 => format!("const {second}Key = \"{third}.{first}/{}\"", words.word()),
        11 => "}\n".to_owned(),
        12 => format!("\tcase {second}:"),
        13 => format!("\t\t{{name: \"{first} of a {third}\", want: \"{}\"}},", words.hex(40)),
        14 => format!("\trequest.Header.Set(\"Authorization\", \"Bearer \"+{second})"),
        _ => format!("\t{third}.{second}({first}, {})", words.below(64)),
    }
}

fn type_script(words: &mut Words) -> String {
    let (first, second, third) = (words.word(), words.variable(), words.word());
    match words.below(13) {
        0 => format!("export async function {second}({first}: {third}Options): Promise<void> {{"),
        1 => format!("  const {second} = await this.{first}.find({{ {third}: true, limit: {} }});", words.below(500)),
        2 => format!("import {{ {second} }} from '../{first}/{third}';"),
        3 => "}".to_owned(),
        4 => format!("  const password = process.env.{}_PASSWORD ?? '';", first.to_uppercase()),
        5 => format!("  expect(screen.getByLabelText('{first} {third}')).toBeVisible();"),
        6 => format!("  headers: {{ Authorization: `Bearer ${{{second}.token}}` }},"),
        7 => format!("  // {}", words.sentence()),
        8 => format!("  {{ id: '{}', key: '{first}.{third}' }},", uuid(words)),
        9 => format!("  if (!{second}) throw new Error('no {first} for this {third}');"),
        10 => format!("  <Field name=\"password\" type=\"password\" label={{t('{first}.password')}} />"),
        11 => format!("  return {second}.map(({first}) => {first}.{third});"),
        _ => format!("  private readonly {second} = new Map<string, {third}>();"),
    }
}

fn python(words: &mut Words) -> String {
    let (first, second, third) = (words.word(), words.name().replace('-', "_"), words.word());
    match words.below(11) {
        0 => format!("def {second}({first}, *, {third}=None):"),
        1 => format!("    \"\"\"{}\"\"\"", words.sentence()),
        2 => format!("    {first}_password = os.environ[\"{}_PASSWORD\"]", third.to_uppercase()),
        3 => format!("    with {first}.{second}(timeout={}) as {third}:", words.below(60)),
        4 => format!("        log.info(\"{first} %s done in %d ms\", {third}, {second})"),
        5 => format!("    return {{\"{first}\": {third}, \"digest\": \"sha256:{}\"}}", words.hex(64)),
        6 => format!("    api_key = settings.{second}_api_key"),
        7 => format!("    assert {second}({first}) == {}", words.below(5000)),
        8 => format!("class {}(Base):", words.variable()),
        9 => String::new(),
        _ => format!("    {second} = [{first} for {first} in {third} if {first}.token]"),
    }
}

fn markdown(words: &mut Words) -> String {
    match words.below(12) {
        0 => format!("## {}", words.name()),
        1 => format!("- {} (`{}`)", words.sentence(), words.hex(7)),
        2 => format!(
            "    export {}_TOKEN=$(vault read -field=token secret/{})",
            words.word().to_uppercase(),
            words.name()
        ),
        3 => "    aws configure set aws_access_key_id AKIAIOSFODNN7EXAMPLE".to_owned(),
        4 => "| name | password | what for |".to_owned(),
        5 => "    psql postgres://user:password@localhost:5432/app".to_owned(),
        6 => String::new(),
        _ => format!("{} {}", words.sentence(), words.sentence()),
    }
}

fn uuid(words: &mut Words) -> String {
    format!("{}-{}-4{}-8{}-{}", words.hex(8), words.hex(4), words.hex(3), words.hex(3), words.hex(12))
}

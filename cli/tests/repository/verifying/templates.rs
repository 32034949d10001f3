//! Charts: templates as far as they can be read, the values beside them, and texts within texts.

use bulla::seal::Scope;

use super::{Found, at, found, manifest, repository, sealed, verify};
use crate::support::tools;

const CHART: &str = "apiVersion: v2\nname: shop\nversion: 1.0.0\n";

fn seen(found: &[Found]) -> Vec<(&str, &str)> {
    found.iter().map(|one| (one.rule.as_str(), one.at.as_str())).collect()
}

#[test]
fn a_template_is_checked_as_far_as_it_can_be_read_and_what_helm_renders_to_the_end() {
    let (bench, to) = repository();
    let of = |name: &str, key: &str| sealed(&[&to], Scope::Strict, "prod", name, key);
    bench.write("chart/Chart.yaml", CHART);
    bench.write("chart/values.yaml", "isOn: true\nname: db\n");
    let template = format!(
        "{{{{- if .Values.isOn }}}}\napiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata:\n  name: {{{{ .Values.name }}}}\n  \
         namespace: {{{{ .Release.Namespace }}}}\nspec:\n  encryptedData:\n    password: {}\n    user: {}\n    late: {{{{ .Values.late | quote }}}}\n{{{{- end }}}}\n",
        of("db", "password"),
        of("db", "usr"),
    );
    bench.write("chart/templates/db.yaml", &template);
    // The key is known, name and namespace are not: one mistake can be told.
    let mistakes = verify(&bench, &[]);
    let user = at(&bench, "chart/templates/db.yaml", "user:");
    assert_eq!(seen(&mistakes), [("wrong-place", user.as_str())], "{mistakes:#?}");
    let plain = template.replace("    late: {{ .Values.late | quote }}\n", "").replace(&of("x", "y"), "");
    bench.write("chart/templates/db.yaml", &plain);
    for (namespace, expected) in [("prod", 1), ("dev", 2)] {
        let arguments =
            ["template", "shop", bench.path("chart").to_str().unwrap(), "--namespace", namespace].map(str::to_owned);
        let rendered = tools::stdout_of(tools::helm(&arguments.each_ref().map(String::as_str)));
        let run = bench.pipe(&["verify", "--output", "json", "-"], &String::from_utf8(rendered).unwrap());
        assert_eq!(found(&run).len(), expected, "{namespace}: {}", run.out);
    }
    // Plain Secrets, conditions around them or not.
    bench.write(
        "chart/templates/secret.yaml",
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: {{ include \"shop.name\" . }}\n  {{- with .Values.labels }}\n  labels:\n    {{- toYaml . | nindent 4 }}\n  {{- end }}\n\
         stringData:\n  fine: {{ required \"a }} value\" .Values.fine }}\n  bad: canary-hunter2\n",
    );
    let mistakes = verify(&bench, &["chart/templates/secret.yaml"]);
    assert_eq!(seen(&mistakes), [("plain-secret", "chart/templates/secret.yaml:11:3")]);
    assert_eq!(mistakes[0].path, "stringData.bad");
}

#[test]
fn sealed_values_among_the_values_of_a_chart_are_checked_for_what_they_say_themselves() {
    let (bench, to) = repository();
    let of = |key: &str| sealed(&[&to], Scope::Strict, "prod", "db", key);
    let values = format!(
        "image: {{tag: v1}}\ndb:\n  encryptedData:\n    password: {}\n    other: {}\n    later: ''\n    broken: AgBnonsense\napiToken: {}\n",
        of("password"),
        of("user"),
        &of("token")[..120]
    );
    bench.write("values-prod.yaml", &values);
    let mistakes = verify(&bench, &[]);
    let place = |text| at(&bench, "values-prod.yaml", text);
    let token = place("YWdlLWVuY3J5cHRpb24ub3JnL3Yx").replace("4:15", "8:11");
    let (other, broken) = (place("other:"), place("broken:"));
    let expected =
        [("wrong-place", other.as_str()), ("sealed-value", broken.as_str()), ("sealed-value", token.as_str())];
    assert_eq!(seen(&mistakes), expected, "{mistakes:#?}");
    let paths: Vec<&str> = mistakes.iter().map(|one| one.path.as_str()).collect();
    assert_eq!(paths, ["db.encryptedData.other", "db.encryptedData.broken", "apiToken"]);
    // Keys and recipients count here too.
    let stranger = bench.run(&["keys", "generate", "-o", ".git/other"]).exits(0).out;
    bench.write("other.pub", &stranger);
    bench.write("values-prod.yaml", &format!("db:\n  encryptedData:\n    password: {}\n", of("password")));
    assert_eq!(verify(&bench, &[]), []);
    assert_eq!(seen(&verify(&bench, &["--keyring", "other.pub"])), [("unknown-key", "values-prod.yaml:3:5")]);
}

#[test]
fn manifests_in_objects_and_in_texts_are_found() {
    let (bench, to) = repository();
    let value = sealed(&[&to], Scope::Strict, "prod", "db", "password");
    let object = manifest("db", "  namespace: dev\n", &[("password", &value)]).replace('\n', "\n    ");
    bench.write(
        "values.yaml",
        &format!("extraObjects:\n  - {object}\n  - kind: Secret\n    stringData: {{a: canary-hunter2}}\n"),
    );
    let mistakes = verify(&bench, &[]);
    assert_eq!(
        seen(&mistakes),
        [("wrong-place", "values.yaml:9:9"), ("plain-secret", "values.yaml:12:18")],
        "{mistakes:#?}"
    );
    bench.write("values.yaml", "");
    // An application of Argo CD, with the values of a chart as a text.
    bench.write(
        "app.yaml",
        &format!(
            "apiVersion: argoproj.io/v1alpha1\nkind: Application\nspec:\n  source:\n    helm:\n      values: |\n        a: b\n        \
             db:\n          encryptedData:\n            user: {value}\n        secret:\n          kind: Secret\n          data: {{k: Y2FuYXJ5}}\n"
        ),
    );
    let mistakes = verify(&bench, &[]);
    assert_eq!(
        seen(&mistakes),
        [("wrong-place", "app.yaml:10:13"), ("plain-secret", "app.yaml:13:18")],
        "{mistakes:#?}"
    );
}

#[test]
fn lists_and_documents_are_checked_one_by_one() {
    let (bench, to) = repository();
    let value = sealed(&[&to], Scope::Strict, "prod", "db", "password");
    let good = manifest("db", "  namespace: prod\n", &[("password", &value)]);
    let bad = manifest("db2", "  namespace: prod\n", &[("password", &value)]);
    let other = bad.replace("name: db2", "name: db3");
    // A value over several lines is one value.
    let (first, rest) = value.split_at(40);
    let block = manifest("db", "  namespace: prod\n", &[("password", &format!("|\n      {first}\n      {rest}"))]);
    bench.write("block.yaml", &block);
    let run = bench.run(&["verify"]).exits(0);
    assert!(run.out.contains("1 SealedSecret(s) with 1 value(s)"), "{}", run.out);
    std::fs::remove_file(bench.path("block.yaml")).unwrap();
    let item = |text: &str| format!("- {}\n", text.trim_end().replace('\n', "\n  "));
    bench.write(
        "all.yaml",
        &format!("apiVersion: v1\nkind: List\nitems:\n{}{}---\n{other}---\n# nothing\n", item(&good), item(&bad)),
    );
    let mistakes = verify(&bench, &[]);
    assert_eq!(seen(&mistakes), [("wrong-place", "all.yaml:19:7"), ("wrong-place", "all.yaml:28:5")], "{mistakes:#?}");
    let json = format!(
        "{{\"apiVersion\": \"bitnami.com/v1alpha1\", \"kind\": \"SealedSecret\",\n \"metadata\": {{\"name\": \"db2\", \"namespace\": \"prod\"}},\n \
         \"spec\": {{\"encryptedData\": {{\"password\": \"{value}\"}}}}}}"
    );
    bench.write("all.yaml", "");
    bench.write("one.json", &json);
    assert_eq!(seen(&verify(&bench, &[])), [("wrong-place", "one.json:3:29")]);
}

#[test]
fn text_in_the_actions_of_a_chart_is_no_secret_kept() {
    let (bench, _) = repository();
    bench.write("chart/Chart.yaml", CHART);
    let secret = |name: &str, value: &str| {
        let text =
            format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\nstringData:\n  password: {value}\n");
        bench.write(&format!("chart/templates/{name}.yaml"), &text);
    };
    let leaks = [
        ("encoded", "{{ \"canary-hunter2\" | b64enc }}"),
        ("printed", "{{ printf \"%s\" \"canary-hunter2\" | quote }}"),
        ("raw", "'{{ `canary-hunter2` }}'"),
        ("bare", "{{ \"canaryhunter2\" }}"),
        ("beside", "canary-hunter2{{ \"\" }}"),
    ];
    leaks.iter().for_each(|(name, value)| secret(name, value));
    for (name, value) in [
        ("given", "{{ .Values.password | quote }}"),
        ("needed", "{{ required \"a password\" .Values.password | b64enc }}"),
        ("included", "{{ include \"chart.password\" . }}"),
        ("looked", "{{ index (lookup \"v1\" \"Secret\" .Release.Namespace \"db\").data \"password\" }}"),
        ("formed", "{{ printf \"postgres://%s@db\" .Values.password }}"),
        ("made", "{{ randAlphaNum 32 | quote }}"),
        ("nothing", "{{ default \"\" .Values.password }}"),
    ] {
        secret(name, value);
    }
    bench.write(
        "chart/templates/kind.yaml",
        "apiVersion: v1\nkind: {{ \"Secret\" }}\nmetadata: {name: kind}\nstringData:\n  password: canary-hunter2\n",
    );
    let of = |found: Vec<Found>| {
        let mut objects: Vec<String> =
            found.into_iter().filter(|one| one.rule == "plain-secret").map(|one| one.object).collect();
        objects.sort();
        objects
    };
    let expected = ["bare", "beside", "encoded", "kind", "printed", "raw"].map(|name| format!("Secret {name}"));
    assert_eq!(of(verify(&bench, &[])), expected);
    for (name, _) in leaks {
        std::fs::remove_file(bench.path(&format!("chart/templates/{name}.yaml"))).unwrap();
    }
    std::fs::remove_file(bench.path("chart/templates/kind.yaml")).unwrap();
    // What is taken where nothing else is given is a warning.
    secret("fallback", "{{ default \"canary-hunter2\" .Values.password | b64enc }}");
    bench.run(&["verify"]).exits(0);
    let run = bench.run(&["verify", "--strict"]).exits(1);
    assert!(run.out.contains("in the clear where nothing else is given") && !run.out.contains("canary"), "{}", run.out);
}

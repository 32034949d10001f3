// Renders templates with the real text/template, Sprig and the functions of External Secrets, to say what Bulla's own
// rendering must give.
//
//	cd tests/servers/sprig && for table in template/tests/cases template/tests/external; do
//	    TZ=UTC go run . < ../../../src/secret/$table.json > table.json && mv table.json ../../../src/secret/$table.json
//	done
//	go run . pairs < ../../../src/secret/external/pairs.json > table.json &&
//	    mv table.json ../../../src/secret/external/pairs.json
//
// Reads a JSON array of {template, values, binary, files}, where binary holds values in base64 and files the names of
// files in template/tests/files, and writes it again with what each gives: by default (missing keys render as
// "<no value>") and, where that differs, with missing keys as errors.
//
// With "pairs" it reads an array of {text} and writes what External Secrets' KeysAndValues makes of each text.
package main

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"log"
	"os"
	"path/filepath"
	"strings"
	"text/template"
	"unicode/utf8"

	"github.com/Masterminds/sprig/v3"
	esapi "github.com/external-secrets/external-secrets/apis/externalsecrets/v1"
	eso "github.com/external-secrets/external-secrets/pkg/template/v2"
	corev1 "k8s.io/api/core/v1"
)

type result struct {
	Output *string `json:"output,omitempty"`
	Binary []byte  `json:"binary,omitempty"`
	Failed bool    `json:"failed,omitempty"`
}

type testCase struct {
	Template string            `json:"template"`
	Values   map[string]string `json:"values,omitempty"`
	Binary   map[string][]byte `json:"binary,omitempty"`
	Files    map[string]string `json:"files,omitempty"`
	Default  result            `json:"default"`
	Strict   *result           `json:"strict,omitempty"`
}

func render(c testCase, option string) result {
	functions := sprig.GenericFuncMap()
	for name, function := range eso.FuncMap() {
		if _, known := functions[name]; !known {
			functions[name] = function
		}
	}
	// The release that can be imported is older than certSANs and than the cut before the first block; this is what they
	// are.
	filter := eso.FuncMap()["filterPEM"].(func(string, string) (string, error))
	functions["filterPEM"] = func(label, input string) (string, error) { return filter(label, fromFirstBlock(input)) }
	functions["certSANs"] = certSANs
	for _, name := range []string{"env", "expandenv", "getHostByName"} {
		delete(functions, name)
	}
	values := map[string]string{}
	for key, value := range c.Values {
		values[key] = value
	}
	for key, value := range c.Binary {
		values[key] = string(value)
	}
	for key, name := range c.Files {
		content, err := os.ReadFile(filepath.Join("../../../src/secret/template/tests/files", name))
		if err != nil {
			log.Fatal(err)
		}
		values[key] = string(content)
	}
	parsed, err := template.New("the data key").Funcs(functions).Option(option).Parse(c.Template)
	var out bytes.Buffer
	if err == nil {
		err = parsed.Execute(&out, values)
	}
	if err != nil {
		if os.Getenv("SHOW_ERRORS") != "" {
			log.Print(err)
		}
		return result{Failed: true}
	}
	if utf8.Valid(out.Bytes()) {
		text := out.String()
		return result{Output: &text}
	}
	return result{Binary: out.Bytes()}
}

func fromFirstBlock(input string) string {
	if start := strings.Index(input, "-----BEGIN"); start > 0 {
		return input[start:]
	}
	return input
}

func certSANs(input string) ([]string, error) {
	block, _ := pem.Decode([]byte(fromFirstBlock(input)))
	if block == nil {
		return nil, errors.New("no PEM block")
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, err
	}
	names := append([]string{}, certificate.DNSNames...)
	for _, address := range certificate.IPAddresses {
		names = append(names, address.String())
	}
	names = append(names, certificate.EmailAddresses...)
	for _, uri := range certificate.URIs {
		names = append(names, uri.String())
	}
	return names, nil
}

type pairs struct {
	Text    string             `json:"text"`
	Entries *map[string]string `json:"entries,omitempty"`
	Failed  bool               `json:"failed,omitempty"`
}

// What a literal makes of the data of a Secret.
func keysAndValues() {
	var cases []pairs
	if err := json.NewDecoder(os.Stdin).Decode(&cases); err != nil {
		log.Fatal(err)
	}
	for index := range cases {
		c, secret := &cases[index], corev1.Secret{}
		text := map[string][]byte{"text": []byte("{{ .text }}")}
		values := map[string][]byte{"text": []byte(c.Text)}
		err := eso.Execute(text, values, esapi.TemplateScopeKeysAndValues, esapi.TemplateTargetData, &secret)
		c.Entries, c.Failed = nil, err != nil
		if err == nil {
			entries := map[string]string{}
			for key, value := range secret.Data {
				entries[key] = string(value)
			}
			c.Entries = &entries
		}
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", " ")
	if err := encoder.Encode(cases); err != nil {
		log.Fatal(err)
	}
}

func main() {
	// External Secrets sets its delimiters by flags that it registers; without them both are empty, which is Go's default.
	if len(os.Args) > 1 && os.Args[1] == "pairs" {
		keysAndValues()
		return
	}
	var cases []testCase
	if err := json.NewDecoder(os.Stdin).Decode(&cases); err != nil {
		log.Fatal(err)
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	for index, c := range cases {
		c.Default = render(c, "missingkey=default")
		c.Strict = nil
		strict := render(c, "missingkey=error")
		if strict.Failed != c.Default.Failed {
			c.Strict = &strict
		}
		out.WriteString(map[bool]string{true: "[\n", false: ","}[index == 0])
		if err := encoder.Encode(c); err != nil {
			log.Fatal(err)
		}
	}
	out.WriteString("]\n")
	if _, err := os.Stdout.Write(out.Bytes()); err != nil {
		log.Fatal(err)
	}
}

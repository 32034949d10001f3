// Renders templates with the real text/template and Sprig, to say what Bulla's own rendering must give.
//
//	cd tests/servers/sprig && TZ=UTC go run . < ../../../src/secret/template/tests/cases.json > cases.json &&
//	    mv cases.json ../../../src/secret/template/tests/cases.json
//
// Reads a JSON array of {template, values, binary}, where binary holds values in base64, and writes it again with what
// each gives: by default (missing keys render as "<no value>") and, where that differs, with missing keys as errors.
package main

import (
	"bytes"
	"encoding/json"
	"log"
	"os"
	"text/template"
	"unicode/utf8"

	"github.com/Masterminds/sprig/v3"
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
	Default  result            `json:"default"`
	Strict   *result           `json:"strict,omitempty"`
}

func render(c testCase, option string) result {
	functions := sprig.GenericFuncMap()
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

func main() {
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

package jsonscan_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/onbehalf/onbehalf/internal/jsonscan"
)

func valid(text []byte) error {
	s := jsonscan.New(text)
	if _, err := s.Value(); err != nil {
		return err
	}
	return s.End()
}

func texts() []string {
	return []string{
		`{}`, ` [ ] `, `{"a":1,"b":[true,false,null,"x"],"c":{"d":-1.5e+10}}`, `"\u00e9\n\"\\"`, `0`, `-0`, `1e5`, `1E-5`, `0.1`,
		``, ` `, `{`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{a:1}`, `[1,]`, `[1 2]`, `[`, `]`, `01`, `-`, `1.`, `.5`, `1e`, `+1`, `tru`, `nul`, `truex`, `"`, `"\x"`, `"\u12g4"`, `"\`, `"` + "\n" + `"`,
		`1 2`, `{} x`, "\xff", `"` + "\xff" + `"`, strings.Repeat("[", 400) + strings.Repeat("]", 400), "\ufeff{}", `NaN`, `'a'`, `{"a":1 "b":2}`,
	}
}

func TestSameAsTheStandardLibrary(t *testing.T) {
	for _, text := range texts() {
		want := json.Valid([]byte(text)) && utf8.ValidString(text)
		if err := valid([]byte(text)); (err == nil) != want {
			t.Errorf("%.50q: %v, want valid %v", text, err, want)
		}
	}
	var syntax *jsonscan.SyntaxError
	if err := valid([]byte(strings.Repeat("[", 100_000))); !errors.As(err, &syntax) || syntax.Offset != jsonscan.MaxDepth {
		t.Errorf("deep: %v", err)
	}
}

func TestObjectKeepsOrderDigitsAndRepetitions(t *testing.T) {
	text := []byte(` {"z" : 9007199254740993.50, "a":[ {"x":1} ,2 ], "z":"\u0041", "\u00e9": null} `)
	var got []string
	s := jsonscan.New(text)
	err := s.Object(func(name string, start int) error {
		if name == "a" {
			return s.Array(func() error {
				value, err := s.Value()
				got = append(got, string(value))
				return err
			})
		}
		value, err := s.Value()
		got = append(got, name+"="+string(value), string(text[start:s.Offset()]))
		return err
	})
	if err = errors.Join(err, s.End()); err != nil {
		t.Fatal(err)
	}
	want := []string{"z=9007199254740993.50", `"z" : 9007199254740993.50`, `{"x":1}`, "2", `z="\u0041"`, `"z":"\u0041"`, "é=null", `"\u00e9": null`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
	if err := jsonscan.New([]byte(`[]`)).Object(nil); !errors.Is(err, jsonscan.ErrKind) {
		t.Errorf("a list as an object: %v", err)
	}
	if err := jsonscan.New([]byte(`{}`)).Array(nil); !errors.Is(err, jsonscan.ErrKind) {
		t.Errorf("an object as a list: %v", err)
	}
}

func FuzzValue(f *testing.F) {
	for _, text := range texts() {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		err := valid(text)
		want := json.Valid(text) && utf8.Valid(text)
		if err == nil && !want || err != nil && want && !strings.Contains(err.Error(), "nested") {
			t.Errorf("%q: %v, want valid %v", text, err, want)
		}
	})
}

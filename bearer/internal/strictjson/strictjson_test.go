package strictjson_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/onbehalf/onbehalf/bearer/internal/strictjson"
)

func TestParseObject(t *testing.T) {
	for _, test := range []struct {
		desc, text string
		want       error
	}{
		{"empty object", `{}`, nil},
		{"every kind", ` { "a" : "x" , "b" : [ "y" , "z" ] , "c" : -1.5e2 , "d" : true , "e" : null , "f" : { "a" : 1 } } `, nil},
		{"names of other case are other names", `{"a":1,"A":2}`, nil},
		{"the same name in two objects", `{"a":{"x":1},"b":{"x":1},"x":1}`, nil},
		{"eight deep", strings.Repeat(`{"a":`, 7) + `{}` + strings.Repeat("}", 7), nil},
		{"nine deep", strings.Repeat(`{"a":`, 8) + `{}` + strings.Repeat("}", 8), strictjson.ErrTooLarge},
		{"nine lists deep", `{"a":` + strings.Repeat(`[`, 8) + strings.Repeat("]", 8) + "}", strictjson.ErrTooLarge},
		{"a list", `[]`, strictjson.ErrNotObject},
		{"null", `null`, strictjson.ErrNotObject},
		{"nothing", ``, strictjson.ErrSyntax},
		{"a tail", `{} x`, strictjson.ErrSyntax},
		{"a name twice", `{"a":1,"b":2,"a":3}`, strictjson.ErrDuplicate},
		{"a name twice, escaped", `{"ab":1,"\u0061b":3}`, strictjson.ErrDuplicate},
		{"a name twice, far inside", `{"a":[[{"b":[{"c":1,"c":2}]}]]}`, strictjson.ErrDuplicate},
		{"broken UTF-8", "{\"a\":\"\xff\"}", strictjson.ErrSyntax},
		{"a high surrogate alone", `{"a":"\ud800x"}`, strictjson.ErrSyntax},
		{"two high surrogates", `{"a":"\ud800\ud800"}`, strictjson.ErrSyntax},
		{"a low surrogate alone", `{"a":"\uDC00"}`, strictjson.ErrSyntax},
		{"a surrogate in a name", `{"\ud800":1}`, strictjson.ErrSyntax},
		{"what looks like a surrogate", `{"a":"\\ud800"}`, nil},
		{"a pair", `{"a":"\ud83d\ude00\n"}`, nil},
	} {
		if _, err := strictjson.ParseObject([]byte(test.text)); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", test.desc, err, test.want)
		}
	}
}

func TestValues(t *testing.T) {
	o, err := strictjson.ParseObject([]byte(`{"s":"x\u0041","l":["a","b"],"e":[],"m":["a",1],"n":1.5,"o":{"k":"v"},"t":true,"f":false,"z":null}`))
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := o.Get("s").Text(); got != "xA" || !ok {
		t.Errorf("Text = %q, %v", got, ok)
	}
	if got, ok := o.Get("l").Texts(); !reflect.DeepEqual(got, []string{"a", "b"}) || !ok {
		t.Errorf("Texts = %q, %v", got, ok)
	}
	if got, ok := o.Get("e").Texts(); got == nil || len(got) != 0 || !ok {
		t.Errorf("Texts of an empty list = %#v, %v; want it not nil", got, ok)
	}
	if got, ok := o.Get("n").Number(); got != 1.5 || !ok {
		t.Errorf("Number = %v, %v", got, ok)
	}
	if inner, ok := o.Get("o").Object(); !ok || inner.Get("k").IsZero() {
		t.Error("Object lost its member")
	}
	if o.Get("z").IsZero() || !o.Get("absent").IsZero() {
		t.Error("null is a value, an absent member is none")
	}
	for _, name := range []string{"s", "l", "m", "n", "o", "t", "f", "z", "absent"} {
		v := o.Get(name)
		_, text := v.Text()
		_, texts := v.Texts()
		_, number := v.Number()
		_, object := v.Object()
		if text != (name == "s") || texts != (name == "l") || number != (name == "n") || object != (name == "o") {
			t.Errorf("%s: text %v, texts %v, number %v, object %v", name, text, texts, number, object)
		}
	}
}

// FuzzParseObject holds the reader against encoding/json: what it accepts, the other reads likewise.
func FuzzParseObject(f *testing.F) {
	for _, seed := range []string{`{}`, `{"a":"b","c":["d"],"e":1}`, `{"a":{"b":[1,{"c":null}]}}`, `{"a":"\ud83d\ude00","\u0062":1e3}`, `{"a":1,"a":2}`, `{"a":"\ud800"}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		o, err := strictjson.ParseObject(data)
		var want map[string]any
		errJSON := json.Unmarshal(data, &want)
		if err != nil {
			return
		}
		if errJSON != nil {
			t.Fatalf("accepted, yet %v: %s", errJSON, data)
		}
		for name, value := range want {
			v := o.Get(name)
			switch value := value.(type) {
			case string:
				if got, ok := v.Text(); got != value || !ok {
					t.Errorf("%q: %q, %v; want %q", name, got, ok, value)
				}
			case float64:
				if got, ok := v.Number(); got != value || !ok {
					t.Errorf("%q: %v, %v; want %v", name, got, ok, value)
				}
			case map[string]any:
				if _, ok := v.Object(); !ok {
					t.Errorf("%q: not an object", name)
				}
			default:
				if v.IsZero() {
					t.Errorf("%q: absent", name)
				}
			}
		}
	})
}

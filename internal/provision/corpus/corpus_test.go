package corpus_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/onbehalf/onbehalf/internal/provision/corpus"
	"github.com/onbehalf/onbehalf/internal/sample"
	"github.com/onbehalf/onbehalf/search"
)

const typesIndex = `{"name":"types","permissionFilterOption":"enabled","fields":[
	{"name":"id","type":"Edm.String","key":true,"filterable":true},
	{"name":"s","type":"Edm.String","filterable":true},{"name":"long","type":"Edm.String"},
	{"name":"i","type":"Edm.Int32"},{"name":"l","type":"Edm.Int64"},{"name":"d","type":"Edm.Double"},{"name":"b","type":"Edm.Boolean"},
	{"name":"t","type":"Edm.DateTimeOffset"},{"name":"g","type":"Edm.GeographyPoint"},{"name":"tags","type":"Collection(Edm.String)"},
	{"name":"v","type":"Collection(Edm.Single)","dimensions":3},
	{"name":"c","type":"Edm.ComplexType","fields":[{"name":"a","type":"Edm.String"},{"name":"n","type":"Edm.Int32"}]},
	{"name":"cs","type":"Collection(Edm.ComplexType)","fields":[{"name":"n","type":"Edm.Int32"}]},
	{"name":"users","type":"Collection(Edm.String)","permissionFilter":"userIds","filterable":true},
	{"name":"groups","type":"Collection(Edm.String)","permissionFilter":"groupIds","filterable":true},
	{"name":"scope","type":"Edm.String","permissionFilter":"rbacScope","filterable":true}]}`

func checker(tb testing.TB) *corpus.Checker {
	tb.Helper()
	definition := &search.Definition{}
	if err := json.Unmarshal([]byte(typesIndex), definition); err != nil {
		tb.Fatal(err)
	}
	c, err := corpus.NewChecker(definition)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func file(tb testing.TB, text string) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "d.jsonl")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

func ids(n int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("%08x-0000-4000-8000-000000000000", i)
	}
	text, _ := json.Marshal(list)
	return string(text)
}

func TestDocumentsAreChecked(t *testing.T) {
	for _, tt := range []struct{ desc, line, field, says string }{
		{"every type", `{"id":"k_-=9","s":"x","i":-2147483648,"l":9223372036854775807,"d":-1.5e3,"b":true,"t":"2026-11-28T09:00:00.5+02:00","g":{"type":"Point","coordinates":[2.3,48.8]},"tags":["a",""],"v":[1,2,3.5],"c":{"a":"x","n":1},"cs":[{"n":1},{}],"users":["all"],"groups":["none"]}`, "", ""},
		{"nulls", `{"id":"k","s":null,"i":null,"tags":null,"c": null,"cs":null,"users":null,"t":null}`, "", ""},
		{"not a number", `{"id":"k","d":"NaN"}`, "", ""},
		{"a thousand readers", `{"id":"k","users":` + ids(1000) + `}`, "", ""},

		{"no key", `{"s":"x"}`, "id", "missing or empty"},
		{"an empty key", `{"id":""}`, "id", "empty"},
		{"a null key", `{"id":null}`, "id", "missing or empty"},
		{"a key that is a number", `{"id":1}`, "id", "want a string"},
		{"a key of 40 KB", `{"id":"` + strings.Repeat("é", 20480) + `"}`, "id", "20480 characters; a key has 1024 at most"},
		{"a slash in the key", `{"id":"a/b"}`, "id", "letters, digits"},
		{"an underscore before the key", `{"id":"_a"}`, "id", "does not begin with _"},
		{"an unknown field", `{"id":"k","S":"x"}`, "S", `it has "s"`},
		{"an action", `{"id":"k","@search.action":"delete"}`, "@search.action", "cannot name an action"},
		{"a field twice", `{"id":"k","users":["none"],"users":["all"]}`, "users", "twice"},
		{"32 bits", `{"id":"k","i":2147483648}`, "i", "32 bits"},
		{"64 bits", `{"id":"k","l":9223372036854775808}`, "l", "64 bits"},
		{"a fraction", `{"id":"k","l":1.5}`, "l", "whole number"},
		{"a number in quotes", `{"id":"k","i":"1"}`, "i", "whole number"},
		{"a double in quotes", `{"id":"k","d":"1.5"}`, "d", "want a number"},
		{"a boolean in quotes", `{"id":"k","b":"true"}`, "b", "true or false"},
		{"a date without an offset", `{"id":"k","t":"2026-11-28T09:00:00"}`, "t", "offset"},
		{"a point beyond the poles", `{"id":"k","g":{"type":"Point","coordinates":[0,91]}}`, "g", "longitude"},
		{"a string for a list", `{"id":"k","users":"all"}`, "users", "want a list"},
		{"a list for a string", `{"id":"k","s":["x"]}`, "s", "want a string"},
		{"null in a list", `{"id":"k","tags":["a",null]}`, "tags", "cannot hold null"},
		{"a vector that is short", `{"id":"k","v":[1,2]}`, "v", "vectors of 3"},
		{"an inner field", `{"id":"k","c":{"n":"x"}}`, "c/n", "whole number"},
		{"an unknown inner field", `{"id":"k","cs":[{"n":1},{"m":1}]}`, "cs/m", "no field"},
		{"an object for a list of them", `{"id":"k","cs":{"n":1}}`, "cs", "want a list"},
		{"a list for an object", `{"id":"k","c":[]}`, "c", "want a JSON object"},
		{"1,001 groups", `{"id":"k","groups":` + ids(1001) + `}`, "groups", "1001 values; the service takes 1000 at most (search-index-access-control-lists"},
		{"a term that is too long", `{"id":"k","s":"` + strings.Repeat("x", 32767) + `"}`, "s", "32766"},
		{"too many elements", `{"id":"k","cs":[` + strings.Repeat(`{},`, 3000) + `{}]}`, "cs", "3000"},
		{"a long key of letters that are none here", `{"id":"` + strings.Repeat("日本語", 30) + `"}`, "id", "日本語日本語日本…\": a key holds"},
		{"an escaped key", `{"id":"a\u002fb"}`, "id", `"a/b"`},
		{"a small number", `{"id":"k","i":1e2}`, "i", "whole number"},
		{"no JSON", `{"id":"k"`, "", "missing"},
		{"two values", `{"id":"k"}{}`, "", "byte"},
		{"a list", `["k"]`, "", "want a JSON object"},
		{"bytes that are no UTF-8", "{\"id\":\"k\",\"long\":\"\xff\"}", "", "UTF-8"},
	} {
		path := file(t, "\n"+tt.line+"\n")
		_, err := corpus.Check(corpus.Lines(path), checker(t), nil)
		if tt.says == "" {
			if err != nil {
				t.Errorf("%s: %v", tt.desc, err)
			}
			continue
		}
		problem, ok := errors.AsType[*corpus.InputError](err)
		if !ok || problem.Field != tt.field || !strings.Contains(err.Error(), tt.says) || !strings.HasPrefix(err.Error(), path+":2: ") {
			t.Errorf("%s: %v; want field %q, %q", tt.desc, err, tt.field, tt.says)
		}
		if err != nil && len(err.Error()) > 500 {
			t.Errorf("%s: a message of %d bytes", tt.desc, len(err.Error()))
		}
	}
}

func TestSurvey(t *testing.T) {
	const engineering = "9e000000-0000-4000-8000-0000000000e1"
	path := file(t, "\xef\xbb\xbf"+`{"id":"a","users":["all"]}
{"id":"b","users":["alice@contoso.com","A11CE000-0000-4000-8000-00000000000A"],"groups":["none"]}

{"id":"a"}
{"id":"c","users":["none"],"groups":["`+engineering+`"],"scope":"s1"}
`)
	source := corpus.Lines(path)
	var wrong []string
	survey, err := corpus.Check(source, checker(t), func(e *corpus.InputError) error { wrong = append(wrong, e.Error()); return nil })
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{path + `:4: field "id": "a" stands at ` + path + `:1 already`}, wrong); diff != "" {
		t.Error(diff)
	}
	if survey.Documents != 3 || survey.Skipped != 1 || survey.Everyone != 1 || survey.Nobody != 1 || !slices.Equal(survey.Groups, []string{engineering}) || len(survey.Strange) != 2 {
		t.Errorf("survey %+v", survey)
	}
	var positions []int
	for item, err := range survey.Items(source, func(position int) bool { return position == 1 }) {
		if err != nil {
			t.Fatal(err)
		}
		positions = append(positions, item.Position)
	}
	if !slices.Equal(positions, []int{2, 5}) {
		t.Errorf("items at %v; want those that are neither wrong nor done", positions)
	}
	// More scopes than the service takes.
	var many strings.Builder
	for i := range 6 {
		fmt.Fprintf(&many, `{"id":"%d","scope":"s%d"}`+"\n", i, i)
	}
	if _, err = corpus.Check(corpus.Lines(file(t, many.String())), checker(t), nil); err == nil || !strings.Contains(err.Error(), "more than 5 different scopes") {
		t.Errorf("six scopes: %v", err)
	}
}

// What is uploaded is what was checked: a small input is kept, a large one is read again, and a change in it is noticed.
func TestInputsThatChange(t *testing.T) {
	for _, tt := range []struct {
		desc      string
		documents int
		changed   bool
	}{{"a small input", 2, false}, {"a large input", 70, true}} {
		var text strings.Builder
		for i := range tt.documents {
			fmt.Fprintf(&text, `{"id":"%d","users":["none"],"long":"%s"}`+"\n", i, strings.Repeat("x", 1<<20))
		}
		path := file(t, text.String())
		source := corpus.Lines(path)
		survey, err := corpus.Check(source, checker(t), nil)
		if err != nil {
			t.Fatal(err)
		}
		if err = os.WriteFile(path, []byte(strings.ReplaceAll(text.String(), "none", "all")), 0o600); err != nil {
			t.Fatal(err)
		}
		items, open := 0, 0
		var last error
		for item, err := range survey.Items(source, func(position int) bool { return position == 1 }) {
			if last = err; err == nil {
				items++
			}
			if strings.Contains(string(item.Action.Document), "all") {
				open++
			}
		}
		if items != tt.documents-1 || errors.Is(last, corpus.ErrChanged) != tt.changed || open > 0 && !tt.changed {
			t.Errorf("%s: %d items, %d of them changed, %v", tt.desc, items, open, last)
		}
	}
}

// Escapes hide nobody from the survey.
func TestEscapedReaders(t *testing.T) {
	line := `{"id":"k","users":["\u0061ll"],"groups":["9e000000\u002d0000-4000-8000-0000000000e1"]}`
	survey, err := corpus.Check(corpus.Memory("memory", []search.Document{search.Document(line)}), checker(t), nil)
	if err != nil || survey.Everyone != 1 || len(survey.Groups) != 1 {
		t.Errorf("survey %+v, %v", survey, err)
	}
	double := []search.Document{search.Document(`{"id":"k"}`), search.Document(`{"id":"\u006b"}`)}
	if _, err := corpus.Check(corpus.Memory("memory", double), checker(t), nil); err == nil || err.Error() != `memory, document 2: field "id": "k" stands at memory, document 1 already` {
		t.Errorf("the same key, escaped: %v", err)
	}
}

func folder(tb testing.TB, acl string, files map[string]string) string {
	tb.Helper()
	dir := tb.TempDir()
	files["acl.yaml"] = acl
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			tb.Fatal(err)
		}
	}
	return dir
}

const aclRules = `
rules:
  - path: "handbook/**"
    everyone: true
  - path: "people/*.md"
    users: [alice@contoso.com, B0B00000-0000-4000-8000-00000000000B]
    groups: [engineering, gone]
  - path: "board/?.txt"
    nobody: true
  - path: "never/*"
    everyone: true
`

func find(_ context.Context, kind corpus.Kind, name string) (string, error) {
	return map[string]string{"useralice@contoso.com": "a", "groupengineering": "e"}[string(kind)+name], nil
}

func TestFolder(t *testing.T) {
	dir := folder(t, aclRules, map[string]string{
		"handbook/deep/a.md": "intro\n# Welcome here #\ntext", "people/b.md": "no heading", "board/c.txt": "# not a heading in a text",
		"secret.md": "nobody said who", "people/deep/d.md": "too deep", ".git/x.md": "hidden", "pic.png": "x", "board/d.txt": "\xff",
	})
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "handbook", "passwd.txt")); err != nil {
		t.Log(err)
	}
	acl, err := corpus.ReadACL(filepath.Join(dir, "acl.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	warnings, err := acl.Resolve(t.Context(), find)
	if err != nil || len(warnings) != 1 || !strings.Contains(warnings[0], `line 5: there is no group "gone": left out`) {
		t.Errorf("warnings %q, %v", warnings, err)
	}
	source, notes, err := corpus.Folder(dir, acl, sample.Definition("i"), corpus.DefaultFolderFields())
	if err != nil || notes.Others != 1 || notes.Links != 1 {
		t.Fatalf("notes %+v, %v", notes, err)
	}
	got := map[string]string{}
	for entry, err := range source.Entries() {
		if err != nil {
			got[strings.TrimPrefix(source.Origin(entry.Position), dir+"/")] = "refused"
			continue
		}
		var d sample.Document
		if err := json.Unmarshal(entry.Document, &d); err != nil {
			t.Fatal(err)
		}
		got[strings.TrimPrefix(source.Origin(entry.Position), dir+"/")] = fmt.Sprintf("%s|%s|%s|%d|%v|%v", d.ID[:len(d.ID)-17], d.Name, d.Section, d.Size, d.Oid, d.Group)
	}
	want := map[string]string{
		"handbook/deep/a.md": "handbook-deep-a|Welcome here|handbook|27|[all]|[none]",
		"people/b.md":        "people-b|b|people|10|[a b0b00000-0000-4000-8000-00000000000b]|[e]",
		"board/c.txt":        "board-c|c|board|25|[none]|[none]",
		"board/d.txt":        "refused", "secret.md": "refused", "people/deep/d.md": "refused",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("documents (-want +got):\n%s", diff)
	}
	if unused := acl.Unused(); len(unused) != 1 || !strings.Contains(unused[0], "never/*") {
		t.Errorf("unused %q", unused)
	}
}

// Names that look alike have keys of their own, and every key is one that the service takes.
func TestKeysOfFiles(t *testing.T) {
	files := map[string]string{}
	for _, name := range []string{"a b.md", "a-b.md", "a/b.md", "a.b.md", "a-b.txt", "日本.md", "_x.md", "-.md", strings.Repeat("x", 250) + ".md"} {
		files[name] = "x"
	}
	dir := folder(t, "rules: [{path: '**', everyone: true}]", files)
	acl, err := corpus.ReadACL(filepath.Join(dir, "acl.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	definition := sample.Definition("i")
	source, _, err := corpus.Folder(dir, acl, definition, corpus.DefaultFolderFields())
	if err != nil {
		t.Fatal(err)
	}
	c, err := corpus.NewChecker(definition)
	if err != nil {
		t.Fatal(err)
	}
	if survey, err := corpus.Check(source, c, nil); err != nil || survey.Documents != len(files)-1 {
		t.Errorf("survey %+v, %v", survey, err)
	}
}

func TestACLFilesThatAreRefused(t *testing.T) {
	for desc, text := range map[string]string{
		"no rules":         "rules: []",
		"another member":   "rules: [{path: a, everyone: true}]\nrule: []",
		"a rule's member":  "rules: [{path: a, everybody: true}]",
		"no path":          "rules: [{everyone: true}]",
		"nobody is said":   "rules: [{path: a}]",
		"both":             "rules: [{path: a, everyone: true, users: [x]}]",
		"an absolute path": "rules: [{path: /a, everyone: true}]",
		"a way out":        "rules: [{path: ../a, everyone: true}]",
		"no YAML":          "rules: [",
		"a text":           "rules: all",
		"users as a text":  "rules: [{path: a, users: {a: b}}]",
		"too many":         "rules: [{path: a, groups: " + ids(1001) + "}]",
	} {
		dir := folder(t, text, map[string]string{})
		if _, err := corpus.ReadACL(filepath.Join(dir, "acl.yaml")); err == nil {
			t.Errorf("%s: taken", desc)
		}
	}
}

// An index that enforces nothing is no place for documents that an ACL file describes.
func TestFolderNeedsPermissions(t *testing.T) {
	dir := folder(t, "rules: [{path: '**', nobody: true}]", map[string]string{"a.md": "x"})
	acl, err := corpus.ReadACL(filepath.Join(dir, "acl.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	open := sample.Definition("i")
	open.PermissionFilterOption = ""
	if _, _, err := corpus.Folder(dir, acl, open, corpus.DefaultFolderFields()); err == nil || !strings.Contains(err.Error(), "does not enforce") {
		t.Errorf("an open index: %v", err)
	}
	other := sample.Definition("i")
	other.Fields[2].Name = "body"
	if _, _, err := corpus.Folder(dir, acl, other, corpus.DefaultFolderFields()); err == nil || !strings.Contains(err.Error(), `"content"`) {
		t.Errorf("another schema: %v", err)
	}
}

// Whatever a line holds, the checker says yes or no with a short message, and a yes is a JSON object with a key.
func FuzzChecker(f *testing.F) {
	f.Add([]byte(`{"id":"k","c":{"a":"x","n":1},"cs":[{"n":1}],"users":["all"],"t":"2026-11-28T09:00:00Z"}`))
	f.Add([]byte(`{"id":"k","g":{"type":"Point","coordinates":[0,0]},"v":[1,2,3]}`))
	c := checker(f)
	f.Fuzz(func(t *testing.T, line []byte) {
		_, err := corpus.Check(corpus.Memory("fuzz", []search.Document{line}), c, nil)
		if err != nil {
			if len(err.Error()) > 2000 {
				t.Errorf("a message of %d bytes", len(err.Error()))
			}
			return
		}
		var document map[string]any
		if json.Unmarshal(line, &document) != nil || document["id"] == "" || document["id"] == nil {
			t.Errorf("%q was let through", line)
		}
	})
}

// An ACL file is refused, or its rules are such that a file without a rule stays refused.
func FuzzACL(f *testing.F) {
	f.Add([]byte(aclRules))
	f.Add([]byte("rules: [{path: '?*/**/x', nobody: true}]"))
	f.Add([]byte("rules: [{path: &a 'b', users: [*a]}]"))
	path := filepath.Join(f.TempDir(), "acl.yaml")
	definition := sample.Definition("idx")
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		acl, err := corpus.ReadACL(path)
		if err != nil {
			return
		}
		if _, err = acl.Resolve(t.Context(), func(context.Context, corpus.Kind, string) (string, error) { return "", nil }); err != nil {
			t.Fatal(err)
		}
		if _, _, err = corpus.Folder(filepath.Dir(path), acl, definition, corpus.DefaultFolderFields()); err != nil {
			t.Fatal(err)
		}
		_ = acl.Unused()
	})
}

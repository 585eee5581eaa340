package envfile_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/joho/godotenv"

	"github.com/onbehalf/onbehalf/internal/envfile"
)

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), ".env")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSet(t *testing.T) {
	for _, test := range []struct {
		desc, before string
		settings     []envfile.Setting
		after        string
	}{
		{"a new file", "", []envfile.Setting{{Name: "A", Value: "1"}}, "A=1\n"},
		{"other lines stay", "# mine\nX=\"a b\" # c\n\nA=old\nY=2\n", []envfile.Setting{{Name: "A", Value: "new"}}, "# mine\nX=\"a b\" # c\n\nA=new\nY=2\n"},
		{"no newline at the end", "X=1", []envfile.Setting{{Name: "A", Value: "1"}}, "X=1\nA=1\n"},
		{"of Windows", "X=1\r\nA=2\r\n", []envfile.Setting{{Name: "A", Value: "3"}, {Name: "B", Value: "4"}}, "X=1\r\nA=3\r\nB=4\r\n"},
		{"exported, with a colon, twice", "export A=1\nA: 2\n", []envfile.Setting{{Name: "A", Value: "3"}}, "A=3\n# A: 2\n"},
		{"out of force", "A=secret\nB=1\n", []envfile.Setting{{Name: "A", Off: true}}, "# A=secret\nB=1\n"},
		{"out of force, and never in it", "B=1\n", []envfile.Setting{{Name: "A", Off: true}}, "B=1\n"},
		{"a name that another begins with", "AB=1\nA_B=2\n", []envfile.Setting{{Name: "A", Value: "3"}}, "AB=1\nA_B=2\nA=3\n"},
		{"a path with spaces", "", []envfile.Setting{{Name: "A", Value: "/my files/$x #1.pem"}}, "A='/my files/$x #1.pem'\n"},
		{"quotes", "", []envfile.Setting{{Name: "A", Value: `it's "$5" here`}}, `A="it's \"\$5\" here"` + "\n"},
		{"a secret of Entra's", "", []envfile.Setting{{Name: "A", Value: "l0~Ab.c-d_E8Q~"}}, "A=l0~Ab.c-d_E8Q~\n"},
	} {
		path := write(t, test.before)
		file, err := envfile.Read(path)
		if err != nil {
			t.Fatal(err)
		}
		if err = file.Set(test.settings...); err != nil {
			t.Errorf("%s: %v", test.desc, err)
			continue
		}
		got, err := os.ReadFile(path)
		if diff := cmp.Diff(test.after, string(got)); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", test.desc, err, diff)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v", test.desc, info.Mode(), err)
		}
		for _, s := range test.settings {
			if file.Get(s.Name) != s.Value {
				t.Errorf("%s: got %q", test.desc, file.Get(s.Name))
			}
		}
	}
}

func TestRefuses(t *testing.T) {
	for _, test := range []struct {
		desc, before string
		setting      envfile.Setting
	}{
		{"settings within a value of several lines", "KEY=\"begin\nA=1\nend\"\n", envfile.Setting{Name: "A", Value: "2"}},
		{"a value of two lines", "", envfile.Setting{Name: "A", Value: "1\nB=2"}},
		{"no name", "", envfile.Setting{Name: "A=1\nB", Value: "2"}},
	} {
		path := write(t, test.before)
		file, err := envfile.Read(path)
		if err != nil {
			t.Fatal(err)
		}
		if file.Set(test.setting) == nil {
			t.Errorf("%s was accepted", test.desc)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != test.before {
			t.Errorf("%s: the file became %q", test.desc, got)
		}
	}
	link := filepath.Join(t.TempDir(), ".env")
	if err := os.Symlink(write(t, "A=1\n"), link); err != nil {
		t.Fatal(err)
	}
	for desc, path := range map[string]string{
		"a link": link, "a directory": t.TempDir(), "no settings": write(t, "secret words\n"), "too much": write(t, strings.Repeat("A=1\n", 300_000)),
	} {
		if _, err := envfile.Read(path); err == nil || strings.Contains(err.Error(), "words") {
			t.Errorf("%s: got %v", desc, err)
		}
	}
	if file, err := envfile.Read(filepath.Join(t.TempDir(), "none")); err != nil || file.Exists() {
		t.Errorf("got %v, %v", file, err)
	}
}

// Whatever is set reads back, and what else was in the file too; or nothing changes.
func FuzzSet(f *testing.F) {
	f.Add("A=1\nB=\"x\ny\"\n", "A", "v")
	f.Add("export A='1'\n#c\n", "C", "it's $5 \\n")
	f.Add("A: 1", "A", "\"")
	f.Fuzz(func(t *testing.T, before, name, value string) {
		path := filepath.Join(t.TempDir(), "e")
		if err := os.WriteFile(path, []byte(before), 0o600); err != nil {
			t.Fatal(err)
		}
		file, err := envfile.Read(path)
		if err != nil {
			return
		}
		want, err := godotenv.Unmarshal(before)
		if err != nil {
			t.Fatal(err)
		}
		if file.Set(envfile.Setting{Name: name, Value: value}) == nil {
			want[name] = value
		}
		got, err := godotenv.Read(path)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%v %s", err, diff)
		}
	})
}

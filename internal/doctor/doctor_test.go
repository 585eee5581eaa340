package doctor_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/onbehalf/onbehalf/internal/doctor"
)

var update = flag.Bool("update", false, "rewrite the list of checks in docs/doctor.md")

// TestDocumentation keeps the list in docs/doctor.md equal to the checks.
func TestDocumentation(t *testing.T) {
	const path, begin, end = "../../docs/doctor.md", "-update -->\n", "<!-- end -->"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(text), begin)
	got, tail, closed := strings.Cut(rest, end)
	if !ok || !closed {
		t.Fatalf("%s has no place for the list", path)
	}
	var want strings.Builder
	want.WriteString("\n| check | what it checks |\n|---|---|\n")
	for _, c := range doctor.List() {
		fmt.Fprintf(&want, "| `%s` | %s |\n", c.ID, c.Title)
	}
	want.WriteString("\n")
	if got == want.String() {
		return
	}
	if !*update {
		t.Fatalf("%s does not list the checks as they are: go test ./internal/doctor -run TestDocumentation -update", path)
	}
	if err := os.WriteFile(path, []byte(head+begin+want.String()+end+tail), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestChecksAreSound(t *testing.T) {
	var before []string
	for _, c := range doctor.List() {
		area, name, ok := strings.Cut(c.ID, ".")
		if !ok || area == "" || name == "" || c.Title == "" || strings.ContainsAny(c.Title, "|\n") || strings.HasSuffix(c.Title, ".") {
			t.Errorf("%+v is not a check with an id and a title", c)
		}
		if slices.Contains(before, c.ID) {
			t.Errorf("%s is there twice", c.ID)
		}
		for _, need := range c.After {
			if !slices.Contains(before, need) {
				t.Errorf("%s needs %s, which does not come before it", c.ID, need)
			}
		}
		before = append(before, c.ID)
	}
}

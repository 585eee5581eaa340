package doctor_test

import (
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/jsonschema-go/jsonschema"

	"github.com/onbehalf/onbehalf/internal/doctor"
	"github.com/onbehalf/onbehalf/internal/doctor/exam"
)

var update = flag.Bool("update", false, "rewrite the list of checks in docs/doctor.md")

// catalogue is what docs/doctor.md says about each check: what it checks, and for each way in which a test breaks that, the
// cause and what mends it, in the doctor's own words.
type catalogue struct {
	names *strings.Replacer // what settings hold, to their names
	by    map[string][]string
}

func newCatalogue(settings map[string]string) *catalogue {
	var pairs []string
	names := slices.SortedFunc(maps.Keys(settings), func(a, b string) int { return len(settings[b]) - len(settings[a]) })
	for _, name := range names {
		if value := settings[name]; len(value) > 8 {
			if strings.HasSuffix(value, "/") {
				name += "/"
			}
			pairs = append(pairs, value, name)
		}
	}
	return &catalogue{names: strings.NewReplacer(pairs...), by: map[string][]string{}}
}

var (
	anyID   = regexp.MustCompile(`[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}`)
	anyPath = regexp.MustCompile(`/tmp/\S+/(\w+)\b`)
	anyDate = regexp.MustCompile(`\d{4}-\d\d-\d\d( |$)|\b\d+ days`)
	anyPort = regexp.MustCompile(`(?:localhost|127\.0\.0\.1):\d+`)
	anyName = regexp.MustCompile(`searchServices --name \S+`)
)

// plain takes from a text what is another in each run.
func (c *catalogue) plain(text string) string {
	text = anyID.ReplaceAllString(c.names.Replace(text), "ID")
	text = anyDate.ReplaceAllString(anyPath.ReplaceAllString(text, "$1"), "…$1")
	return anyName.ReplaceAllString(anyPort.ReplaceAllString(text, "HOST"), "searchServices --name NAME")
}

func (c *catalogue) add(b brokenCase, r exam.Result) {
	var text strings.Builder
	fmt.Fprintf(&text, "* %s", b.desc)
	if r.Verdict != exam.Fail {
		fmt.Fprintf(&text, " (%s)", r.Verdict)
	}
	text.WriteString(": " + c.plain(cmp.Or(r.Cause, r.Seen+".")))
	if r.Fix != "" {
		text.WriteString(" *Fix:* " + strings.TrimSuffix(c.plain(r.Fix), ".") + ".")
	}
	if r.Command != "" {
		text.WriteString(" `" + c.plain(r.Command) + "`")
	}
	line := strings.NewReplacer("<", "&lt;", "\n", " ").Replace(text.String())
	if !slices.Contains(c.by[b.id], line) {
		c.by[b.id] = append(c.by[b.id], line)
	}
}

// text is the list, an area a section.
func (c *catalogue) text() string {
	var areas []string
	text := map[string]string{}
	for _, listed := range doctor.List() {
		area, _, _ := strings.Cut(listed.ID, ".")
		if !slices.Contains(areas, area) {
			areas = append(areas, area)
			text[area] = "\n### " + area + "\n"
		}
		text[area] += fmt.Sprintf("\n**`%s`**: %s.\n\n%s\n", listed.ID, listed.Title, strings.Join(c.by[listed.ID], "\n"))
	}
	var all strings.Builder
	for _, area := range areas {
		all.WriteString(text[area])
	}
	return all.String() + "\n"
}

// check holds docs/doctor.md against the checks, or rewrites it.
func (c *catalogue) check(t *testing.T) {
	t.Helper()
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
	want := c.text()
	if got == want {
		return
	}
	if !*update {
		t.Fatalf("%s does not list the checks as they are: go test ./internal/doctor -run TestEachCauseIsNamed -update\n%s", path, gocmp.Diff(got, want))
	}
	if err := os.WriteFile(path, []byte(head+begin+want+end+tail), 0o644); err != nil {
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

// TestPartialSettings looks at what a client's machine has, and at what a server has that nobody signs in from: that the rest
// is not there is no mistake.
func TestPartialSettings(t *testing.T) {
	c := open(t)
	only := func(names ...string) func(*doctor.Config) {
		return func(cfg *doctor.Config) {
			all := cfg.Setting
			cfg.Setting = func(name string) string {
				if !slices.Contains(names, name) {
					return ""
				}
				return all(name)
			}
		}
	}
	here := []string{"AZURE_AUTHORITY_HOST", "GRAPH_ENDPOINT", "ONBEHALF_LOCAL", "ONBEHALF_CA_FILE"}
	for desc, tt := range map[string]struct {
		settings []string
		ok       []string // checks that are possible all the same
	}{
		"a client":                      {[]string{"WEB_CLIENT_ID", "MCP_URL"}, []string{"settings.web-client", "server.metadata", "server.challenge"}},
		"a client that knows more":      {[]string{"TENANT_ID", "API_CLIENT_ID", "WEB_CLIENT_ID", "MCP_URL"}, []string{"person.token", "person.accepted", "server.accepts"}},
		"a server":                      {[]string{"TENANT_ID", "API_CLIENT_ID", "CLIENT_SECRET", "AZURE_SEARCH_ENDPOINT", "AZURE_SEARCH_INDEX", "AZURE_SEARCH_KEY", "MCP_URL"}, []string{"credential.api", "search.public", "server.challenge"}},
		"a server, without its own URL": {[]string{"TENANT_ID", "API_CLIENT_ID", "CLIENT_SECRET", "AZURE_SEARCH_ENDPOINT", "AZURE_SEARCH_INDEX"}, []string{"credential.api"}},
	} {
		report := c.examine(nil, func(cfg *doctor.Config) {
			only(append(tt.settings, here...)...)(cfg)
			cfg.Skip = []string{"network.server"}
			if slices.Contains(tt.settings, "MCP_URL") {
				cfg.Skip = nil
			}
			if cfg.Setting("AZURE_SEARCH_KEY") == "" {
				cfg.Skip = append(cfg.Skip, "search")
			}
		})
		for _, r := range report.Results {
			if r.Verdict == exam.Fail || r.Verdict == exam.Warn {
				t.Errorf("%s: %s: %s: %s; cause: %s", desc, r.ID, r.Verdict, r.Seen, r.Cause)
			}
		}
		for _, id := range tt.ok {
			if r := result(report, id); r.Verdict != exam.OK {
				t.Errorf("%s: %s: %s: %s", desc, id, r.Verdict, r.Seen)
			}
		}
	}
}

// TestSkip leaves out what is asked for, and what needs it.
func TestSkip(t *testing.T) {
	c := open(t)
	report := c.examine(settings{"MCP_URL": "http://localhost:1/mcp"}, func(cfg *doctor.Config) { cfg.Skip = []string{"network.server", "registration"} })
	for _, r := range report.Results {
		out := r.ID == "network.server" || strings.HasPrefix(r.ID, "registration.") || strings.HasPrefix(r.ID, "server.")
		if out != (r.Verdict == exam.Skipped) || r.Verdict == exam.Fail {
			t.Errorf("%s: %s: %s", r.ID, r.Verdict, r.Seen)
		}
	}
}

// TestJSON holds reports against the form that docs/doctor.md promises.
func TestJSON(t *testing.T) {
	page, err := os.ReadFile("../../docs/doctor.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "<!-- schema -->\n\n```json\n")
	text, _, _ := strings.Cut(rest, "```")
	var schema jsonschema.Schema
	if err = json.Unmarshal([]byte(text), &schema); err != nil {
		t.Fatal(err)
	}
	resolved, err := schema.Resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := open(t)
	for _, set := range []settings{nil, {"TENANT_ID": otherID}, {"CLIENT_SECRET": ""}} {
		text, err := json.Marshal(c.examine(set, nil))
		if err != nil {
			t.Fatal(err)
		}
		var report any
		if err := json.Unmarshal(text, &report); err != nil {
			t.Fatal(err)
		}
		if err := resolved.Validate(report); err != nil {
			t.Error(err)
		}
	}
}

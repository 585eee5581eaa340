package exam_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/onbehalf/onbehalf/internal/doctor/exam"
)

func results() *exam.Report {
	rights := exam.Skip("no rights at Graph", "Sign in as an administrator.").By("onbehalf doctor --bootstrap-client ID")
	waits := exam.Finding{Verdict: exam.Skipped, Seen: "because of graph.rights", Because: "graph.rights"}
	return &exam.Report{Results: []exam.Result{
		{ID: "settings.file", Finding: exam.Good("none")},
		{ID: "settings.tenant", Finding: exam.Failed("\"contoso\nok  all is well\"", "That is a name; tokens name the tenant by its id.", "TENANT_ID: the portal")},
		{ID: "settings.api", Finding: exam.Good("x")},
		{ID: "graph.rights", Finding: rights},
		{ID: "registration.api", Finding: waits},
		{ID: "registration.uris", Finding: waits},
		{ID: "search.index", Finding: exam.Good("documents")},
		{ID: "search.person", Finding: waits},
		{ID: "server.metadata", Finding: exam.Skip("left out", "")},
		{ID: "server.scopes", Finding: exam.Skip("left out", "")},
		{ID: "server.accepts", Finding: exam.Finding{Verdict: exam.Skipped, Seen: "because of server.scopes", Because: "server.scopes"}},
	}}
}

// What is well takes a line an area, and what waits for one cause a line below it.
func TestWriteText(t *testing.T) {
	for _, tt := range []struct {
		name  string
		style exam.Style
		want  string
	}{
		{"nobody before it", exam.Style{}, `
ok       settings         2 checks
fail     settings.tenant  "contoso ok all is well"
         cause: That is a name; tokens name the tenant by its id.
         fix:   TENANT_ID: the portal
skipped  graph.rights     no rights at Graph
         fix:   Sign in as an administrator.
         run:   onbehalf doctor --bootstrap-client ID
         3 checks skipped because of it: registration.*, search.person
ok       search           1 check
skipped  server           2 checks left out
         1 check skipped because of it: server.accepts
11 checks: 3 ok, 0 warn, 1 fail, 7 skipped
`},
		{"a narrow terminal", exam.Style{Width: 40, Clean: strings.ToUpper}, `
ok       settings         2 CHECKS
fail     settings.tenant
         "CONTOSO OK ALL IS WELL"
         cause: THAT IS A NAME; TOKENS
                NAME THE TENANT BY ITS
                ID.
         fix:   TENANT_ID: THE PORTAL
skipped  graph.rights
         NO RIGHTS AT GRAPH
         fix:   SIGN IN AS AN
                ADMINISTRATOR.
         run:   ONBEHALF DOCTOR --BOOTSTRAP-CLIENT ID
         3 CHECKS SKIPPED BECAUSE OF IT:
         REGISTRATION.*, SEARCH.PERSON
ok       search           1 CHECK
skipped  server
         2 CHECKS LEFT OUT
         1 CHECK SKIPPED BECAUSE OF IT:
         SERVER.ACCEPTS
11 checks: 3 ok, 0 warn, 1 fail, 7 skipped
`},
	} {
		var got strings.Builder
		if err := results().WriteText(&got, tt.style); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(strings.TrimPrefix(tt.want, "\n"), got.String()); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
	}
}

func TestWriteTextOfOne(t *testing.T) {
	var got strings.Builder
	for _, r := range results().Results[1:5] {
		if err := r.WriteText(&got, exam.Style{Colour: true}); err != nil {
			t.Fatal(err)
		}
	}
	want := "\x1b[1;31mfail\x1b[0m     settings.tenant                    \"contoso ok all is well\"\n" +
		"         cause: That is a name; tokens name the tenant by its id.\n" +
		"         fix:   TENANT_ID: the portal\n" +
		"\x1b[32mok\x1b[0m       settings.api                       x\n" +
		"\x1b[2mskipped\x1b[0m  graph.rights                       no rights at Graph\n" +
		"         fix:   Sign in as an administrator.\n" +
		"         run:   onbehalf doctor --bootstrap-client ID\n" +
		"\x1b[2mskipped\x1b[0m  registration.api                   because of graph.rights\n"
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Error(diff)
	}
}

package doctor_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/entra/entraserver"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/cli/shell"
	"github.com/onbehalf/onbehalf/internal/doctor"
	"github.com/onbehalf/onbehalf/internal/doctor/exam"
)

// tame wants a report that a person can read at a terminal: each text on one line, short, and nothing that steers it.
func tame(t *testing.T, desc string, report *exam.Report) {
	t.Helper()
	for _, r := range report.Results {
		for _, text := range []string{r.Seen, r.Cause, r.Fix, r.Command} {
			if len(text) > 2000 {
				t.Errorf("%s: %s says %d bytes: %.200s", desc, r.ID, len(text), text)
			}
		}
		if r.Verdict == exam.Fail && (r.Cause == "" || r.Fix == "") || strings.Contains(r.Seen, "broke down") {
			t.Errorf("%s: %s: %+v", desc, r.ID, r.Finding)
		}
	}
	var text strings.Builder
	style := exam.Style{Width: 80, Clean: shell.Printable}
	if err := report.WriteText(&text, style); err != nil {
		t.Fatal(err)
	}
	for _, r := range report.Results {
		if err := r.WriteText(&text, style); err != nil {
			t.Fatal(err)
		}
	}
	if shell.Printable(text.String()) != text.String() {
		t.Errorf("%s: the text steers the terminal: %q", desc, text.String())
	}
	for line := range strings.Lines(text.String()) {
		word, _, _ := strings.Cut(line, " ")
		if !slices.Contains([]string{"", "ok", "warn", "fail", "skipped", "82"}, word) {
			t.Errorf("%s: a line that is none of the doctor's: %q", desc, line)
		}
	}
}

// TestHostileSettings sets one setting after the other to what nobody sets it to, and all at once.
func TestHostileSettings(t *testing.T) {
	c := open(t)
	values := []string{
		"\x1b[2J\x1b]0;x\a", "a\nok       settings.file  all is well", "\u202egnp.exe", "\x00", strings.Repeat("x", 1<<20),
		"https://user:" + password + "@localhost:1/", "//", "%zz", "'; reboot; '", "https://[::1", "/dev/zero", "..", "-", "\xff\xfe",
	}
	names := slices.Sorted(maps.Keys(c.settings))
	names = append(names, "CLIENT_CERTIFICATE_PATH", "AZURE_FEDERATED_TOKEN_FILE", "MANAGED_IDENTITY_CLIENT_ID", "REDIS_URL", "CACHE_SECRET", "HISTORY_KEY", "OPENAI_BASE_URL")
	for i, value := range values {
		everything := settings{}
		for _, name := range names {
			everything[name] = value
		}
		tame(t, fmt.Sprintf("all %.20q", value), c.examine(everything, nil))
		for j, name := range names {
			if (i+j)%7 != 0 { // each name meets some of the values
				continue
			}
			set := settings{name: value}
			if name == "CLIENT_CERTIFICATE_PATH" || name == "AZURE_FEDERATED_TOKEN_FILE" || name == "MANAGED_IDENTITY_CLIENT_ID" {
				set["CLIENT_SECRET"] = ""
			}
			tame(t, fmt.Sprintf("%s=%.20q", name, value), c.examine(set, func(cfg *doctor.Config) {
				cfg.Redis = func(context.Context) error { return errors.New("no") }
			}))
		}
	}
}

// flood answers with a body without an end, and counts what is read of it.
type flood struct {
	status int
	header http.Header
	read   *atomic.Int64
}

func (f flood) RoundTrip(r *http.Request) (*http.Response, error) {
	header := f.header.Clone()
	header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	return &http.Response{StatusCode: f.status, Header: header, Body: io.NopCloser(f), Request: r, ContentLength: -1, ProtoMajor: 1, ProtoMinor: 1}, nil
}

func (f flood) Read(p []byte) (int, error) {
	f.read.Add(int64(len(p)))
	return copy(p, bytes.Repeat([]byte("["), len(p))), nil
}

// TestEndlessAnswers lets everybody answer without an end: it is read within bounds.
func TestEndlessAnswers(t *testing.T) {
	c := open(t)
	for _, status := range []int{200, 401, 500} {
		var read atomic.Int64
		client := &http.Client{Transport: flood{status, http.Header{"Content-Type": {"application/json"}}, &read}}
		for _, where := range []func(*doctor.Config){
			func(cfg *doctor.Config) { cfg.EntraClient = client },
			func(cfg *doctor.Config) { cfg.HTTPClient = client },
		} {
			report := c.examine(nil, where)
			tame(t, fmt.Sprintf("endless HTTP %d", status), report)
			if report.Count(exam.Fail) == 0 {
				t.Errorf("endless HTTP %d: %s", status, report.Summary())
			}
		}
		if got := read.Load(); got > 200<<20 {
			t.Errorf("HTTP %d: %d MB were read", status, got>>20)
		}
	}
}

// TestRedirects lets everybody send the doctor elsewhere: nobody goes there.
func TestRedirects(t *testing.T) {
	c := open(t)
	var elsewhere atomic.Int64
	turning := func(to string) *http.Client {
		return &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			if r.URL.Host == "evil.example" || r.URL.Path == "/again" {
				elsewhere.Add(1)
			}
			return tampering{c.transport, func(p *passing) { p.status = 307; p.header.Set("Location", to) }}.RoundTrip(r)
		})}
	}
	for _, to := range []string{"https://evil.example/", "/again"} {
		report := c.examine(nil, func(cfg *doctor.Config) { cfg.HTTPClient = turning(to) })
		tame(t, "the server and the search service send on to "+to, report)
		report = c.examine(nil, func(cfg *doctor.Config) { cfg.EntraClient = turning(to) })
		tame(t, "Entra sends on to "+to, report)
	}
	if got := elsewhere.Load(); got != 0 {
		t.Errorf("%d requests went where the answers sent them", got)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// slow begins an answer and never ends it.
type slow struct{ ctx context.Context }

func (s slow) Read([]byte) (int, error) {
	<-s.ctx.Done()
	return 0, context.Cause(s.ctx)
}

// TestSlowAnswers lets everybody answer too slowly: each check ends in time, and says so.
func TestSlowAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(slow{r.Context()}), Request: r}, nil
		})}
		set := settings{
			"TENANT_ID": otherID, "API_CLIENT_ID": otherID, "CLIENT_SECRET": strings.Repeat("s3cret~", 6), "AZURE_SEARCH_ENDPOINT": "https://contoso.search.windows.net",
			"AZURE_SEARCH_INDEX": "documents", "AZURE_SEARCH_KEY": strings.Repeat("k", 52), "MCP_URL": "https://mcp.contoso.com/mcp",
		}
		start := time.Now()
		report := doctor.Run(t.Context(), doctor.Config{
			Setting: func(name string) string { return set[name] }, HTTPClient: client, EntraClient: client, Now: time.Now,
			Authority: func() (entra.Cloud, error) { return entra.Clouds()[0], nil },
		}, nil)
		if took := time.Since(start); took > time.Minute {
			t.Errorf("it took %s", took)
		}
		tame(t, "slow", report)
		for _, id := range []string{"network.authority", "network.search", "network.server"} {
			if r := result(report, id); r.Verdict != exam.Fail || !strings.Contains(r.Seen, "in time") {
				t.Errorf("%s: %+v", id, r.Finding)
			}
		}
	})
}

// TestHostileNames gives registrations names that would write over the terminal, or into the commands that mend them.
func TestHostileNames(t *testing.T) {
	c := open(t)
	const name = "\x1b[2J\x1b[1;1H\u202eevil\u2066'$(reboot)`reboot`\r\nok       settings.file  well"
	for _, id := range []string{c.entra.API, c.entra.WebClient, c.entra.WebAgent} {
		c.app(id, func(a *entraserver.Application) {
			a.DisplayName = name
			a.IdentifierURIs = append(a.IdentifierURIs, "api://x/"+id+name)
		})
	}
	report := c.examine(settings{"MCP_URL": "https://mcp.contoso.example/mcp"}, c.elsewhere("https://mcp.contoso.example"))
	tame(t, "names", report)
	command := result(report, "registration.resource").Command
	if !strings.Contains(command, `evil'\''$(reboot)`) || strings.ContainsAny(command, "\x1b\u202e\u2066\r\n") {
		t.Errorf("the command to copy: %q", command)
	}
}

// TestThousandsOfConsents counts those of people, and does not need to where there is one for everybody.
func TestThousandsOfConsents(t *testing.T) {
	c := open(t)
	pages := 0
	page := func(p *passing) {
		if p.path != "/v1.0/oauth2PermissionGrants" || !strings.Contains(p.query, "'Principal'") {
			return
		}
		api, search := c.directory().PrincipalOf(must(identity.ParseClientID(c.entra.API))), c.directory().PrincipalOf(must(identity.ParseClientID(entra.SearchAppID)))
		grant := fmt.Sprintf(`{"clientId":%q,"resourceId":%q,"consentType":"Principal","scope":"user_impersonation"}`, api.ID, search.ID)
		next := ""
		if pages++; pages%50 != 0 {
			next = fmt.Sprintf(`,"@odata.nextLink":"%s/v1.0/oauth2PermissionGrants?$filter='Principal'&page=%d"`, c.entra.URL, pages)
		}
		p.status, p.body = 200, []byte(`{"value":[`+strings.Repeat(grant+",", 99)+grant+`]`+next+`}`)
	}
	tampered := func(cfg *doctor.Config) { cfg.EntraClient = &http.Client{Transport: tampering{c.transport, page}} }
	if r := result(c.examine(nil, tampered), "registration.search-consent"); r.Verdict != exam.OK || pages != 0 {
		t.Errorf("with a consent for everybody, after %d pages: %+v", pages, r.Finding)
	}
	c.revoke(c.entra.API, entra.SearchAppID)
	if r := result(c.examine(nil, tampered), "registration.search-consent"); r.Verdict != exam.Warn || !strings.Contains(r.Seen, "5000 people have") {
		t.Errorf("with those of people: %+v", r.Finding)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/cli/shell"
	"github.com/onbehalf/onbehalf/signin"
	"github.com/onbehalf/onbehalf/signin/vault"
)

// at is the options of a command at a terminal where the person types reply.
func at(reply string) (*options, *bytes.Buffer) {
	var said bytes.Buffer
	sh := &shell.Shell{In: strings.NewReader(reply), Out: io.Discard, Err: &said, Environ: func(string) (string, bool) { return "", false }}
	o := newOptions(sh)
	o.tty.interactive = true
	return o, &said
}

func TestWhatThePersonIsAsked(t *testing.T) {
	scope, err := entra.ParseScope("api://the-api/execute")
	if err != nil {
		t.Fatal(err)
	}
	grant := signin.Grant{Server: "https://server.example/mcp", Authority: "https://login.microsoftonline.com/", Tenant: "contoso.example", Scopes: []entra.Scope{scope}}
	cause := signin.Cause{Server: "https://server.example/mcp", Claims: `{"access_token":{"acrs":{"value":"c1"}}}`}
	for reply, want := range map[string]bool{"y\n": true, "YES\n": true, "n\n": false, "\n": false, "": false, "yes, of course\n": false} {
		o, said := at(reply)
		if err := o.confirm(t.Context(), grant); (err == nil) != want {
			t.Errorf("confirm, %q: %v", reply, err)
		}
		for _, word := range []string{grant.Server, "api://the-api/execute", "https://login.microsoftonline.com/contoso.example"} {
			if !strings.Contains(said.String(), word) {
				t.Errorf("the question lacks %q:\n%s", word, said)
			}
		}
		o, said = at(reply)
		if err := o.ask(t.Context(), cause); (err == nil) != want {
			t.Errorf("ask, %q: %v", reply, err)
		}
		if !strings.Contains(said.String(), cause.Server) || !strings.Contains(said.String(), "in the authentication context c1\n") {
			t.Errorf("the question names neither server nor claims:\n%s", said)
		}
	}
	o, _ := at("")
	o.tty.interactive = false // a pipe: a device code is never shown without a yes
	if err := o.ask(t.Context(), cause); err == nil {
		t.Error("without a terminal, nobody said yes")
	}
	reader, writer := io.Pipe()
	defer writer.Close()
	o.tty.in, o.tty.interactive = reader, true
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := o.ask(ctx, cause); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Ctrl-C while asked: %v", err)
	}
}

func TestExplain(t *testing.T) {
	server, err := url.Parse("https://server.example/mcp")
	if err != nil {
		t.Fatal(err)
	}
	s := &signer{opened: &opened{server: server}, watch: &watch{}, loginHint: "onbehalf login"}
	blocked := &entra.Error{Status: 400, Code: "access_denied", AADSTS: []int{53003}, Correlation: "c0ffee"}
	for _, tt := range []struct {
		desc       string
		err        error
		want, hint string
	}{
		{"a policy blocks the device code", &signin.Refused{Method: signin.ByDeviceCode, Err: blocked}, "correlation id c0ffee", "try --browser"},
		{"a policy blocks the browser", &signin.Refused{Method: signin.ByBrowser, Err: blocked}, "AADSTS53003", "try --device-code"},
		{"nobody is signed in", &signin.Needed{}, "you are not signed in", "onbehalf login"},
		{"sign-ins were revoked", &signin.Needed{Cause: &entra.Error{Status: 400, Code: "invalid_grant", AADSTS: []int{50173}}}, "AADSTS50173", "onbehalf login"},
		{"two accounts", &signin.Ambiguous{Accounts: []signin.Account{{Name: "alice@x"}, {Name: "bob@x"}}}, "alice@x, bob@x", "--account alice@x"},
		{"no keyring", vault.ErrNoKeeper, "keyring", "--plaintext-cache"},
		{"a locked keyring", &vault.UnavailableError{Keeper: vault.DesktopName}, "desktop", "unlock"},
		{"the code expired", signin.ErrCodeExpired, "not used in time", "--browser"},
		{"a foreign text", errors.New("bad \x1b[31mthing"), "bad ·[31mthing", ""},
	} {
		got := s.explain(t.Context(), tt.err)
		if !strings.Contains(got.Error(), tt.want) || !strings.Contains(shell.HintOf(got), tt.hint) {
			t.Errorf("%s: %q, hint %q; want %q, %q", tt.desc, got, shell.HintOf(got), tt.want, tt.hint)
		}
		if tt.hint != "" && !errors.Is(got, tt.err) && !strings.Contains(tt.desc, "signed in") && !strings.Contains(tt.desc, "revoked") {
			t.Errorf("%s: the error lost its kind", tt.desc)
		}
	}
}

// What is left of a token goes by this machine's clock, right or wrong; that it is wrong is said.
func TestExplainTokenByAWrongClock(t *testing.T) {
	entraNow := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	claims := map[string]any{"exp": json.Number(strconv.FormatInt(entraNow.Add(time.Hour).Unix(), 10))}
	for _, tt := range []struct {
		ahead time.Duration
		note  string
	}{
		{0, ""},
		{2 * time.Minute, ""},
		{time.Hour, "clock was 1h0m0s ahead of Entra's"},
		{-time.Hour, "clock was 1h0m0s behind Entra's"},
	} {
		o, said := at("")
		var out bytes.Buffer
		o.sh.Out, o.tty.out = &out, &out
		now := entraNow.Add(tt.ahead)
		o.explainToken(claims, now.Add(time.Hour), now)
		if !strings.Contains(out.String(), "valid for another 1h0m0s") {
			t.Errorf("%s ahead: %s", tt.ahead, &out)
		}
		if !strings.Contains(said.String(), tt.note) || tt.note == "" && said.Len() > 0 {
			t.Errorf("%s ahead: said %q, want %q", tt.ahead, said, tt.note)
		}
	}
}

// Elsewhere than at a terminal, a long text pads nothing.
func TestListOfLongTexts(t *testing.T) {
	var out bytes.Buffer
	o, _ := at("")
	o.tty.out = &out
	long := strings.Repeat("long ", 1000) + "end"
	o.tty.list([]string{"id", "content"}, [][]string{{"1", long}, {"2", "tab\tand\nline\x1b[2J"}})
	if want := "id\tcontent\n1\t" + long + "\n2\ttab and line·[2J\n"; out.String() != want {
		t.Errorf("got %.200q", out.String())
	}
}

func TestTableAtANarrowTerminal(t *testing.T) {
	const id = "a11ce000-0000-4000-8000-00000000000a"
	for _, tt := range []struct {
		desc           string
		headings, cell []string
		want           string
	}{
		{"it fits", []string{"a", "b"}, []string{"1", "2"}, "a  b\n1  2\n"},
		{"words go on in the next line", []string{"id", "meaning"}, []string{id, "what it is to us"}, "id                                    meaning\n" + id + "  what it is\n" + strings.Repeat(" ", 38) + "to us\n"},
		{"a word longer than an id is broken", []string{"x", "iss"}, []string{"y", strings.Repeat("1234567890", 6)}, "x  iss\ny  " + strings.Repeat("1234567890", 4) + "1234567\n   8901234567890\n"},
		{"two ids are lines", []string{"id", "owner", "empty"}, []string{id, id, ""}, "id     " + id + "\nowner  " + id + "\n"},
		{"a wide letter", []string{"ö"}, []string{"ß"}, "ö\nß\n"},
	} {
		var out bytes.Buffer
		o, _ := at("")
		o.tty.fancy, o.tty.width = true, 50
		o.tty.table(&out, tt.headings, [][]string{tt.cell})
		if diff := cmp.Diff(tt.want, out.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.desc, diff)
		}
	}
}

// A server answers before it keeps the chain of a call, and is asked again.
func TestChainThatComesLate(t *testing.T) {
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked++; asked < 3 || r.URL.Path != "/api/chain/c0ffee" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_, _ = io.WriteString(w, `{"id":"c0ffee"}`)
	}))
	defer server.Close()
	u, err := url.Parse(server.URL + "/mcp")
	if err != nil {
		t.Fatal(err)
	}
	s := &signer{opened: &opened{server: u}, http: server.Client()}
	if call, err := s.awaitChain(t.Context(), identity.Token{}, "c0ffee"); err != nil || call.ID != "c0ffee" || asked != 3 {
		t.Errorf("%+v, %v, asked %d times", call, err, asked)
	}
	if _, err := s.awaitChain(t.Context(), identity.Token{}, "foreign"); !errors.Is(err, errNoCall) || asked != 3+chainTries {
		t.Errorf("another's call: %v, asked %d times", err, asked)
	}
}

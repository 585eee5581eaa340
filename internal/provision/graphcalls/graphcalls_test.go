package graphcalls_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/graph"
	"github.com/onbehalf/onbehalf/internal/provision/graphcalls"
)

const id = "5e000000-0000-4000-8000-000000000005"

// answer is what a fake Graph says to a request.
type answer struct {
	status        int
	code, message string // of an error
	body          string
}

// world is a Graph that gives its answers one after the other, the last one for ever.
type world struct {
	maker    graphcalls.Maker
	known    graphcalls.Known
	requests []string
	waits    int
}

func newWorld(t *testing.T, answers ...answer) *world {
	t.Helper()
	w := &world{known: graphcalls.Known{IDs: map[string]string{"api_object": id}, Secrets: map[string]identity.Secret{}}}
	server := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		a := answers[min(len(w.requests), len(answers)-1)]
		w.requests = append(w.requests, r.Method+" "+r.URL.RequestURI())
		rw.WriteHeader(a.status)
		if a.code != "" {
			a.body = fmt.Sprintf(`{"error":{"code":%q,"message":%q}}`, a.code, a.message)
		}
		_, _ = rw.Write([]byte(a.body))
	}))
	t.Cleanup(server.Close)
	client, err := graph.New(graph.Config{Endpoint: server.URL, HTTPClient: server.Client(), Token: func(context.Context) (identity.Secret, error) { return identity.NewSecret("t"), nil }})
	if err != nil {
		t.Fatal(err)
	}
	w.maker = graphcalls.Maker{Graph: client, Pause: func(context.Context, time.Duration) error { w.waits++; return nil }}
	return w
}

func TestMake(t *testing.T) {
	t.Parallel()
	denied := answer{403, "Authorization_RequestDenied", "Insufficient privileges", ""}
	missing := answer{404, "Request_ResourceNotFound", "x", ""}
	made := answer{status: 201, body: `{"id":"` + id + `","appId":"` + id + `"}`}
	app := graphcalls.Call{Do: "make it", Method: "POST", Path: "/servicePrincipals", Body: map[string]any{"appId": id}, Save: []graphcalls.Save{{As: "api_sp", Member: "id"}}}
	change := graphcalls.Call{Do: "change it", Method: "PATCH", Path: "/applications/" + graphcalls.Ref("api_object"), Body: map[string]any{"x": []any{graphcalls.Ref("api_object")}}}
	with := func(c graphcalls.Call, fresh, asks bool) graphcalls.Call { c.Fresh, c.Asks = fresh, asks; return c }
	for _, test := range []struct {
		desc    string
		call    graphcalls.Call
		answers []answer
		want    string // of the error
		waits   int
	}{
		{"at once", app, []answer{made}, "", 0},
		{"not seen yet", with(app, true, false), []answer{missing, {400, "NoBackingApplicationObject", "", ""}, {403, "Authorization_RequestDenied", "the backing application of the service principal being created must in the local tenant", ""}, made}, "", 3},
		{"never seen", with(app, true, false), []answer{missing}, "make it: microsoft graph: Request_ResourceNotFound (HTTP 404): x", 9},
		{"not fresh", app, []answer{missing, made}, "HTTP 404", 0},
		{"no right", with(app, true, false), []answer{denied, made}, "Insufficient privileges", 0},
		{"another mistake", with(app, true, false), []answer{{400, "CredentialInvalidLifetimeAsPerAppPolicy", "", ""}, made}, "AsPerAppPolicy", 0},
		{"there already", app, []answer{{409, "Request_MultipleObjectsWithSameKeyValue", "", ""}, made}, "", 0},
		{"no id in the answer", app, []answer{{status: 201, body: `{"id":"../x"}`}}, "the answer holds no id", 0},
		{"refused by a policy", with(change, true, true), []answer{{400, "HostNameNotOnVerifiedDomain", "", ""}}, "refused: HostNameNotOnVerifiedDomain", 0},
		{"refused by another policy", with(change, false, true), []answer{{403, "SomePolicy", "", ""}}, "refused: SomePolicy", 0},
		{"asked without a right", with(change, false, true), []answer{denied}, "Insufficient privileges", 0},
		{"an unknown reference", graphcalls.Call{Do: "do", Method: "PATCH", Path: "/x/" + graphcalls.Ref("agent_object")}, []answer{made}, "do: an id is not known yet: agent_object", 0},
	} {
		t.Run(test.desc, func(t *testing.T) {
			w := newWorld(t, test.answers...)
			err := w.maker.Make(t.Context(), test.call, w.known)
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("got %v, want %q", err, test.want)
			}
			if w.waits != test.waits {
				t.Errorf("waited %d times, want %d", w.waits, test.waits)
			}
			if err == nil && test.call.Method == http.MethodPost && w.known.IDs["api_sp"] != id {
				t.Errorf("learned %v", w.known.IDs)
			}
		})
	}
}

// A secret is kept as one, apart from ids.
func TestMakeSecret(t *testing.T) {
	t.Parallel()
	w := newWorld(t, answer{status: 200, body: `{"secretText":"hush","keyId":"` + id + `"}`})
	call := graphcalls.Call{Method: "POST", Path: "/x", Save: []graphcalls.Save{{As: "api_secret", Member: "secretText", Secret: true}, {As: "api_secret_key", Member: "keyId"}}}
	if err := w.maker.Make(t.Context(), call, w.known); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(fmt.Sprintf("%+v", w.known), "hush") || w.known.Get("api_secret") != "hush" || w.known.IDs["api_secret"] != "" {
		t.Errorf("%+v", w.known)
	}
}

func TestResolve(t *testing.T) {
	t.Parallel()
	known := func(name string) string { return map[string]string{"a": "1"}[name] }
	got, err := graphcalls.Resolve("x"+graphcalls.Ref("a")+"${a}{a}", known)
	if got != "x1${a}{a}" || err != nil {
		t.Errorf("%q %v", got, err)
	}
	if _, err = graphcalls.Resolve(graphcalls.Ref("b"), known); !errors.Is(err, graphcalls.ErrUnknown) {
		t.Errorf("got %v", err)
	}
	body := map[string]any{"n": 1.5, "t": true, "l": []any{graphcalls.Ref("a"), nil}}
	if diff := cmp.Diff(map[string]any{"n": 1.5, "t": true, "l": []any{"{a}", nil}}, graphcalls.ShowBody(body)); diff != "" {
		t.Error(diff)
	}
}

// Whatever a text holds, bash gives it back as it was, in quotes of either kind and within a call's body.
func FuzzQuotes(f *testing.F) {
	if _, err := exec.LookPath("bash"); err != nil {
		f.Fatal("bash is not here")
	}
	for _, seed := range []string{"", "plain", `'"$(id)` + "`id`", "\\", `\\\"`, "a\nJSON\nb", "${HOME}", "$'x'", "é\u2028", "!!", "*", "~", "\x01\x7f", `\u0000api_object\u0000`, "%s%n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "\x00") || !utf8.ValidString(text) {
			t.Skip("no text of a tenant")
		}
		w := &graphcalls.Script{}
		if err := w.Call(graphcalls.Call{Do: text, Method: "PATCH", Path: "/" + text + graphcalls.Ref("api_object"), Body: map[string]any{text: []any{text, graphcalls.Ref("api_object")}}}); err != nil {
			t.Fatal(err)
		}
		script := "set -eu; api_object=ID; say() { :; }; call() { printf '%s\\x1e%s\\x1e%s' \"$2\" \"$3\" " + graphcalls.Single(text) + " >&2; }\n" + w.String()
		cmd := exec.CommandContext(t.Context(), "bash", "-c", script)
		cmd.Env = []string{"LC_ALL=C.UTF-8", "HOME=/nonexistent"}
		var out strings.Builder
		cmd.Stderr = &out
		if err := cmd.Run(); err != nil {
			t.Fatalf("%v: %s\n%s", err, out.String(), script)
		}
		parts := strings.Split(out.String(), "\x1e")
		if strings.Contains(text, "\x1e") {
			t.Skip("the separator")
		}
		if len(parts) != 3 || parts[0] != "/"+text+"ID" || parts[2] != text {
			t.Fatalf("%q became %q", text, parts)
		}
		var body map[string][]string
		if err := json.Unmarshal([]byte(parts[1]), &body); err != nil || cmp.Diff(body, map[string][]string{text: {text, "ID"}}) != "" {
			t.Errorf("%q became %q: %v", text, parts[1], err)
		}
	})
}

func TestOneLine(t *testing.T) {
	t.Parallel()
	if got := graphcalls.OneLine("a\r\nb\u2028c\u0085\x1bd"); got != "a  b c  d" {
		t.Errorf("got %q", got)
	}
}

// Whoever reads a script before it runs sees what runs: no name in it steers the terminal or turns the writing.
func TestScriptHidesNothing(t *testing.T) {
	t.Parallel()
	const evil = "a\u009b2Jb\u202ecba\u2066\U000e0041\x1b[31m\u2028x"
	w := &graphcalls.Script{}
	call := graphcalls.Call{Do: "change " + evil, Method: "PATCH", Path: "/applications/1", Body: map[string]any{"displayName": evil, "other": "Größe 漢字"}}
	if err := w.Call(call); err != nil {
		t.Fatal(err)
	}
	w.Line("# %s", graphcalls.OneLine(evil))
	for _, r := range w.String() {
		if r != '\n' && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) {
			t.Errorf("%U in\n%q", r, w.String())
		}
	}
	_, body, _ := strings.Cut(w.String(), "<<JSON || true\n")
	body, _, _ = strings.Cut(body, "\nJSON\n")
	var sent map[string]string
	if err := json.Unmarshal([]byte(strings.ReplaceAll(body, `\\`, `\`)), &sent); err != nil || sent["displayName"] != evil || sent["other"] != "Größe 漢字" {
		t.Errorf("got %q, %v", sent, err)
	}
}

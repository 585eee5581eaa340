package conform_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/onbehalf/onbehalf/internal/conform"
)

func path(suffix string) func(*http.Request, int) bool {
	return func(r *http.Request, _ int) bool { return strings.HasSuffix(r.URL.Path, suffix) }
}

func noToken(r *http.Request) bool { return r.Header.Get("Authorization") == "" }

// scopes reads the claim scp.
func scp(claims map[string]any) string { s, _ := claims["scp"].(string); return s }

func has(name string) flaw {
	return accepting(func(_, c map[string]any, _ string) bool { _, ok := c[name]; return ok })
}

func lacks(name string) flaw {
	return accepting(func(_, c map[string]any, _ string) bool { _, ok := c[name]; return !ok })
}

func claimIs(name string, good func(text string) bool) flaw {
	return accepting(func(_, c map[string]any, _ string) bool { text, ok := c[name].(string); return ok && good(text) })
}

func not(value string) func(string) bool { return func(s string) bool { return s != value } }

func tokenOf(r *http.Request) string {
	return strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
}

// statefulFlaws are wrong in how they keep sessions.
var statefulFlaws = map[string]flaw{
	"session.other-person":  letIn(func(r *http.Request) bool { return r.Header.Get("Mcp-Session-Id") != "" }),
	"session.no-token":      letIn(func(r *http.Request) bool { return r.Header.Get("Mcp-Session-Id") != "" && noToken(r) }),
	"session.expired-token": letIn(func(r *http.Request) bool { return r.Header.Get("Mcp-Session-Id") != "" }),
	"session.guessable": func(w *world, next http.Handler) http.Handler {
		count := 0
		return answering(func(_ *http.Request, a *httptest.ResponseRecorder) {
			if a.Header().Get("Mcp-Session-Id") != "" {
				count++
				a.Header().Set("Mcp-Session-Id", fmt.Sprintf("session-%032d", count))
			}
		})(w, next)
	},
	"session.unknown": result(func(r *http.Request) bool { return strings.HasPrefix(r.Header.Get("Mcp-Session-Id"), "conform") }),
}

var flaws = map[string]flaw{
	"metadata.path":         status(path("/oauth-protected-resource/mcp"), http.StatusNotFound),
	"metadata.root":         status(path("/.well-known/oauth-protected-resource"), http.StatusNotFound),
	"metadata.content-type": answering(func(_ *http.Request, a *httptest.ResponseRecorder) { a.Header().Set("Content-Type", "text/html") }),
	"metadata.resource":     describing(func(d map[string]any, _ *http.Request) { d["resource"] = resource + "/" }),
	"metadata.host":         describing(func(d map[string]any, r *http.Request) { d["resource"] = "https://" + r.Host + "/mcp" }),
	"metadata.authorization-servers": describing(func(d map[string]any, _ *http.Request) {
		d["authorization_servers"] = []string{"http://login.microsoftonline.com/"}
	}),
	"metadata.scopes": describing(func(d map[string]any, _ *http.Request) { d["scopes_supported"] = []string{"execute"} }),
	"metadata.offline-access": describing(func(d map[string]any, _ *http.Request) {
		d["scopes_supported"] = []string{"api://x/execute", "offline_access"}
	}),
	"metadata.bearer-methods": describing(func(d map[string]any, _ *http.Request) { d["bearer_methods_supported"] = []string{"header", "query"} }),
	"metadata.cors":           answering(func(_ *http.Request, a *httptest.ResponseRecorder) { a.Header().Del("Access-Control-Allow-Origin") }),
	"metadata.issuer": describing(func(d map[string]any, _ *http.Request) {
		d["authorization_servers"] = []string{"https://issuer.example/other"}
	}),

	"challenge.no-token":          letIn(noToken),
	"challenge.no-token-no-error": challenging(`Bearer scope=`, `Bearer error="invalid_token", scope=`),
	"challenge.resource-metadata": challenging("resource_metadata", "metadata"),
	"challenge.scope":             challenging(`scope="api://`+api+"/", `scope="`),
	"challenge.get":               result(func(r *http.Request) bool { return r.Method == http.MethodGet }),
	"challenge.delete":            result(func(r *http.Request) bool { return r.Method == http.MethodDelete }),
	"challenge.basic":             letIn(func(r *http.Request) bool { return strings.HasPrefix(r.Header.Get("Authorization"), "Basic") }),
	"challenge.empty":             letIn(func(r *http.Request) bool { return strings.TrimSpace(r.Header.Get("Authorization")) == "Bearer" }),
	"challenge.invalid-token":     challenging(`error="invalid_token", `, ""),
	"challenge.description":       challenging("error_description", "description"),
	"challenge.no-store":          answering(func(_ *http.Request, a *httptest.ResponseRecorder) { a.Header().Del("Cache-Control") }),
	"challenge.no-leak": answering(func(_ *http.Request, a *httptest.ResponseRecorder) {
		if a.Code != http.StatusUnauthorized {
			return
		}
		_, _ = io.WriteString(a.Body, "Get https://issuer.example/discovery/v2.0/keys: connection refused")
	}),
	"challenge.expired":                     status(func(_ *http.Request, code int) bool { return code == 401 }, http.StatusForbidden),
	"challenge.expired-first":               status(func(r *http.Request, code int) bool { return code == 401 && tokenOf(r) != "" }, http.StatusForbidden),
	"challenge.insufficient-scope":          challenging(`error="insufficient_scope", `, ""),
	"challenge.insufficient-scope-names-it": challenging(`scope="api`, `scopes="api`),

	"token.alg-none":        accepting(func(h, _ map[string]any, s string) bool { return h["alg"] == "none" && s == "" }),
	"token.alg-none-case":   withHeader("alg", "nOnE"),
	"token.alg-none-signed": withHeader("alg", "none"),
	"token.alg-changed":     withHeader("alg", "RS512"),
	"token.hs256-public-key": accepting(func(h, _ map[string]any, s string) bool {
		return h["alg"] == "HS256" && len(s) == 43
	}),
	"token.stranger-key":     withHeader("kid", "k1"),
	"token.unknown-key":      withHeader("kid", "conform-unknown"),
	"token.no-key-id":        accepting(func(h, _ map[string]any, _ string) bool { return h["kid"] == nil }),
	"token.key-id-path":      accepting(func(h, _ map[string]any, _ string) bool { return strings.Contains(fmt.Sprint(h["kid"]), "/dev/null") }),
	"token.key-id-injection": accepting(func(h, _ map[string]any, _ string) bool { return strings.Contains(fmt.Sprint(h["kid"]), "SELECT") }),
	"token.own-key-jwk":      accepting(func(h, _ map[string]any, _ string) bool { return h["jwk"] != nil }),
	"token.own-key-jku":      accepting(func(h, _ map[string]any, _ string) bool { return h["jku"] != nil }),
	"token.own-key-x5c":      accepting(func(h, _ map[string]any, _ string) bool { return h["x5c"] != nil }),
	"token.signature-missing": accepting(func(_, _ map[string]any, s string) bool {
		return s == ""
	}),
	"token.signature-short":  accepting(func(_, _ map[string]any, s string) bool { return len(s) < 300 }),
	"token.signature-zero":   accepting(func(_, _ map[string]any, s string) bool { return strings.HasPrefix(s, "AAAAAAAAAAAA") }),
	"token.claims-changed":   has("conform"),
	"token.another-spelling": withHeader("kid", "k1"),
	"token.padded": letIn(func(r *http.Request) bool {
		return strings.HasSuffix(tokenOf(r), "==")
	}),
	"token.two-parts":  letIn(func(r *http.Request) bool { return strings.Count(tokenOf(r), ".") == 1 }),
	"token.five-parts": letIn(func(r *http.Request) bool { return strings.Count(tokenOf(r), ".") == 4 }),
	"token.opaque":     letIn(func(r *http.Request) bool { return tokenOf(r) == "0123456789abcdef" }),
	"token.huge": func(_ *world, next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if len(tokenOf(r)) > 50_000 {
				w.WriteHeader(http.StatusInternalServerError)
				return
			}
			next.ServeHTTP(w, r)
		})
	},
	"token.unknown-keys-fetched": func(w *world, next http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			w.issue(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/"+tenant+"/discovery/v2.0/keys", nil))
			next.ServeHTTP(rw, r)
		})
	},

	"token.type":             withHeader("typ", "logout+jwt"),
	"token.critical":         accepting(func(h, _ map[string]any, _ string) bool { return h["crit"] != nil }),
	"token.graph-nonce":      accepting(func(h, _ map[string]any, _ string) bool { return h["nonce"] != nil }),
	"token.consumers-key":    withHeader("kid", "k2"),
	"token.audience":         claimIs("aud", not(api)),
	"token.audience-missing": lacks("aud"),
	"token.audience-graph":   claimIs("aud", func(s string) bool { return strings.Contains(s, "graph") }),
	"token.audience-suffix":  claimIs("aud", func(s string) bool { return strings.HasPrefix(s, api) && s != api }),
	"token.issuer":           claimIs("iss", not(issuer)),
	"token.issuer-missing":   lacks("iss"),
	"token.issuer-prefix":    claimIs("iss", func(s string) bool { return strings.HasPrefix(s, issuer) && s != issuer }),
	"token.tenant":           claimIs("tid", not(tenant)),
	"token.tenant-mismatch":  claimIs("tid", not(tenant)),
	"token.expiry-missing":   lacks("exp"),
	"token.expiry-text":      claimIs("exp", func(string) bool { return true }),
	"token.not-before":       accepting(func(_, c map[string]any, _ string) bool { return fmt.Sprint(c["nbf"]) > fmt.Sprint(c["iat"]) }),
	"token.app-only":         claimIs("idtyp", func(s string) bool { return s == "app" }),
	"token.app-only-undeclared": accepting(func(_, c map[string]any, _ string) bool {
		return c["sub"] == c["oid"] && c["scp"] == nil
	}),
	"token.id-token":         has("nonce"),
	"token.no-person":        lacks("oid"),
	"token.bound":            has("cnf"),
	"token.scope-missing":    claimIs("scp", func(s string) bool { return s == "" }),
	"token.scope-longer":     claimIs("scp", func(s string) bool { return strings.HasPrefix(s, "execute") && s != "execute" }),
	"token.scope-case":       claimIs("scp", func(s string) bool { return strings.EqualFold(s, "execute") && s != "execute" }),
	"token.scope-look-alike": claimIs("scp", func(s string) bool { return !isASCII(s) }),
	"token.scope-tab": accepting(func(_, c map[string]any, _ string) bool {
		return len(strings.Fields(scp(c))) == 2
	}),
	"token.scope-as-role": has("roles"),
	"token.deep":          status(func(r *http.Request, code int) bool { return code == 401 && len(tokenOf(r)) > 2000 }, http.StatusInternalServerError),

	"token.duplicate-claim": claimIs("oid", func(s string) bool { return strings.HasPrefix(s, "a11ce") }),
	"token.duplicate-header": accepting(func(h, _ map[string]any, _ string) bool {
		return h["alg"] == "RS256"
	}),
	"token.claims-utf8": has("x"),
	"token.claims-tail": withHeader("kid", "k1"),

	"request.two-headers":         letIn(func(r *http.Request) bool { return len(r.Header["Authorization"]) == 2 }),
	"request.two-headers-swapped": letIn(func(r *http.Request) bool { return len(r.Header["Authorization"]) == 2 }),
	"request.two-good-headers":    letIn(func(r *http.Request) bool { return len(r.Header["Authorization"]) == 2 }),
	"request.joined-headers":      letIn(func(r *http.Request) bool { return strings.Contains(tokenOf(r), ",") }),
	"request.cookie":              letIn(func(r *http.Request) bool { return r.Header.Get("Cookie") != "" }),
	"request.other-headers":       letIn(func(r *http.Request) bool { return r.Header.Get("X-Forwarded-Authorization") != "" }),
	"request.identity-headers":    letIn(func(r *http.Request) bool { return r.Header.Get("X-Ms-Client-Principal") != "" }),
	"request.query":               letIn(func(r *http.Request) bool { return r.URL.Query().Has("access_token") }),
	"request.form": result(func(r *http.Request) bool {
		return strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded")
	}),
	"request.scheme-case": status(func(r *http.Request, _ int) bool { return strings.HasPrefix(r.Header.Get("Authorization"), "bearer") }, http.StatusUnauthorized),
	"request.paths":       result(func(r *http.Request) bool { return r.URL.Path == "/MCP" }),
	"request.methods":     result(func(r *http.Request) bool { return r.Method == http.MethodPut }),

	"rebinding.origin":          letIn(func(r *http.Request) bool { return r.Header.Get("Origin") == "https://evil.example" }),
	"rebinding.origin-null":     letIn(func(r *http.Request) bool { return r.Header.Get("Origin") == "null" }),
	"rebinding.origin-prefix":   letIn(func(r *http.Request) bool { return strings.HasPrefix(r.Header.Get("Origin"), "http://localhost") }),
	"rebinding.host":            letIn(func(r *http.Request) bool { return r.Host == "evil.example" }),
	"rebinding.host-and-origin": letIn(func(r *http.Request) bool { return r.Header.Get("Origin") == "http://"+r.Host }),
	"rebinding.cors": answering(func(_ *http.Request, a *httptest.ResponseRecorder) {
		a.Header().Set("Access-Control-Allow-Origin", "*")
	}),

	"message.batch":         onBody(func(text string) bool { return strings.HasPrefix(text, "[") }),
	"message.case":          onBody(func(text string) bool { return strings.Contains(text, `"Method":"tools/list"`) }),
	"message.version":       result(func(r *http.Request) bool { return r.Header.Get("Mcp-Protocol-Version") == "1999-01-01" }),
	"message.method-header": onBody(func(text string) bool { return strings.Contains(text, "conform-none") }),
	"message.name-header":   onBody(func(text string) bool { return strings.Contains(text, "conform-none") }),
	"message.large":         onBody(func(text string) bool { return len(text) > 10<<20 }),
	"message.cache": answering(func(_ *http.Request, a *httptest.ResponseRecorder) {
		a.Header().Set("Cache-Control", "public, max-age=60")
	}),
	"server.alive": func(_ *world, next http.Handler) http.Handler {
		count := 0
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if count++; count > 2 {
				w.WriteHeader(http.StatusInternalServerError)
				return
			}
			next.ServeHTTP(w, r)
		})
	},
}

// onBody answers with a result when the body is so.
func onBody(which func(text string) bool) flaw {
	return func(w *world, next http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			text, _ := io.ReadAll(r.Body)
			r.Body = io.NopCloser(strings.NewReader(string(text)))
			if which(string(text)) {
				next = result(func(*http.Request) bool { return true })(w, next)
			}
			next.ServeHTTP(rw, r)
		})
	}
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r > 127 })
}

// TestEachCheckFindsItsFlaw runs each check against a server that is wrong in just that way.
func TestEachCheckFindsItsFlaw(t *testing.T) {
	ids := conform.IDs()
	if len(ids) < 60 || len(flaws)+len(statefulFlaws) != len(ids) {
		t.Errorf("%d checks and %d flaws: want at least 60, and as many flaws", len(ids), len(flaws)+len(statefulFlaws))
	}
	for _, id := range ids {
		wrong, stateful := statefulFlaws[id]
		if !stateful {
			var ok bool
			if wrong, ok = flaws[id]; !ok {
				t.Errorf("%s: no server is wrong in that way", id)
				continue
			}
		}
		w := newWorld(t, stateful)
		w.server = wrong(w, w.server)
		report := w.run(t, id)
		if got := report.Results[0]; got.Verdict != conform.Fail {
			t.Errorf("%s: %s against a server that is wrong in that way: %s", id, got.Verdict, got.Seen)
		}
	}
}

// TestTheRightServerPasses runs all checks against ours, without and with sessions.
func TestTheRightServerPasses(t *testing.T) {
	for _, stateful := range []bool{false, true} {
		report := newWorld(t, stateful).run(t)
		for _, result := range report.Results {
			if result.Verdict == conform.Fail || result.Verdict == conform.Skip && (!stateful || result.Seen != "the server does not speak 2026-07-28") {
				t.Errorf("sessions %v: %s %s: %s", stateful, result.Verdict, result.ID, result.Seen)
			}
			if strings.Contains(result.Seen, "eyJ") {
				t.Errorf("%s shows a token: %s", result.ID, result.Seen)
			}
		}
		if !slices.EqualFunc(report.Results, conform.IDs(), func(r conform.Result, id string) bool { return r.ID == id }) {
			t.Error("not all checks ran, in order")
		}
	}
}

func TestOutputs(t *testing.T) {
	w := newWorld(t, false)
	w.server = challenging("resource_metadata", "x")(w, w.server)
	report := w.run(t, "challenge.*")
	var line, js, junit strings.Builder
	for _, result := range report.Results {
		if err := conform.WriteLine(&line, result); err != nil {
			t.Fatal(err)
		}
	}
	if got := strings.Count(line.String(), "\n"); got != len(report.Results) || !strings.Contains(line.String(), "fail  challenge.resource-metadata") {
		t.Errorf("%d lines for %d checks:\n%s", got, len(report.Results), line.String())
	}
	if err := report.WriteJSON(&js); err != nil {
		t.Fatal(err)
	}
	var decoded struct {
		Failed  int
		Results []conform.Result
	}
	if err := json.Unmarshal([]byte(js.String()), &decoded); err != nil || decoded.Failed != 1 || len(decoded.Results) != len(report.Results) {
		t.Errorf("%v: %s", err, js.String())
	}
	if err := report.WriteJUnit(&junit); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`failures="1"`, `classname="conform.challenge" name="resource-metadata"`, "<failure message="} {
		if !strings.Contains(junit.String(), want) {
			t.Errorf("JUnit lacks %s:\n%s", want, junit.String())
		}
	}
}

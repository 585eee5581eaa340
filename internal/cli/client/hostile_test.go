package client

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/onbehalf/onbehalf/internal/cli/shell"
	"github.com/onbehalf/onbehalf/signin"
)

// steering is what a server may send in strings of JSON, and a terminal takes for orders.
const steering = "\u009b2J\u202egnp"

// What a server says of itself is in the questions that decide whether it is trusted.
func TestQuestionsAboutAServerDoNotSteerTheTerminal(t *testing.T) {
	var out, shown bytes.Buffer
	o := newOptions(&shell.Shell{In: strings.NewReader("n\n"), Out: &out, Err: &shown, Environ: func(string) (string, bool) { return "", false }})
	grant := signin.Grant{Server: "https://mcp.example/mcp", Authority: "https://login" + steering + ".example/", Tenant: "contoso" + steering}
	if err := o.confirm(t.Context(), grant); !errors.Is(err, errDeclined) {
		t.Errorf("got %v, want a no", err)
	}
	_ = o.ask(t.Context(), signin.Cause{Server: grant.Server, Claims: `{"access_token":{"acrs":{"value":"` + steering + `"}}}`})
	_, _ = o.elicit(t.Context(), &mcp.ElicitRequest{Params: &mcp.ElicitParams{URL: "https://" + steering + ".example/", Message: steering}})
	c := &callOptions{options: o, output: "json"}
	if err := c.print(&mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: steering}}}); err != nil {
		t.Error(err)
	}
	if text := shown.String() + out.String(); shell.Printable(text) != text || strings.Count(text, "gnp") < 5 {
		t.Errorf("%q steers the terminal, or does not show what was said", text)
	}
}

// The SDK reads an answer in one piece to its end.
func TestAnAnswerWithoutEnd(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", r.URL.Query().Get("type"))
		for chunk := make([]byte, 1<<20); r.Context().Err() == nil; {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	}))
	defer server.Close()
	client := &http.Client{Transport: &watch{base: http.DefaultTransport}}
	for _, kind := range []string{"application/json", ""} {
		resp, err := client.Get(server.URL + "?type=" + kind)
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, io.LimitReader(resp.Body, 2*maxAnswer))
		_ = resp.Body.Close()
		if err == nil || n > maxAnswer {
			t.Errorf("%q: %d bytes and %v, want an error after at most %d", kind, n, err, maxAnswer)
		}
	}
}

//go:build e2e

package web

import (
	"regexp"
	"slices"
	"testing"
)

// The demonstration opens on the page: alice and bob ask the same in two windows, and are shown something else.
func TestDemo(t *testing.T) {
	const anyPort = "127.0.0.1:0"
	s := &stack{t: t, dir: t.TempDir()}
	demo := s.run("Serving until", "demo", "--entra-addr", anyPort, "--search-addr", anyPort, "--addr", anyPort, "--web-addr", anyPort)
	address := regexp.MustCompile(`(?m)^Open (http://localhost:\d+) and sign in as `).FindStringSubmatch(demo.out.String())
	if address == nil {
		t.Fatalf("the demo names no page:\n%s", &demo.out)
	}
	s.URL = address[1]
	found := map[string][]string{}
	for _, id := range []string{alice, bob} {
		w := s.window()
		w.signIn(id)
		w.see(".note.model")
		w.click(".examples button")
		w.until(`document.querySelector("#log")`)
		w.answered()
		found[id] = w.sources()
	}
	if !slices.Contains(found[alice], "Roadmap") || slices.Contains(found[bob], "Roadmap") || !slices.Contains(found[bob], "Forecast") {
		t.Errorf("alice is shown %q, bob %q", found[alice], found[bob])
	}
}

//go:build e2e

package web

import (
	"slices"
	"strings"
	"testing"

	"github.com/onbehalf/onbehalf/interop/models"
)

// The whole agent on a server of models that people run: its template, tokenizer and parser of tool calls are real, what the
// model says is known beforehand.
func TestLlamaCPP(t *testing.T) {
	answersWith(t, models.LlamaCPP(t, "16384"))
}

func answersWith(t *testing.T, server *models.Server) {
	t.Helper()
	s := start(t, options{model: strings.TrimSuffix(server.URL.String(), "/v1"), web: []string{"--model", server.Model}})
	w := s.window()
	w.signIn(alice)
	w.ask("What is on the roadmap?")
	w.reads(".card.ask", `"query": "roadmap"`)
	w.click(`.card.ask [value="allow-always"]`)
	w.answered()
	w.reads(".message.assistant", "That is what the documents say")
	w.reads(".call", "found 1 document")
	if found := w.sources(); !slices.Equal(found, []string{"Roadmap"}) {
		t.Errorf("sources: %q", found)
	}
	w.ask("Twice") // two calls at once, unasked by now
	w.answered()
	if found := w.sources(); !slices.Contains(found, "Handbook") || !slices.Contains(found, "Roadmap") {
		t.Errorf("sources: %q", found)
	}
}

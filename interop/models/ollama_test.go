//go:build interop && models

package models

import (
	"testing"

	"github.com/onbehalf/onbehalf/internal/agent"
)

// TestOllama builds Ollama, which takes minutes: "make interop-models".
func TestOllama(t *testing.T) {
	server := Ollama(t, "8192")
	understood(t, server)
	refuses(t, server)
}

// refuses holds that a model which is not there is said not to be: llama.cpp answers by the one that it has.
func refuses(t *testing.T, server *Server) {
	t.Helper()
	t.Run("no such model", func(t *testing.T) {
		if _, err := question(t, &Server{URL: server.URL, Model: "nosuch"}, "Hello"); kindOf(t, err) != agent.ModelRejected {
			t.Errorf("got %v", err)
		}
	})
}

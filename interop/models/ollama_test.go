//go:build interop && models

package models

import "testing"

// TestOllama builds Ollama, which takes minutes: "make interop-models".
func TestOllama(t *testing.T) {
	server := Ollama(t, "8192")
	understood(t, server)
	refuses(t, server)
}

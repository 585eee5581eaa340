//go:build e2e && models

package web

import (
	"testing"

	"github.com/onbehalf/onbehalf/interop/models"
)

func TestOllama(t *testing.T) {
	answersWith(t, models.Ollama(t, "16384"))
}

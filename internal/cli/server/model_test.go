package server

import (
	"strings"
	"testing"

	"github.com/onbehalf/onbehalf/internal/cli/shell"
)

func TestWhichModelAnswers(t *testing.T) {
	const (
		azure  = "AZURE_OPENAI_ENDPOINT=https://contoso.openai.azure.com "
		tenant = "TENANT_ID=c0470500-0000-4000-8000-000000000001 "
	)
	for desc, c := range map[string]struct {
		settings, flag string
		plain          bool
		want           string // the model's name, or part of the error
	}{
		"nothing":              {"", "", false, "builtin"},
		"a key alone":          {"OPENAI_API_KEY=k", "", false, "builtin"},
		"OpenAI":               {"OPENAI_API_KEY=k OPENAI_MODEL=gpt", "", false, "gpt"},
		"OpenAI without key":   {"OPENAI_MODEL=gpt", "", false, "OPENAI_API_KEY"},
		"Ollama":               {"OPENAI_BASE_URL=http://localhost:11434/v1 OPENAI_MODEL=qwen3", "", false, "qwen3"},
		"the flag":             {"OPENAI_BASE_URL=http://localhost:11434/v1 OPENAI_MODEL=qwen3", "llama", false, "llama"},
		"the stand-in":         {"OPENAI_API_KEY=k OPENAI_MODEL=gpt", "builtin", false, "builtin"},
		"no endpoint":          {"", "gpt", false, "no endpoint is configured"},
		"in clear":             {"OPENAI_BASE_URL=http://vllm:8000/v1 OPENAI_MODEL=q", "", false, "want an https URL"},
		"in clear, and meant":  {"OPENAI_BASE_URL=http://vllm:8000/v1 OPENAI_MODEL=q", "", true, "q"},
		"Azure, key":           {azure + "AZURE_OPENAI_DEPLOYMENT=d AZURE_OPENAI_API_KEY=k", "", false, "d"},
		"Azure, version":       {azure + "AZURE_OPENAI_DEPLOYMENT=d AZURE_OPENAI_API_KEY=k AZURE_OPENAI_API_VERSION=2024-10-21", "", false, "d"},
		"Azure, Entra":         {azure + tenant + "AZURE_OPENAI_DEPLOYMENT=d", "", false, "d"},
		"Azure, by a stranger": {"AZURE_OPENAI_ENDPOINT=https://openai.azure.com.evil.example " + tenant + "AZURE_OPENAI_DEPLOYMENT=d", "", false, "gets no token"},
		"Azure, v1 by version": {"AZURE_OPENAI_ENDPOINT=https://contoso.openai.azure.com/openai/v1/ AZURE_OPENAI_API_VERSION=2024-10-21 AZURE_OPENAI_DEPLOYMENT=d AZURE_OPENAI_API_KEY=k", "", false, "has no versions"},
		"Azure, no endpoint":   {"AZURE_OPENAI_DEPLOYMENT=d AZURE_OPENAI_API_KEY=k", "", false, "AZURE_OPENAI_ENDPOINT"},
		"Azure, the flag":      {azure + "AZURE_OPENAI_API_KEY=k", "d", false, "d"},
		"both":                 {azure + "AZURE_OPENAI_DEPLOYMENT=d OPENAI_MODEL=gpt", "", false, "both set"},
		"both, with the flag":  {azure + "OPENAI_API_KEY=k", "gpt", false, "another endpoint"},
	} {
		t.Run(desc, func(t *testing.T) {
			values := map[string]string{}
			for pair := range strings.FieldsSeq(c.settings) {
				name, value, _ := strings.Cut(pair, "=")
				values[name] = value
			}
			model, err := modelOf(shell.SettingsOf(values), c.flag, c.plain)
			if err != nil {
				if !strings.Contains(err.Error(), c.want) {
					t.Errorf("got %v, want %q", err, c.want)
				}
				return
			}
			if name, _ := model.Name(); name != c.want {
				t.Errorf("got %q, want %q", name, c.want)
			}
		})
	}
}

func TestWhatTokensForModelsAreFor(t *testing.T) {
	const version = "2024-10-21"
	for _, c := range [][3]string{
		{"contoso.openai.azure.com", "", "https://ai.azure.com/.default"},
		{"contoso.openai.azure.com", version, "https://cognitiveservices.azure.com/.default"},
		{"contoso.cognitiveservices.azure.com", version, "https://cognitiveservices.azure.com/.default"},
		{"contoso.services.ai.azure.com", "", "https://ai.azure.com/.default"},
		{"contoso.services.ai.azure.com", version, "https://ai.azure.com/.default"},
		{"contoso.openai.azure.us", "", "https://cognitiveservices.azure.us/.default"},
		{"contoso.services.ai.azure.us", "", "https://ai.azure.us/.default"},
		{"contoso.openai.azure.cn", "", "https://cognitiveservices.azure.cn/.default"},
	} {
		if got := openAIScope(c[0], c[1]); got != c[2] {
			t.Errorf("%s, version %q: got %s, want %s", c[0], c[1], got, c[2])
		}
	}
}

package server

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/agent"
	"github.com/onbehalf/onbehalf/internal/agent/builtin"
	"github.com/onbehalf/onbehalf/internal/agent/openai"
	"github.com/onbehalf/onbehalf/internal/cli/shell"
)

// builtinModel is the stand-in's name on the command line.
const builtinModel = "builtin"

const openAI = "https://api.openai.com/v1"

// modelOf chooses what answers: the flag says which model, the settings where it is.
func modelOf(settings *shell.Settings, flag string, plain bool) (agent.Model, error) {
	name, deployment := settings.Get("OPENAI_MODEL"), settings.Get("AZURE_OPENAI_DEPLOYMENT")
	azure := settings.Get("AZURE_OPENAI_ENDPOINT")
	switch {
	case flag == builtinModel, flag == "" && name == "" && deployment == "":
		return builtin.Model{}, nil
	case flag == "" && name != "" && deployment != "":
		return nil, shell.Usage(shell.Hint(errors.New("OPENAI_MODEL and AZURE_OPENAI_DEPLOYMENT are both set"), "unset one, so that it is clear where people's questions go"))
	case flag != "" && azure != "" && (settings.Get("OPENAI_BASE_URL") != "" || settings.Get("OPENAI_API_KEY") != ""):
		return nil, shell.Usage(shell.Hint(fmt.Errorf("--model %s: there are settings of Azure OpenAI and of another endpoint", flag), "unset one, so that it is clear where people's questions go"))
	case flag != "" && azure == "" && settings.Get("OPENAI_BASE_URL") == "" && settings.Get("OPENAI_API_KEY") == "":
		return nil, shell.Usage(shell.Hint(fmt.Errorf("--model %s: no endpoint is configured", flag), "set OPENAI_API_KEY, OPENAI_BASE_URL or AZURE_OPENAI_ENDPOINT; --model builtin needs none"))
	}
	var (
		cfg openai.Config
		err error
	)
	if flag == "" && deployment != "" || flag != "" && azure != "" {
		cfg, err = azureModel(settings)
	} else {
		cfg, err = openAIModel(settings, plain)
	}
	if err != nil {
		return nil, err
	}
	if flag != "" {
		cfg.Model = flag
	}
	if cfg.HTTPClient, err = settings.HTTPClient(); err != nil {
		return nil, err
	}
	model, err := openai.New(cfg)
	if err != nil {
		return nil, shell.Usage(err)
	}
	return model, nil
}

func openAIModel(settings *shell.Settings, plain bool) (openai.Config, error) {
	cfg := openai.Config{Model: settings.Get("OPENAI_MODEL")}
	var err error
	if cfg.URL, err = settings.URL("OPENAI_BASE_URL", openAI); err != nil {
		u, bad := url.Parse(settings.Get("OPENAI_BASE_URL"))
		if !plain || bad != nil || u.Scheme != "http" {
			return cfg, shell.Hint(err, "--dangerously-plain-model sends questions, documents and the key over http")
		}
		cfg.URL = u
	}
	if settings.Get("OPENAI_API_KEY") == "" {
		if settings.Get("OPENAI_BASE_URL") == "" {
			return cfg, settings.Require("OPENAI_API_KEY")
		}
		return cfg, nil // Ollama, vLLM
	}
	cfg.Credential = fresh(settings, "OPENAI_API_KEY")
	return cfg, settings.MayGo("OPENAI_API_KEY", "OPENAI_BASE_URL")
}

// azureModel is Azure OpenAI: by the API without versions, unless one is named.
//
// https://learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle
func azureModel(settings *shell.Settings) (openai.Config, error) {
	cfg := openai.Config{Model: settings.Get("AZURE_OPENAI_DEPLOYMENT"), AzureVersion: settings.Get("AZURE_OPENAI_API_VERSION")}
	if err := settings.Require("AZURE_OPENAI_ENDPOINT"); err != nil {
		return cfg, err
	}
	endpoint, err := settings.URL("AZURE_OPENAI_ENDPOINT", "")
	if err != nil {
		return cfg, err
	}
	cfg.URL = endpoint
	if cfg.AzureVersion != "" && strings.HasSuffix(strings.TrimRight(endpoint.Path, "/"), "/v1") {
		return cfg, shell.Usage(shell.Hint(errors.New("AZURE_OPENAI_API_VERSION: the API below /openai/v1 has no versions"), "unset it, or take /openai/v1 off AZURE_OPENAI_ENDPOINT"))
	}
	if cfg.AzureVersion == "" && !strings.HasSuffix(strings.TrimRight(endpoint.Path, "/"), "/v1") {
		cfg.URL = endpoint.JoinPath("openai", "v1")
	}
	if settings.Get("AZURE_OPENAI_API_KEY") != "" {
		cfg.Credential = fresh(settings, "AZURE_OPENAI_API_KEY")
		return cfg, settings.MayGo("AZURE_OPENAI_API_KEY", "AZURE_OPENAI_ENDPOINT")
	}
	cfg.Entra = true
	cfg.Credential, err = entraCredential(settings, endpoint.Hostname(), cfg.AzureVersion)
	return cfg, err
}

// openAIHosts are below which names Azure OpenAI answers.
//
// https://learn.microsoft.com/azure/ai-services/cognitive-services-custom-subdomains
func openAIHosts() []string {
	var hosts []string
	for _, end := range []string{"com", "us", "cn"} {
		hosts = append(hosts, ".openai.azure."+end, ".cognitiveservices.azure."+end)
	}
	return append(hosts, ".services.ai.azure.com", ".services.ai.azure.us")
}

// entraCredential is this machine's identity towards Azure OpenAI: never that of a person who asks. Its tokens go to
// Microsoft's hosts only: else whoever names the endpoint would get them.
//
// https://learn.microsoft.com/azure/ai-foundry/openai/how-to/managed-identity
func entraCredential(settings *shell.Settings, host, version string) (func(context.Context) (identity.Secret, error), error) {
	if !below(host, openAIHosts()) {
		return nil, shell.Usage(shell.Hint(fmt.Errorf("AZURE_OPENAI_ENDPOINT: %s is none of Azure OpenAI's hosts: it gets no token of this machine's identity", host), "use AZURE_OPENAI_API_KEY, or OPENAI_BASE_URL and OPENAI_API_KEY for a gateway"))
	}
	in, err := settings.Cloud(shell.Trust{})
	if err != nil {
		return nil, err
	}
	tenant, err := settings.Tenant()
	if err != nil {
		return nil, err
	}
	client, err := settings.EntraClient(in)
	if err != nil {
		return nil, err
	}
	credential, err := registration{settings: settings, cloud: in, tenant: tenant, http: client}.machine()
	if err != nil {
		return nil, err
	}
	if _, err := entra.CloudOf(in.Authority); err != nil {
		return nil, shell.Usage(errors.New("AZURE_OPENAI_API_KEY: missing; an authority that is none of Microsoft's gives no token for Azure OpenAI"))
	}
	scope := openAIScope(host, version)
	return func(ctx context.Context) (identity.Secret, error) {
		token, err := credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{scope}})
		return identity.NewSecret(token.Token), err
	}, nil
}

// openAIScope is what a token has to be for: Foundry and the API without versions name Foundry's own audience, the API with
// versions Cognitive Services', and so do the clouds in which only that one is documented.
//
// https://learn.microsoft.com/azure/foundry/openai/how-to/troubleshoot-errors
// https://learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle
// https://github.com/microsoft/agent-framework/issues/7201
func openAIScope(host, version string) string {
	host = strings.ToLower(host)
	foundry := below(host, []string{".services.ai.azure.com", ".services.ai.azure.us"})
	end := "com"
	for _, other := range []string{"us", "cn"} {
		if strings.HasSuffix(host, ".azure."+other) {
			end = other
		}
	}
	if foundry || version == "" && end == "com" {
		return "https://ai.azure." + end + "/.default"
	}
	return "https://cognitiveservices.azure." + end + "/.default"
}

// fresh reads a secret anew for each use, so that a changed one counts without a restart.
func fresh(settings *shell.Settings, name string) func(context.Context) (identity.Secret, error) {
	return func(context.Context) (identity.Secret, error) {
		value, err := settings.Fresh(name)
		return identity.NewSecret(value), err
	}
}

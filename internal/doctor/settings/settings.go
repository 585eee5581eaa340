// Package settings checks the settings alone, before anybody is asked about anything.
package settings

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/doctor/check"
	"github.com/onbehalf/onbehalf/internal/doctor/exam"
)

// Checks look at the settings alone.
func Checks() []check.Check {
	return []check.Check{
		{ID: "settings.file", Title: "the settings file is its owner's alone, and is the one that is meant", Run: settingsFile},
		{ID: "settings.quotes", Title: "no setting has quotes or blanks around it", Run: settingsQuotes},
		{ID: "settings.tenant", Title: "TENANT_ID is a tenant's id", Unless: []string{"settings.quotes"}, Run: settingsTenant},
		{ID: "settings.api", Title: "API_CLIENT_ID is an application id", Unless: []string{"settings.quotes"}, Run: settingsAPI},
		{ID: "settings.app-id-uri", Title: "API_APP_ID_URI is an App ID URI", Needs: []string{"settings.api"}, Run: settingsAppIDURI},
		{ID: "settings.web-client", Title: "WEB_CLIENT_ID is another application than the API", Needs: []string{"settings.api"}, Run: settingsWebClient},
		{ID: "settings.credential", Title: "the API has one credential", Run: settingsCredential},
		{ID: "settings.secret", Title: "CLIENT_SECRET is a secret's value, not its id", Needs: []string{"settings.credential"}, Unless: []string{"settings.quotes"}, Run: settingsSecret},
		{ID: "settings.certificate", Title: "CLIENT_CERTIFICATE_PATH holds a certificate, in force, with its key", Needs: []string{"settings.credential"}, Run: settingsCertificate},
		{ID: "settings.authority", Title: "AZURE_AUTHORITY_HOST is a cloud of Microsoft's, or a local Entra that is meant", Run: settingsAuthority},
		{ID: "settings.graph", Title: "GRAPH_ENDPOINT belongs to the authority", Needs: []string{"settings.authority"}, Run: settingsGraph},
		{ID: "settings.ca", Title: "ONBEHALF_CA_FILE holds a CA certificate in force", Run: settingsCA},
		{ID: "settings.mcp-url", Title: "MCP_URL is https, or on this machine", Run: settingsMCP},
		{ID: "settings.search-endpoint", Title: "AZURE_SEARCH_ENDPOINT is a search service's URL", Run: settingsSearch},
		{ID: "settings.index", Title: "AZURE_SEARCH_INDEX is a name that an index can have", Run: settingsIndex},
		{ID: "settings.cache", Title: "REDIS_URL comes with a strong CACHE_SECRET", Run: settingsCache},
		{ID: "settings.agent", Title: "the web agent has a registration of its own and its secret", Needs: []string{"settings.api"}, Run: settingsAgent},
		{ID: "settings.web-url", Title: "WEB_URL is https, or on this machine", Run: settingsWebURL},
		{ID: "settings.history-key", Title: "HISTORY_KEY is strong", Run: settingsHistoryKey},
		{ID: "settings.model", Title: "the settings of the model name one model", Run: settingsModel},
	}
}

// ForTokens reads the settings against which a token is held; what is wrong in them is not compared.
func ForTokens(ctx context.Context, s *check.State) {
	for _, read := range []func(context.Context, *check.State) exam.Finding{settingsTenant, settingsAPI, settingsAuthority} {
		read(ctx, s)
	}
	if !s.API.IsZero() {
		settingsAppIDURI(ctx, s)
	}
}

func settingsFile(_ context.Context, s *check.State) exam.Finding {
	if s.File == "" {
		if s.Unread != "" {
			return exam.Warned(s.Unread+" is here and was not read", "Like the client commands, the doctor reads a settings file only when it is named: a file in a folder that came from elsewhere could redirect a sign-in.", "onbehalf doctor --env "+s.Unread)
		}
		return exam.Good("no file: the settings come from the environment")
	}
	info, err := os.Stat(s.File)
	if err != nil {
		return exam.Failed(err.Error(), "The settings file cannot be looked at.", "Check the path and its permissions.")
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" {
		return exam.Warned(fmt.Sprintf("%s has mode %04o", s.File, mode), "Other people of this machine may read the secrets in it.", "chmod 600 "+s.File)
	}
	return exam.Good("%s, readable by its owner alone", s.File)
}

// settingNames are the settings that the checks look at for quotes.
func settingNames() []string {
	return []string{
		"TENANT_ID", "API_CLIENT_ID", "WEB_CLIENT_ID", "CLIENT_SECRET", "API_APP_ID_URI", "CLIENT_CERTIFICATE_PATH", "AZURE_AUTHORITY_HOST", "GRAPH_ENDPOINT",
		"AZURE_SEARCH_ENDPOINT", "AZURE_SEARCH_INDEX", "AZURE_SEARCH_KEY", "MCP_URL", "REDIS_URL", "CACHE_SECRET", "AGENT_CLIENT_ID", "AGENT_CLIENT_SECRET", "WEB_URL", "HISTORY_KEY",
	}
}

func settingsQuotes(_ context.Context, s *check.State) exam.Finding {
	var wrapped []string
	for _, name := range settingNames() {
		value := s.Setting(name)
		if strings.TrimSpace(value) != value || len(value) > 1 && (value[0] == '"' || value[0] == '\'') && value[len(value)-1] == value[0] {
			wrapped = append(wrapped, name)
		}
	}
	if len(wrapped) > 0 {
		return exam.Failed(strings.Join(wrapped, ", "), "The value itself begins and ends with quotes or blanks: docker run --env-file and Kubernetes keep those that a shell would take away.", "Write NAME=value without quotes.")
	}
	return exam.Good("none")
}

// badID says what stands where a GUID is wanted.
func badID(value string) (seen, cause string) {
	switch lower := strings.ToLower(value); {
	case value == "":
		return "not set", "The setting is missing."
	case strings.ContainsAny(value, "<>{}") || strings.Contains(lower, "your") || strings.Contains(lower, "changeme") || strings.Trim(lower, "x0-") == "":
		return fmt.Sprintf("%q", check.Clipped(value)), "That is the placeholder of an example, not an id."
	case slices.Contains([]string{"common", "organizations", "consumers"}, lower):
		return fmt.Sprintf("%q", value), "The server serves the people of one tenant; \"" + lower + "\" means any."
	case strings.Contains(value, "."):
		return fmt.Sprintf("%q", check.Clipped(value)), "That is a domain name; tokens name the tenant by its id, and the server compares them."
	case strings.HasPrefix(lower, "api://"):
		return fmt.Sprintf("%q", check.Clipped(value)), "That is an App ID URI: the id alone is wanted."
	}
	return fmt.Sprintf("%q", check.Clipped(value)), "That is no id: 32 hexadecimal digits with four hyphens are wanted."
}

func isGUID(text string) bool {
	_, err := identity.ParseClientID(text)
	return err == nil
}

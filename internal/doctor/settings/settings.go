// Package settings checks the settings alone, before anybody is asked about anything.
package settings

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/doctor/check"
	"github.com/onbehalf/onbehalf/internal/doctor/exam"
)

// Checks look at the settings alone.
func Checks() []check.Check {
	all := settingsChecks()
	for i := range all {
		for _, first := range all[:min(i, 2)] { // where nothing is set, or a value is not what it seems, that is told once
			all[i].Unless = append(all[i].Unless, first.ID)
		}
	}
	return all
}

func settingsChecks() []check.Check {
	return []check.Check{
		{ID: "settings.file", Title: "the settings file is its owner's alone, and is the one that is meant", Run: settingsFile},
		{ID: "settings.quotes", Title: "no setting has quotes or blanks around it, nor characters that cannot be seen", Run: settingsQuotes},
		{ID: "settings.tenant", Title: "TENANT_ID is a tenant's id", Run: settingsTenant},
		{ID: "settings.api", Title: "API_CLIENT_ID is an application id", Run: settingsAPI},
		{ID: "settings.app-id-uri", Title: "API_APP_ID_URI is an App ID URI", Needs: []string{"settings.api"}, Run: settingsAppIDURI},
		{ID: "settings.web-client", Title: "WEB_CLIENT_ID is another application than the API", Unless: []string{"settings.api"}, Run: settingsWebClient},
		{ID: "settings.credential", Title: "the API has one credential", Run: settingsCredential},
		{ID: "settings.secret", Title: "CLIENT_SECRET is a secret's value, not its id", Needs: []string{"settings.credential"}, Run: settingsSecret},
		{ID: "settings.certificate", Title: "CLIENT_CERTIFICATE_PATH holds a certificate, in force, with its key", Needs: []string{"settings.credential"}, Run: settingsCertificate},
		{ID: "settings.authority", Title: "AZURE_AUTHORITY_HOST is a cloud of Microsoft's, or a local Entra that is meant", Run: settingsAuthority},
		{ID: "settings.graph", Title: "GRAPH_ENDPOINT belongs to the authority", Needs: []string{"settings.authority"}, Run: settingsGraph},
		{ID: "settings.ca", Title: "ONBEHALF_CA_FILE holds a CA certificate in force", Run: settingsCA},
		{ID: "settings.mcp-url", Title: "MCP_URL is https, or on this machine", Run: settingsMCP},
		{ID: "settings.search-endpoint", Title: "AZURE_SEARCH_ENDPOINT is a search service's URL", Run: settingsSearch},
		{ID: "settings.index", Title: "AZURE_SEARCH_INDEX is a name that an index can have", Run: settingsIndex},
		{ID: "settings.cache", Title: "REDIS_URL comes with a strong CACHE_SECRET", Run: settingsCache},
		{ID: "settings.agent", Title: "the web agent has a registration of its own and its secret", Unless: []string{"settings.api"}, Run: settingsAgent},
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

const unread = "Like the client commands, the doctor reads a settings file only when it is named: a file in a folder that came from elsewhere could redirect a sign-in."

func settingsFile(_ context.Context, s *check.State) exam.Finding {
	if nothing(s) {
		return nothingSet(s)
	}
	if s.File == "" {
		if s.Unread != "" {
			return exam.Warned(s.Unread+" is here and was not read", unread, "Name the file, if these are the settings that are meant.").By("onbehalf doctor --env " + s.Unread)
		}
		return exam.Good("no file: the settings come from the environment")
	}
	info, err := os.Stat(s.File)
	if err != nil {
		return exam.Failed(err.Error(), "The settings file cannot be looked at.", "Check the path, and let yourself read it.").By("ls -l " + check.ShellQuote(s.File))
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" {
		return exam.Warned(fmt.Sprintf("%s has mode %04o", s.File, mode), "Other people of this machine may read the secrets in it.", "Make it its owner's alone.").By("chmod 600 " + check.ShellQuote(s.File))
	}
	return exam.Good("%s, readable by its owner alone", s.File)
}

// nothing reports whether there are no settings at all.
func nothing(s *check.State) bool {
	return !slices.ContainsFunc(settingNames(), func(name string) bool { return s.Setting(name) != "" })
}

// nothingSet is told in place of each setting that is missing.
func nothingSet(s *check.State) exam.Finding {
	switch {
	case s.File != "":
		return exam.Failed(s.File+" sets nothing", "None of the settings is in the file, nor in the environment.", "Fill it: NAME=value, a line each. Where nothing is registered yet, \"onbehalf setup entra apply\" writes such a file for a tenant; the command writes one for this machine alone.").By("onbehalf local --write-env .env")
	case s.Unread != "":
		return exam.Failed("nothing is set, and "+s.Unread+" is here and was not read", unread, "Name the file.").By("onbehalf doctor --env " + s.Unread)
	}
	return exam.Failed("nothing is set", "There is no set-up to look at: no setting in the environment, and no file was named.", "Name the file of your settings by --env. Where there is none yet, \"onbehalf setup entra apply\" writes one for a tenant; the command writes one for this machine alone.").By("onbehalf local --write-env .env")
}

// clientAlone reports whether the settings are those of somebody who calls a server and runs none.
func clientAlone(s *check.State) bool {
	servers := append(check.Credentials(), "AZURE_SEARCH_ENDPOINT", "AZURE_SEARCH_INDEX", "AZURE_SEARCH_KEY", "REDIS_URL", "AGENT_CLIENT_ID")
	return (s.Setting("MCP_URL") != "" || s.Setting("WEB_CLIENT_ID") != "") && !slices.ContainsFunc(servers, func(name string) bool { return s.Setting(name) != "" })
}

// notHere is said of what only a server needs, where the settings are a client's.
func notHere() exam.Finding {
	return exam.Skip("not set: these are the settings of a client, and the server has its own", "")
}

// settingNames are the settings that the checks look at.
func settingNames() []string {
	return []string{
		"TENANT_ID", "API_CLIENT_ID", "WEB_CLIENT_ID", "CLIENT_SECRET", "API_APP_ID_URI", "CLIENT_CERTIFICATE_PATH", "AZURE_FEDERATED_TOKEN_FILE", "MANAGED_IDENTITY_CLIENT_ID",
		"AZURE_AUTHORITY_HOST", "GRAPH_ENDPOINT", "AZURE_SEARCH_ENDPOINT", "AZURE_SEARCH_INDEX", "AZURE_SEARCH_KEY", "SEARCH_ADMIN_KEY", "ONBEHALF_CA_FILE", "MCP_URL",
		"REDIS_URL", "CACHE_SECRET", "AGENT_CLIENT_ID", "AGENT_CLIENT_SECRET", "WEB_URL", "HISTORY_KEY",
		"OPENAI_BASE_URL", "OPENAI_API_KEY", "OPENAI_MODEL", "AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI_API_KEY", "AZURE_OPENAI_DEPLOYMENT",
	}
}

func settingsQuotes(_ context.Context, s *check.State) exam.Finding {
	var wrapped, unseen []string
	for _, name := range settingNames() {
		value := s.Setting(name)
		if strings.TrimSpace(value) != value || len(value) > 1 && (value[0] == '"' || value[0] == '\'') && value[len(value)-1] == value[0] {
			wrapped = append(wrapped, name)
		} else if i := strings.IndexFunc(value, hidden); i >= 0 {
			r, _ := utf8.DecodeRuneInString(value[i:])
			unseen = append(unseen, fmt.Sprintf("%s (%U at byte %d)", name, r, i+1))
		}
	}
	switch {
	case len(wrapped) > 0:
		return exam.Failed(strings.Join(wrapped, ", "), "The value itself begins and ends with quotes or blanks: docker run --env-file and Kubernetes keep those that a shell would take away.", "Write NAME=value without quotes.")
	case len(unseen) > 0:
		return exam.Failed(strings.Join(unseen, ", "), "The value holds a character that cannot be seen, such as comes along when text is copied from a page or a document.", "Type the value anew, or copy it by the portal's own button.")
	}
	return exam.Good("none")
}

// hidden reports a character that cannot be seen, or passes for a blank.
func hidden(r rune) bool {
	return r != ' ' && (!unicode.IsGraphic(r) || unicode.IsSpace(r)) || r == utf8.RuneError
}

// badID says what stands where a GUID is wanted.
func badID(value string) (seen, cause string) {
	switch lower := strings.ToLower(value); {
	case value == "":
		return "not set", "The setting is missing."
	case secretive(value):
		return guarded(value), "That looks like a secret or a key, not like an id: are two settings swapped?"
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

// secretive reports whether a value may be a secret that stands in the wrong place: long, and of letters and digits without
// an order.
func secretive(value string) bool {
	return len(value) >= 24 && !isGUID(value) && !strings.ContainsAny(value, "/<> ") && strings.ContainsAny(value, "0123456789") &&
		strings.ContainsFunc(value, unicode.IsLetter) && strings.Count(value, "-") < 3 && strings.Count(value, ".") < 2
}

// guarded shows a value that should be no secret, and is in the wrong place if it is one.
func guarded(value string) string {
	if secretive(value) {
		return fmt.Sprintf("%d characters that are not shown", len(value))
	}
	return fmt.Sprintf("%q", check.Clipped(value))
}

func isGUID(text string) bool {
	_, err := identity.ParseClientID(text)
	return err == nil
}

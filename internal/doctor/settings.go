package doctor

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/url"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/doctor/exam"
)

// Where people find things.
const (
	portalApp    = "Entra admin center > App registrations > the API"
	portalClient = "Entra admin center > App registrations > the public client"
	portalAgent  = "Entra admin center > App registrations > the web agent"
	portalSearch = "Azure portal > the search service"
)

// settingsChecks look at the settings alone.
func settingsChecks() []check {
	return []check{
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

func settingsFile(_ context.Context, s *state) exam.Finding {
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

func settingsQuotes(_ context.Context, s *state) exam.Finding {
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
		return fmt.Sprintf("%q", clipped(value)), "That is the placeholder of an example, not an id."
	case slices.Contains([]string{"common", "organizations", "consumers"}, lower):
		return fmt.Sprintf("%q", value), "The server serves the people of one tenant; \"" + lower + "\" means any."
	case strings.Contains(value, "."):
		return fmt.Sprintf("%q", clipped(value)), "That is a domain name; tokens name the tenant by its id, and the server compares them."
	case strings.HasPrefix(lower, "api://"):
		return fmt.Sprintf("%q", clipped(value)), "That is an App ID URI: the id alone is wanted."
	}
	return fmt.Sprintf("%q", clipped(value)), "That is no id: 32 hexadecimal digits with four hyphens are wanted."
}

func settingsTenant(_ context.Context, s *state) exam.Finding {
	value := s.Setting("TENANT_ID")
	id, err := identity.ParseTenantID(value)
	if seen, cause := badID(value); err != nil || strings.Trim(value, "0-") == "" {
		return exam.Failed(seen, cause, "TENANT_ID: "+portalApp+" > Overview > Directory (tenant) ID, or az account show --query tenantId")
	}
	s.tenant = id
	return exam.Good("%s", id)
}

func settingsAPI(_ context.Context, s *state) exam.Finding {
	value := s.Setting("API_CLIENT_ID")
	id, err := identity.ParseClientID(value)
	if seen, cause := badID(value); err != nil || strings.Trim(value, "0-") == "" {
		return exam.Failed(seen, cause, "API_CLIENT_ID: "+portalApp+" > Overview > Application (client) ID, not the object ID; where nothing is registered yet: onbehalf setup entra apply")
	}
	s.api = id
	return exam.Good("%s", id)
}

func settingsAppIDURI(_ context.Context, s *state) exam.Finding {
	value := s.Setting("API_APP_ID_URI")
	if value == "" {
		s.appIDURI = "api://" + s.api.String()
		return exam.Good("not set: %s", s.appIDURI)
	}
	u, err := url.Parse(value)
	const fix = "API_APP_ID_URI: " + portalApp + " > Expose an API > Application ID URI"
	switch {
	case err != nil || !slices.Contains([]string{"api", "https", "http", "urn"}, u.Scheme):
		return exam.Failed(fmt.Sprintf("%q", clipped(value)), "That is no App ID URI: api://… or https://… is wanted.", fix)
	case strings.HasSuffix(value, "/"):
		return exam.Failed(value, "The slash at the end is not part of an App ID URI: Entra and the server compare letter by letter.", fix)
	case strings.HasSuffix(value, "/execute") || strings.HasSuffix(value, "/.default"):
		return exam.Failed(value, "That is a scope: the App ID URI is what stands before its last slash.", fix)
	case u.Scheme == "api" && isGUID(u.Host) && !strings.EqualFold(u.Host, s.api.String()) && u.Path == "":
		return exam.Failed(value, "It names another application than API_CLIENT_ID ("+s.api.String()+").", fix)
	}
	s.appIDURI = value
	return exam.Good("%s", value)
}

func isGUID(text string) bool {
	_, err := identity.ParseClientID(text)
	return err == nil
}

func settingsWebClient(_ context.Context, s *state) exam.Finding {
	const fix = "WEB_CLIENT_ID: " + portalClient + " > Overview > Application (client) ID"
	value := s.Setting("WEB_CLIENT_ID")
	if value == "" {
		return exam.Warned("not set", "\"onbehalf login\" and \"onbehalf call\" do not know as which client they sign people in.", fix)
	}
	id, err := identity.ParseClientID(value)
	if err != nil {
		seen, cause := badID(value)
		return exam.Failed(seen, cause, fix)
	}
	if id == s.api {
		return exam.Failed("the same as API_CLIENT_ID", "The client that signs people in is another registration than the API: a public one, without a secret. With one for both, id tokens pass for access tokens.", "Make a second registration (onbehalf setup entra), and set WEB_CLIENT_ID to its id.")
	}
	s.web = id
	return exam.Good("%s", id)
}

// credentials are the settings that prove that the server is the API, in the order in which the server takes them.
func credentials() []string {
	return []string{"CLIENT_SECRET", "CLIENT_CERTIFICATE_PATH", "AZURE_FEDERATED_TOKEN_FILE", "MANAGED_IDENTITY_CLIENT_ID"}
}

// credential is the setting that the server goes by.
func (s *state) credential() string {
	for _, name := range credentials() {
		if s.Setting(name) != "" {
			return name
		}
	}
	return ""
}

func settingsCredential(_ context.Context, s *state) exam.Finding {
	var set []string
	for _, name := range credentials() {
		if s.Setting(name) != "" {
			set = append(set, name)
		}
	}
	switch len(set) {
	case 0:
		return exam.Failed("none", "The server cannot prove to Entra that it is the API, and gets no tokens on behalf of people.", "Set one of "+strings.Join(credentials(), ", ")+": "+portalApp+" > Certificates & secrets")
	case 1:
		return exam.Good("%s", set[0])
	}
	return exam.Warned(strings.Join(set, ", "), "Several are set; the server goes by "+set[0]+" and never looks at the others.", "Leave one of them.")
}

func settingsSecret(_ context.Context, s *state) exam.Finding {
	return secretShape(s.Setting("CLIENT_SECRET"), "CLIENT_SECRET", portalApp)
}

// secretShape tells a secret's value from its id. Values of Entra's have about 40 characters.
func secretShape(value, name, place string) exam.Finding {
	switch {
	case value == "":
		return exam.Good("not used")
	case isGUID(value):
		return exam.Failed("a GUID", "That is the secret's id; what proves anything is its value, which the portal shows once, right after it was made.", name+": make a new secret at "+place+" > Certificates & secrets, and copy the column Value")
	case len(value) < 16:
		return exam.Failed(fmt.Sprintf("%d characters", len(value)), "Entra's secrets have about 40: this one was cut, or is a placeholder.", name+": make a new secret at "+place+" > Certificates & secrets, and copy the column Value")
	}
	return exam.Good("%d characters", len(value))
}

func settingsCertificate(_ context.Context, s *state) exam.Finding {
	path := s.Setting("CLIENT_CERTIFICATE_PATH")
	if path == "" {
		return exam.Good("not used")
	}
	text, err := readSmall(path)
	if err != nil {
		return exam.Failed(err.Error(), "The server cannot read its certificate.", "CLIENT_CERTIFICATE_PATH: a PEM file with certificate and key, or a PFX file")
	}
	if !strings.Contains(string(text), "-----BEGIN ") {
		return exam.Good("%s, no PEM: taken for PFX and not opened here", path)
	}
	pair, err := tls.X509KeyPair(text, text)
	if err != nil {
		return exam.Failed(path, "It holds no certificate with its key: "+strings.TrimPrefix(err.Error(), "tls: ")+".", "Put both into one file: cat cert.pem key.pem > both.pem; the key without a password")
	}
	return expiry(pair.Leaf.NotAfter, s, "the certificate in "+path, "Make a new one, upload it at "+portalApp+" > Certificates & secrets, and replace the file: the server notices.")
}

// expiry judges how long something is still good.
func expiry(end time.Time, s *state, what, fix string) exam.Finding {
	seen := fmt.Sprintf("%s is good until %s", what, end.UTC().Format(time.DateOnly))
	switch left := end.Sub(s.Now()); {
	case left <= 0:
		return exam.Failed(fmt.Sprintf("%s expired on %s", what, end.UTC().Format(time.DateOnly)), "Entra no longer accepts it.", fix)
	case left < s.LooksFor:
		return exam.Warned(seen, fmt.Sprintf("That is %d days from now.", int(left.Hours()/24)), fix)
	}
	return exam.Good("%s", seen)
}

func settingsAuthority(_ context.Context, s *state) exam.Finding {
	cloud, err := s.Cloud()
	if err != nil {
		return exam.Failed(firstLine(err), "The server would not start: whoever names the authority decides who is who.", "AZURE_AUTHORITY_HOST: leave it out for the public cloud, https://login.microsoftonline.us/ and the like for another, ONBEHALF_LOCAL=1 beside a local Entra")
	}
	s.cloud = cloud
	if _, err = entra.CloudOf(cloud.Authority); err == nil && s.Setting("ONBEHALF_LOCAL") == "1" {
		return exam.Warned("ONBEHALF_LOCAL=1 and "+cloud.Authority, "The setting says that a local Entra is meant, the authority is Microsoft's.", "Remove ONBEHALF_LOCAL.")
	}
	return exam.Good("%s", cloud.Authority)
}

func settingsGraph(_ context.Context, s *state) exam.Finding {
	value := strings.TrimSuffix(s.Setting("GRAPH_ENDPOINT"), "/")
	own, err := entra.CloudOf(s.cloud.Authority)
	microsoft := err == nil
	known := slices.ContainsFunc(entra.Clouds(), func(c entra.Cloud) bool { return c.Graph == value })
	if value != "" && (microsoft && value != own.Graph || !microsoft && known) {
		return exam.Failed(value, "It is not the Graph of "+s.cloud.Authority+", whose tokens it would refuse.", "GRAPH_ENDPOINT: leave it out, or set "+own.Graph)
	}
	return exam.Good("%s", s.cloud.Graph)
}

// maxFile bounds what is read of a file that a setting names.
const maxFile = 1 << 20

func readSmall(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxFile {
		return nil, fmt.Errorf("%s: larger than %d bytes", path, maxFile)
	}
	return os.ReadFile(path) //nolint:gosec // a file that the settings name
}

// clipped bounds a foreign text and keeps it on one line.
func clipped(text string) string {
	const most = 160
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return strings.Join(strings.Fields(text), " ")
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return clipped(line)
}

func plural[N int | int64](n N, one, many string) string {
	if n == 1 {
		many = one
	}
	return fmt.Sprintf("%d %s", n, many)
}

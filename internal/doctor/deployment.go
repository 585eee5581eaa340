package doctor

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/doctor/exam"
)

func settingsCA(_ context.Context, s *state) exam.Finding {
	path := s.Setting("ONBEHALF_CA_FILE")
	if path == "" {
		return exam.Good("not set: the system's authorities")
	}
	const fix = "ONBEHALF_CA_FILE: what \"onbehalf local --write-env FILE\" wrote, anew at each start; or your proxy's CA as PEM"
	text, err := readSmall(path)
	if err != nil {
		return exam.Failed(err.Error(), "The file with the CA to trust cannot be read.", fix)
	}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		certificate, err := x509.ParseCertificate(block.Bytes)
		switch {
		case err != nil:
		case s.Now().After(certificate.NotAfter):
			return exam.Failed("expired on "+certificate.NotAfter.UTC().Format(time.DateOnly), "A CA that has expired vouches for nothing.", fix)
		default:
			return exam.Good("%s, good until %s", clipped(certificate.Subject.CommonName), certificate.NotAfter.UTC().Format(time.DateOnly))
		}
	}
	return exam.Failed(path, "It holds no PEM certificate.", fix)
}

// publicURL parses a URL of ours: https, or http on this machine. Otherwise it says what is the matter.
func publicURL(value string) (u *url.URL, cause string) {
	u, err := url.Parse(value)
	switch {
	case err != nil || u.Host == "":
		return nil, "That is no URL."
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, "A name, a password, a query or a fragment is not part of it."
	case u.Scheme == "http" && !onLoopback(u):
		return nil, "Tokens would go over the network in clear; clients refuse http but on their own machine."
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, "Neither https nor http."
	}
	return u, ""
}

// shown is a URL without a password that somebody may have put into it.
func shown(value string) string {
	if u, err := url.Parse(value); err == nil {
		value = u.Redacted()
	}
	return clipped(value)
}

func onLoopback(u *url.URL) bool {
	addr, err := netip.ParseAddr(u.Hostname())
	return strings.EqualFold(u.Hostname(), "localhost") || err == nil && addr.Unmap().IsLoopback()
}

func settingsMCP(_ context.Context, s *state) exam.Finding {
	value := s.Setting("MCP_URL")
	if value == "" {
		value = "http://localhost:8000/mcp"
	}
	u, cause := publicURL(value)
	if cause != "" {
		return exam.Failed(shown(value), cause, "MCP_URL: where clients reach the server, such as https://mcp.contoso.com/mcp")
	}
	s.mcp = u
	return exam.Good("%s", u)
}

func settingsSearch(_ context.Context, s *state) exam.Finding {
	const fix = "AZURE_SEARCH_ENDPOINT: " + portalSearch + " > Overview > Url, as in https://NAME.search.windows.net"
	value := s.Setting("AZURE_SEARCH_ENDPOINT")
	u, err := url.Parse(value)
	switch {
	case value == "":
		return exam.Failed("not set", "The setting is missing.", fix)
	case err != nil || u.Host == "" || u.User != nil:
		return exam.Failed(shown(value), "That is no URL of a service.", fix)
	case u.Scheme != "https":
		return exam.Failed(value, "Keys and tokens go over https alone.", fix)
	case strings.Contains(u.Host, "portal.azure."):
		return exam.Failed(value, "That is the portal's address of the service, not the service's own.", fix)
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		return exam.Failed(value, "The service's URL has no path and no query; the index has a setting of its own, AZURE_SEARCH_INDEX.", fix)
	}
	s.service = "https://" + u.Host
	return exam.Good("%s", s.service)
}

// indexName is what an index may be called.
//
// https://learn.microsoft.com/rest/api/searchservice/naming-rules
var indexName = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9-]{0,126}[a-z0-9])?$`)

func settingsIndex(_ context.Context, s *state) exam.Finding {
	value := s.Setting("AZURE_SEARCH_INDEX")
	const fix = "AZURE_SEARCH_INDEX: " + portalSearch + " > Search management > Indexes"
	if value == "" {
		return exam.Failed("not set", "The setting is missing.", fix)
	}
	if !indexName.MatchString(value) || len(value) < 2 || strings.Contains(value, "--") {
		return exam.Failed(fmt.Sprintf("%q", clipped(value)), "No index can be called so: 2 to 128 lower-case letters, digits and single hyphens.", fix)
	}
	s.index = value
	return exam.Good("%s", value)
}

func settingsCache(_ context.Context, s *state) exam.Finding {
	address, secret := s.Setting("REDIS_URL"), s.Setting("CACHE_SECRET")
	u, err := url.Parse(address)
	const fix = "CACHE_SECRET: at least 32 random characters, the same for all replicas: openssl rand -base64 36"
	switch {
	case address == "" && secret == "":
		return exam.Good("not used: each server has a cache of its own")
	case address != "" && (err != nil || u.Host == "" || u.Scheme != "redis" && u.Scheme != "rediss"):
		return exam.Failed("REDIS_URL", "That is no address of a Redis.", "REDIS_URL: rediss://[:PASSWORD@]HOST:PORT")
	case address != "" && secret == "":
		return exam.Failed("REDIS_URL without CACHE_SECRET", "Tokens in a shared cache are sealed with CACHE_SECRET; without it the server does not start.", fix)
	}
	for part := range strings.SplitSeq(secret, ",") {
		if cause := weak(strings.TrimSpace(part)); cause != "" {
			return exam.Failed("CACHE_SECRET", cause, fix)
		}
	}
	if address != "" && u.Scheme == "redis" && !onLoopback(u) {
		return exam.Warned("redis:// to "+u.Host, "The password of the cache goes over the network in clear; the tokens in it are sealed.", "REDIS_URL: use rediss://")
	}
	return exam.Good("set")
}

// weak says why a secret is none, or "".
func weak(secret string) string {
	distinct := map[rune]bool{}
	for _, r := range secret {
		distinct[r] = true
	}
	switch {
	case len(secret) < 32:
		return fmt.Sprintf("It has %d characters; the server wants at least 32.", len(secret))
	case len(distinct) < 10:
		return fmt.Sprintf("It is made of %d different characters: that is no random text.", len(distinct))
	}
	return ""
}

func settingsAgent(_ context.Context, s *state) exam.Finding {
	id, secret := s.Setting("AGENT_CLIENT_ID"), s.Setting("AGENT_CLIENT_SECRET")
	const fix = portalAgent + " > Overview > Application (client) ID, and > Certificates & secrets"
	switch {
	case id == "" && secret == "":
		return exam.Good("not used: no web agent is set up")
	case id == "" || secret == "":
		return exam.Failed("one of AGENT_CLIENT_ID and AGENT_CLIENT_SECRET", "The web agent needs both: it is a confidential client.", "AGENT_CLIENT_ID, AGENT_CLIENT_SECRET: "+fix)
	}
	client, err := identity.ParseClientID(id)
	if err != nil {
		seen, cause := badID(id)
		return exam.Failed(seen, cause, "AGENT_CLIENT_ID: "+fix)
	}
	if client == s.api || id == s.Setting("WEB_CLIENT_ID") {
		return exam.Failed("AGENT_CLIENT_ID is that of the API or of the public client", "The web agent is a registration of its own: confidential, with redirect URIs.", "AGENT_CLIENT_ID: "+fix)
	}
	if bad := secretShape(secret, "AGENT_CLIENT_SECRET", portalAgent); bad.Verdict != exam.OK {
		return bad
	}
	s.agent = client
	return exam.Good("%s", client)
}

func settingsWebURL(_ context.Context, s *state) exam.Finding {
	value := s.Setting("WEB_URL")
	if value == "" {
		value = "http://localhost:8080"
	}
	u, cause := publicURL(value)
	if cause != "" {
		return exam.Failed(shown(value), cause, "WEB_URL: where browsers reach the web agent, such as https://agent.contoso.com")
	}
	s.webURL = u
	return exam.Good("%s", u)
}

func settingsHistoryKey(_ context.Context, s *state) exam.Finding {
	value := s.Setting("HISTORY_KEY")
	if value == "" {
		return exam.Good("not used: conversations end with the process")
	}
	for part := range strings.SplitSeq(value, ",") {
		if cause := weak(strings.TrimSpace(part)); cause != "" {
			return exam.Failed("HISTORY_KEY", cause, "HISTORY_KEY: at least 32 random characters: openssl rand -base64 36")
		}
	}
	return exam.Good("set")
}

func settingsModel(_ context.Context, s *state) exam.Finding {
	set := func(name string) bool { return s.Setting(name) != "" }
	azure, openAI := set("AZURE_OPENAI_ENDPOINT"), set("OPENAI_BASE_URL") || set("OPENAI_API_KEY")
	const fix = "OPENAI_BASE_URL, OPENAI_API_KEY and OPENAI_MODEL, or the AZURE_OPENAI_ names"
	switch {
	case azure && openAI:
		return exam.Warned("AZURE_OPENAI_ENDPOINT beside OPENAI_…", "Two models are named.", "Leave one: "+fix)
	case azure && !set("AZURE_OPENAI_DEPLOYMENT"):
		return exam.Failed("AZURE_OPENAI_DEPLOYMENT is missing", "Azure OpenAI names a model by its deployment.", fix)
	case openAI && !set("OPENAI_MODEL"):
		return exam.Failed("OPENAI_MODEL is missing", "Without it nobody knows which model is asked.", fix)
	case set("OPENAI_BASE_URL"):
		if _, cause := publicURL(s.Setting("OPENAI_BASE_URL")); cause != "" {
			return exam.Failed("OPENAI_BASE_URL", cause, fix)
		}
	case !azure && !openAI:
		return exam.Good("none: the built-in stand-in answers, and says that it is one")
	}
	return exam.Good("set")
}

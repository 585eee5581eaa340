package settings

import (
	"context"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"github.com/onbehalf/onbehalf/internal/doctor/check"
	"github.com/onbehalf/onbehalf/internal/doctor/exam"
)

// publicURL parses a URL of ours: https, or http on this machine. Otherwise it says what is the matter.
func publicURL(value string) (u *url.URL, cause string) {
	u, err := url.Parse(value)
	switch {
	case err != nil || u.Host == "":
		return nil, "That is no URL."
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, "A name, a password, a query or a fragment is not part of it."
	case u.Scheme == "http" && !check.OnLoopback(u):
		return nil, "Tokens would go over the network in clear; clients refuse http but on their own machine."
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, "Neither https nor http."
	}
	return u, ""
}

// shown is a URL without a password that somebody may have put into it.
func shown(value string) string {
	if secretive(value) {
		return guarded(value)
	}
	if u, err := url.Parse(value); err == nil {
		value = u.Redacted()
	}
	return check.Clipped(value)
}

func settingsMCP(_ context.Context, s *check.State) exam.Finding {
	value := s.Setting("MCP_URL")
	if value == "" {
		value = "http://localhost:8000/mcp"
	}
	u, cause := publicURL(value)
	if cause != "" {
		return exam.Failed(shown(value), cause, "MCP_URL: where clients reach the server, such as https://mcp.contoso.com/mcp")
	}
	s.MCP = u
	return exam.Good("%s", u)
}

func settingsSearch(_ context.Context, s *check.State) exam.Finding {
	const fix = "AZURE_SEARCH_ENDPOINT: " + check.PortalSearch + " > Overview > Url, as in https://NAME.search.windows.net"
	value := s.Setting("AZURE_SEARCH_ENDPOINT")
	u, err := url.Parse(value)
	switch {
	case value == "" && clientAlone(s):
		return notHere()
	case value == "":
		return exam.Failed("not set", "The setting is missing.", fix)
	case err != nil || u.Host == "" || u.User != nil:
		return exam.Failed(shown(value), "That is no URL of a service.", fix)
	case u.Scheme != "https":
		return exam.Failed(shown(value), "Keys and tokens go over https alone.", fix)
	case strings.Contains(u.Host, "portal.azure."):
		return exam.Failed(shown(value), "That is the portal's address of the service, not the service's own.", fix)
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		return exam.Failed(shown(value), "The service's URL has no path and no query; the index has a setting of its own, AZURE_SEARCH_INDEX.", fix)
	}
	s.Service = "https://" + u.Host
	return exam.Good("%s", s.Service)
}

// indexName is what an index may be called.
//
// https://learn.microsoft.com/rest/api/searchservice/naming-rules
var indexName = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9-]{0,126}[a-z0-9])?$`)

func settingsIndex(_ context.Context, s *check.State) exam.Finding {
	value := s.Setting("AZURE_SEARCH_INDEX")
	const fix = "AZURE_SEARCH_INDEX: " + check.PortalSearch + " > Search management > Indexes"
	if value == "" && clientAlone(s) {
		return notHere()
	}
	if value == "" {
		return exam.Failed("not set", "The setting is missing.", fix)
	}
	if !indexName.MatchString(value) || len(value) < 2 || strings.Contains(value, "--") {
		return exam.Failed(guarded(value), "No index can be called so: 2 to 128 lower-case letters, digits and single hyphens.", fix)
	}
	s.Index = value
	return exam.Good("%s", value)
}

func settingsCache(_ context.Context, s *check.State) exam.Finding {
	address, secret := s.Setting("REDIS_URL"), s.Setting("CACHE_SECRET")
	u, err := url.Parse(address)
	const fix = "CACHE_SECRET: at least 32 random characters, the same for all replicas."
	switch {
	case address == "" && secret == "":
		return exam.Good("not used: each server has a cache of its own")
	case address != "" && (err != nil || u.Host == "" || u.Scheme != "redis" && u.Scheme != "rediss"):
		return exam.Failed("REDIS_URL", "That is no address of a Redis.", "REDIS_URL: rediss://[:PASSWORD@]HOST:PORT")
	case address != "" && secret == "":
		return exam.Failed("REDIS_URL without CACHE_SECRET", "Tokens in a shared cache are sealed with CACHE_SECRET; without it the server does not start.", fix).By(check.RandomKey)
	}
	for part := range strings.SplitSeq(secret, ",") {
		if cause := weak(strings.TrimSpace(part)); cause != "" {
			return exam.Failed("CACHE_SECRET", cause, fix).By(check.RandomKey)
		}
	}
	if address != "" && u.Scheme == "redis" && !check.OnLoopback(u) {
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

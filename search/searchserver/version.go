package searchserver

import (
	"net/http"
	"slices"
	"strings"

	"github.com/onbehalf/onbehalf/search"
)

// apiVersion is one of the service's, in lower case: clients write "-Preview" too. Versions order as text.
type apiVersion string

// The versions from which on something exists.
const (
	firstPermissions  = "2025-05-01-preview" // permissionFilter, x-ms-query-source-authorization
	firstElevatedRead = "2025-11-01-preview" // x-ms-enable-elevated-read
)

// versions returns those that are served.
//
// https://learn.microsoft.com/rest/api/searchservice/search-service-api-versions
func versions() []apiVersion {
	return []apiVersion{
		"2020-06-30", "2023-11-01", "2024-07-01", "2025-09-01", "2026-04-01",
		"2025-05-01-preview", "2025-08-01-preview", "2025-11-01-preview", "2026-05-01-preview", "2026-08-01-preview",
	}
}

// parseVersion reads the query parameter. The service's texts are not on record; these are ours.
func parseVersion(values []string) (apiVersion, error) {
	if len(values) == 0 || values[0] == "" {
		return "", badRequest("MissingApiVersionParameter", "The api-version query parameter (?api-version=) is required for all requests.")
	}
	version := apiVersion(strings.ToLower(values[0]))
	if len(values) > 1 || !slices.Contains(versions(), version) {
		return "", badRequest("InvalidApiVersionParameter", "The api-version '"+clip(values[0])+"' is invalid. The supported versions are '"+joinVersions()+"'.")
	}
	return version, nil
}

func joinVersions() string {
	var names []string
	for _, version := range versions() {
		names = append(names, string(version))
	}
	return strings.Join(names, ",")
}

// preview reports whether the version knows document permissions; those in general availability do not.
func (v apiVersion) preview() bool { return strings.HasSuffix(string(v), "-preview") }

// atLeast reports whether the version is a preview not older than the given one.
func (v apiVersion) atLeast(first string) bool { return v.preview() && string(v) >= first }

func badRequest(code, message string) error {
	return &search.Error{Status: http.StatusBadRequest, Code: code, Message: message}
}

// clip bounds a text of the caller's that an error repeats.
func clip(s string) string {
	const most = 200
	if len(s) > most {
		s = s[:most] + "…"
	}
	return strings.ToValidUTF8(s, "�")
}

// Package searchservice makes an Azure AI Search service ready: it takes tokens of Entra ID beside its keys, and the
// server's identity may read its indexes. It works by the management plane, Azure Resource Manager; the index itself is
// made by others.
//
// There is no local Azure Resource Manager. The tests run against answers written from Microsoft's documentation and
// examples (azure-rest-api-specs, specification/search and specification/authorization): nothing here has met the real one.
package searchservice

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/onbehalf/onbehalf/entra"
)

// Service is a search service as the management plane shows it.
//
// https://learn.microsoft.com/rest/api/searchmanagement/services/get
type Service struct {
	ID         string     `json:"id"` // "/subscriptions/…/resourceGroups/…/providers/Microsoft.Search/searchServices/NAME"
	Name       string     `json:"name"`
	Properties Properties `json:"properties"`
}

// Properties are those that matter here.
type Properties struct {
	Endpoint            string       `json:"endpoint"`
	DisableLocalAuth    bool         `json:"disableLocalAuth"` // no keys: tokens alone
	AuthOptions         *AuthOptions `json:"authOptions"`
	PublicNetworkAccess string       `json:"publicNetworkAccess"`
}

// AuthOptions say what a service takes; one of the two is set, none when keys are off.
type AuthOptions struct {
	APIKeyOnly  *struct{}    `json:"apiKeyOnly,omitempty"`
	AadOrAPIKey *AadOrAPIKey `json:"aadOrApiKey,omitempty"`
}

// AadOrAPIKey takes tokens and keys.
type AadOrAPIKey struct {
	AadAuthFailureMode string `json:"aadAuthFailureMode,omitempty"` // "http401WithBearerChallenge" or "http403"
}

// TakesTokens reports whether the service takes tokens of Entra ID.
func (s *Service) TakesTokens() bool {
	return s.Properties.DisableLocalAuth || s.Properties.AuthOptions != nil && s.Properties.AuthOptions.AadOrAPIKey != nil
}

// URL returns where the service answers, without a trailing slash.
func (s *Service) URL(cloud entra.Cloud) string {
	if s.Properties.Endpoint != "" {
		return strings.TrimSuffix(s.Properties.Endpoint, "/")
	}
	suffix := map[string]string{"usgovernment": "search.azure.us", "china": "search.azure.cn"}[cloud.Name]
	return "https://" + s.Name + "." + cmp.Or(suffix, "search.windows.net")
}

// checkID refuses an id that is not a search service's: it goes into addresses and scripts.
func checkID(id string) error {
	form := `(?i)^/subscriptions/[0-9a-f-]{36}/resourceGroups/[\pL\pN_.()-]{1,90}/providers/Microsoft\.Search/searchServices/[a-z0-9-]{2,60}$`
	if !regexp.MustCompile(form).MatchString(id) {
		return fmt.Errorf("%q is not the resource id of a search service", id)
	}
	return nil
}

// CheckName refuses what is no name of a search service.
//
// https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules#microsoftsearch
func CheckName(name string) error {
	if !regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,58}[a-z0-9]$`).MatchString(name) {
		return fmt.Errorf("%q is no name of a search service: want 2 to 60 lower-case letters, digits and hyphens", name)
	}
	return nil
}

// ResourceID joins the parts of a search service's id.
func ResourceID(subscription, group, name string) (string, error) {
	id := "/subscriptions/" + subscription + "/resourceGroups/" + group + "/providers/Microsoft.Search/searchServices/" + name
	return id, checkID(id)
}

// Get reads a service by its id.
func Get(ctx context.Context, c *Client, id string) (*Service, error) {
	if err := checkID(id); err != nil {
		return nil, err
	}
	var s Service
	if err := c.call(ctx, http.MethodGet, id, url.Values{"api-version": {searchVersion}}, nil, &s); err != nil {
		return nil, fmt.Errorf("read the search service: %w", err)
	}
	return &s, checkID(s.ID)
}

// Find looks for a service by its name, which is unique in the world, in one subscription or in all that the sign-in sees.
func Find(ctx context.Context, c *Client, name, subscription string) (*Service, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	subscriptions := []string{subscription}
	if subscription == "" {
		type item struct {
			ID string `json:"subscriptionId"`
		}
		all, err := list[item](ctx, c, "/subscriptions", url.Values{"api-version": {subscriptionsVersion}})
		if err != nil {
			return nil, fmt.Errorf("look for subscriptions: %w", err)
		}
		subscriptions = nil
		for _, one := range all {
			subscriptions = append(subscriptions, one.ID)
		}
	}
	var unread error
	for _, id := range subscriptions {
		services, err := list[Service](ctx, c, "/subscriptions/"+url.PathEscape(id)+"/providers/Microsoft.Search/searchServices", url.Values{"api-version": {searchVersion}})
		if err != nil {
			unread = errors.Join(unread, fmt.Errorf("look for search services in %s: %w", id, err))
			continue
		}
		for i := range services {
			if strings.EqualFold(services[i].Name, name) {
				return &services[i], checkID(services[i].ID)
			}
		}
	}
	return nil, errors.Join(fmt.Errorf("the search service %s is in none of the %d subscriptions of this sign-in: %w", name, len(subscriptions), ErrNotFound), unread)
}

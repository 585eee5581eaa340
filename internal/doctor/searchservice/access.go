// Package searchservice checks the search service: whether the server gets in, whether it has more rights than it needs,
// and whether the index keeps people out.
//
// https://learn.microsoft.com/azure/search/search-query-access-control-rbac-enforcement
package searchservice

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/doctor/check"
	"github.com/onbehalf/onbehalf/internal/doctor/exam"
	"github.com/onbehalf/onbehalf/internal/doctor/explain"
	"github.com/onbehalf/onbehalf/search"
	"github.com/onbehalf/onbehalf/search/searchclient"
)

// Checks returns the checks of this area.
func Checks(shared *check.State) []check.Check {
	all := searchChecks()
	if shared.Setting != nil && shared.Setting("AZURE_SEARCH_KEY") != "" { // then the server's identity is not asked
		all[0].Unless = slices.DeleteFunc(all[0].Unless, func(id string) bool { return id == "credential.api" })
	}
	return check.Bind(&state{State: shared}, all)
}

// areaCheck is one of this area's.
type areaCheck = exam.Check[*state]

// state is what these checks find out for one another, beside what all share.
type state struct {
	*check.State

	searched    search.Index       // search.access: as the server
	public      *search.Result     // search.access: the answer without a person
	publicErr   error              // search.access: what was said instead
	publicCount int64              // search.public
	definition  *search.Definition // search.definition
}

func searchChecks() []areaCheck {
	definition, permissions := []string{"search.definition"}, []string{"search.permissions"}
	return []areaCheck{
		{
			ID: "search.access", Title: "the server's key or role lets it search", Needs: []string{"network.search", "settings.index", "settings.authority"},
			Unless: []string{"settings.quotes", "credential.api"}, Run: searchAccess,
		},
		{ID: "search.version", Title: "the service knows the API version that has permissions", Needs: []string{"search.access"}, Run: searchVersion},
		{ID: "search.index", Title: "the index exists", Needs: []string{"search.version"}, Run: searchIndex},
		{ID: "search.public", Title: "a query without a person is answered", Needs: []string{"search.index"}, Run: searchPublic},
		{ID: "search.least", Title: "the server holds no more rights than reading", Needs: []string{"search.index"}, Run: searchLeast},
		{ID: "search.definition", Title: "the index's definition can be looked at", Needs: []string{"search.index"}, Run: searchDefinition},
		{ID: "search.permissions", Title: "the index enforces permissions", Needs: definition, Run: searchPermissions},
		{ID: "search.acl-fields", Title: "fields say who may read a document", Needs: permissions, Run: searchFields},
		{ID: "search.acl-types", Title: "these fields have the types that permissions need", Needs: []string{"search.acl-fields"}, Run: searchTypes},
		{ID: "search.acl-searchable", Title: "nobody finds documents by who may read them", Needs: []string{"search.acl-fields"}, Run: searchSearchable},
		{ID: "search.acl-retrievable", Title: "answers do not say who else may read", Needs: []string{"search.acl-fields"}, Run: searchRetrievable},
		{ID: "search.acl-names", Title: "the server lets nobody filter by these fields", Needs: []string{"search.acl-fields"}, Run: searchNames},
		{ID: "search.person", Title: "a query with the person's token is answered with what she may see", Needs: []string{"search.public", "exchange.search"}, Unless: []string{"search.permissions", "search.acl-fields"}, Run: searchPerson},
	}
}

// searchAs returns a client with a key, or, without one, with the server's identity.
func (s *state) searchAs(key string) (*searchclient.Client, error) {
	cfg := searchclient.Config{Endpoint: s.Service, Cloud: s.Cloud, HTTPClient: s.HTTPClient, MaxRetries: -1, Now: s.Now, Key: identity.NewSecret(key)}
	if key == "" {
		credential, err := s.searchCredential()
		if err != nil {
			return nil, err
		}
		cfg.Credential = credential
	}
	return searchclient.New(cfg)
}

var errNoIdentity = errors.New("neither AZURE_SEARCH_KEY nor an identity of the server is set")

func (s *state) searchCredential() (azcore.TokenCredential, error) {
	if s.SearchCredential == nil {
		return nil, errNoIdentity
	}
	return s.SearchCredential()
}

// role is the command that gives the server's identity a role at the search service, or takes it away.
func (s *state) role(do, name string) string {
	host, _, _ := strings.Cut(strings.TrimPrefix(s.Service, "https://"), ".") // NAME.search.windows.net
	return "az role assignment " + do + " --role " + check.ShellQuote(name) + " --assignee " + s.API.String() +
		` --scope "$(az resource list --resource-type Microsoft.Search/searchServices --name ` + check.ShellQuote(host) + ` --query '[0].id' --output tsv)"`
}

// searchAccess asks once without a person; what the service says is judged here and in the checks that follow.
func searchAccess(ctx context.Context, s *state) exam.Finding {
	key := s.Setting("AZURE_SEARCH_KEY")
	client, err := s.searchAs(key)
	if err != nil {
		return exam.Failed(check.FirstLine(err), "The server has nothing to show to the search service.", "AZURE_SEARCH_KEY: "+check.PortalSearch+" > Settings > Keys > Manage query keys; or leave it out and give the server's identity the role Search Index Data Reader")
	}
	s.searched = client.Index(s.Index)
	s.public, s.publicErr = s.searched.Search(ctx, search.DangerouslyPublicOnly(), &search.Query{Top: new(0), Count: true})
	switch err = s.publicErr; {
	case err == nil, errors.Is(err, search.ErrNotFound), errors.Is(err, search.ErrBadRequest):
	case errors.Is(err, search.ErrForbidden) && key != "":
		return exam.Failed("HTTP 403 with AZURE_SEARCH_KEY", "The key is not one of this service's, or the service takes no keys.", "AZURE_SEARCH_KEY: "+check.PortalSearch+" > Settings > Keys > Manage query keys; keys are taken with API access control API keys or Both")
	case errors.Is(err, search.ErrForbidden):
		return exam.Failed("HTTP 403 as "+s.SearchAs, "The identity has no role at the service, since less than some minutes, or the service takes keys alone.", "Give the identity the role Search Index Data Reader, and at "+check.PortalSearch+" > Settings > Keys set API access control to Both. It takes some minutes to count.").By(s.role("create", "Search Index Data Reader"))
	case errors.Is(err, search.ErrUnauthorized):
		return exam.Failed("HTTP 401", "The service does not take the server's token: it takes keys alone, or belongs to another tenant.", check.PortalSearch+" > Settings > Keys > API access control: Both, or set AZURE_SEARCH_KEY")
	case errors.Is(err, search.ErrThrottled), errors.Is(err, search.ErrUnavailable):
		// the query itself failed: search.public says so
	default:
		return notAsked(err)
	}
	if key == "" {
		return exam.Good("as %s", s.SearchAs)
	}
	return exam.Good("with AZURE_SEARCH_KEY")
}

// notAsked is for what goes wrong before the service is asked: above all, that Entra gives the server's identity no token.
// Microsoft's library wraps Entra's answer in a text of its own.
func notAsked(err error) exam.Finding {
	const fix = "Check AZURE_SEARCH_ENDPOINT and the server's credential."
	if found := explain.Error(err.Error()).Findings; len(found) > 0 {
		seen := found[0].Name
		if found[0].AADSTS != 0 {
			seen = "AADSTS" + strconv.Itoa(found[0].AADSTS)
		}
		return exam.Failed(seen, found[0].Cause, found[0].Fix)
	}
	return exam.Failed(check.Reason(err), "The search service was not asked.", fix)
}

func searchVersion(_ context.Context, s *state) exam.Finding {
	var refused *search.Error
	if errors.As(s.publicErr, &refused) && errors.Is(refused, search.ErrBadRequest) && strings.Contains(strings.ToLower(refused.Code+refused.Message), "api-version") {
		return exam.Failed(check.Clipped(refused.Message), "Permissions exist in preview versions of the API alone, and this service does not know the one that is used.", "Check whether the service's region and cloud have the preview "+searchclient.DefaultAPIVersion+".")
	}
	return exam.Good("%s", searchclient.DefaultAPIVersion)
}

func searchIndex(_ context.Context, s *state) exam.Finding {
	if errors.Is(s.publicErr, search.ErrNotFound) {
		return exam.Failed(s.Index+" is not there", "The service has no index with this name.", "AZURE_SEARCH_INDEX: "+check.PortalSearch+" > Search management > Indexes; or make it, by the command.").By(s.Onbehalf("setup index apply"))
	}
	return exam.Good("%s", s.Index)
}

func searchPublic(_ context.Context, s *state) exam.Finding {
	if s.publicErr != nil {
		return exam.Failed(check.Clipped(s.publicErr.Error()), "The service did not answer a plain query.", check.PortalSearch+" > Monitoring; a service that is out of replicas or storage answers so")
	}
	s.publicCount = count(s.public)
	return exam.Good("%s open to everybody", check.Plural(s.publicCount, "document is", "documents are"))
}

func count(r *search.Result) int64 {
	if r.Count == nil {
		return int64(len(r.Hits))
	}
	return *r.Count
}

// searchLeast looks for rights that a server of readers does not need. An admin key reads definitions; who may write is
// told by how the service refuses a batch without a single action: 403 without the right, else 400. Nothing is written.
func searchLeast(ctx context.Context, s *state) exam.Finding {
	const roleFix = "Take the role Search Index Data Contributor from it, and give it Search Index Data Reader in its place."
	if key := s.Setting("AZURE_SEARCH_KEY"); key != "" {
		client, err := s.searchAs(key)
		if err == nil {
			_, err = client.Definition(ctx, s.Index)
		}
		if err == nil {
			return exam.Warned("AZURE_SEARCH_KEY is an admin key", "Whoever gets hold of it can change and delete every index and read every document past its permissions.", "AZURE_SEARCH_KEY: a query key ("+check.PortalSearch+" > Settings > Keys > Manage query keys), or none and the role Search Index Data Reader")
		}
		return exam.Good("AZURE_SEARCH_KEY is a query key")
	}
	status, err := s.emptyBatch(ctx)
	switch {
	case err != nil:
		return exam.Skip(check.Reason(err), "")
	case status != http.StatusForbidden && status != http.StatusUnauthorized:
		return exam.Warned(fmt.Sprintf("%s may write documents (HTTP %d)", s.SearchAs, status), "With Search Index Data Contributor a server that was broken into changes documents, and reads them past their permissions.", roleFix).By(s.role("create", "Search Index Data Reader") + " && " + s.role("delete", "Search Index Data Contributor"))
	}
	return exam.Good("%s may not write", s.SearchAs)
}

func (s *state) emptyBatch(ctx context.Context) (int, error) {
	credential, err := s.searchCredential()
	if err != nil {
		return 0, err
	}
	token, err := credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{s.Cloud.SearchScope().String()}})
	if err != nil {
		return 0, err
	}
	address := s.Service + "/indexes('" + s.Index + "')/docs/search.index?api-version=" + searchclient.DefaultAPIVersion
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(`{"value":[]}`))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+token.Token)
	got, err := s.Send(s.HTTPClient, req)
	if err != nil {
		return 0, err
	}
	return got.Status, nil
}

func searchPerson(ctx context.Context, s *state) exam.Finding {
	got, err := s.searched.Search(ctx, search.ByToken{Token: s.SearchToken}, &search.Query{Top: new(0), Count: true})
	var bad *searchclient.TokenError
	switch {
	case errors.As(err, &bad):
		return exam.Failed(bad.Reason, check.Clipped(bad.Error())+".", "Report this: the exchange asked for "+s.Cloud.SearchScope().String()+".")
	case errors.Is(err, search.ErrUnauthorized), errors.Is(err, search.ErrForbidden), errors.Is(err, search.ErrBadRequest):
		return exam.Failed(check.Clipped(err.Error()), "The service refuses the person's token: it belongs to another tenant, or its audience is not one that the service takes.", check.PortalSearch+" > Settings > Keys > API access control: Both; the service's subscription has to be in the tenant "+s.Tenant.String())
	case err != nil:
		return exam.Failed(check.Clipped(err.Error()), "The service could not establish what the person may see; it then shows nothing at all.", "Try again: it asks Microsoft Graph for the person's groups.")
	}
	seen := count(got)
	if seen <= s.publicCount {
		return exam.Warned(fmt.Sprintf("%s, %d of them open to everybody", check.Plural(seen, "document", "documents"), s.publicCount), "No document names the person or one of her groups: there is none for her, or the permission fields hold names where object ids belong.", "Compare the documents' permission fields with the object id "+s.Caller.Object.String()+" and the object ids of her groups; the command lists who may read what.").By(s.Onbehalf("index pull-acl"))
	}
	return exam.Good("%s, %d of them open to everybody", check.Plural(seen, "document", "documents"), s.publicCount)
}

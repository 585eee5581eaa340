package doctor

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
	"github.com/onbehalf/onbehalf/internal/doctor/exam"
	"github.com/onbehalf/onbehalf/internal/doctor/explain"
	"github.com/onbehalf/onbehalf/search"
	"github.com/onbehalf/onbehalf/search/searchclient"
)

// searchChecks look at the search service: whether the server gets in, whether it has more rights than it needs, and
// whether the index keeps people out.
//
// https://learn.microsoft.com/azure/search/search-query-access-control-rbac-enforcement
func searchChecks() []check {
	definition, permissions := []string{"search.definition"}, []string{"search.permissions"}
	return []check{
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
	cfg := searchclient.Config{Endpoint: s.service, Cloud: s.cloud, HTTPClient: s.HTTPClient, MaxRetries: -1, Now: s.Now, Key: identity.NewSecret(key)}
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

// searchAccess asks once without a person; what the service says is judged here and in the checks that follow.
func searchAccess(ctx context.Context, s *state) exam.Finding {
	key := s.Setting("AZURE_SEARCH_KEY")
	client, err := s.searchAs(key)
	if err != nil {
		return exam.Failed(firstLine(err), "The server has nothing to show to the search service.", "AZURE_SEARCH_KEY: "+portalSearch+" > Settings > Keys > Manage query keys; or leave it out and give the server's identity the role Search Index Data Reader")
	}
	s.searched = client.Index(s.index)
	s.public, s.publicErr = s.searched.Search(ctx, search.DangerouslyPublicOnly(), &search.Query{Top: new(0), Count: true})
	switch err = s.publicErr; {
	case err == nil, errors.Is(err, search.ErrNotFound), errors.Is(err, search.ErrBadRequest):
	case errors.Is(err, search.ErrForbidden) && key != "":
		return exam.Failed("HTTP 403 with AZURE_SEARCH_KEY", "The key is not one of this service's, or the service takes no keys.", "AZURE_SEARCH_KEY: "+portalSearch+" > Settings > Keys > Manage query keys; keys are taken with API access control API keys or Both")
	case errors.Is(err, search.ErrForbidden):
		return exam.Failed("HTTP 403 as "+s.SearchAs, "The identity has no role at the service, since less than some minutes, or the service takes keys alone.", "az role assignment create --role \"Search Index Data Reader\" --assignee "+s.api.String()+" --scope SERVICE; and "+portalSearch+" > Settings > Keys > API access control: Both")
	case errors.Is(err, search.ErrUnauthorized):
		return exam.Failed("HTTP 401", "The service does not take the server's token: it takes keys alone, or belongs to another tenant.", portalSearch+" > Settings > Keys > API access control: Both, or set AZURE_SEARCH_KEY")
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
	return exam.Failed(reason(err), "The search service was not asked.", fix)
}

func searchVersion(_ context.Context, s *state) exam.Finding {
	var refused *search.Error
	if errors.As(s.publicErr, &refused) && errors.Is(refused, search.ErrBadRequest) && strings.Contains(strings.ToLower(refused.Code+refused.Message), "api-version") {
		return exam.Failed(clipped(refused.Message), "Permissions exist in preview versions of the API alone, and this service does not know the one that is used.", "Check whether the service's region and cloud have the preview "+searchclient.DefaultAPIVersion+".")
	}
	return exam.Good("%s", searchclient.DefaultAPIVersion)
}

func searchIndex(_ context.Context, s *state) exam.Finding {
	if errors.Is(s.publicErr, search.ErrNotFound) {
		return exam.Failed(s.index+" is not there", "The service has no index with this name.", "AZURE_SEARCH_INDEX: "+portalSearch+" > Search management > Indexes; or make it: onbehalf setup index apply")
	}
	return exam.Good("%s", s.index)
}

func searchPublic(_ context.Context, s *state) exam.Finding {
	if s.publicErr != nil {
		return exam.Failed(clipped(s.publicErr.Error()), "The service did not answer a plain query.", portalSearch+" > Monitoring; a service that is out of replicas or storage answers so")
	}
	s.publicCount = count(s.public)
	return exam.Good("%s open to everybody", plural(s.publicCount, "document is", "documents are"))
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
	const roleFix = "az role assignment delete --role \"Search Index Data Contributor\", and create \"Search Index Data Reader\" in its place"
	if key := s.Setting("AZURE_SEARCH_KEY"); key != "" {
		client, err := s.searchAs(key)
		if err == nil {
			_, err = client.Definition(ctx, s.index)
		}
		if err == nil {
			return exam.Warned("AZURE_SEARCH_KEY is an admin key", "Whoever gets hold of it can change and delete every index and read every document past its permissions.", "AZURE_SEARCH_KEY: a query key ("+portalSearch+" > Settings > Keys > Manage query keys), or none and the role Search Index Data Reader")
		}
		return exam.Good("AZURE_SEARCH_KEY is a query key")
	}
	status, err := s.emptyBatch(ctx)
	switch {
	case err != nil:
		return exam.Skip(reason(err), "")
	case status != http.StatusForbidden && status != http.StatusUnauthorized:
		return exam.Warned(fmt.Sprintf("%s may write documents (HTTP %d)", s.SearchAs, status), "With Search Index Data Contributor a server that was broken into changes documents, and reads them past their permissions.", roleFix)
	}
	return exam.Good("%s may not write", s.SearchAs)
}

func (s *state) emptyBatch(ctx context.Context) (int, error) {
	credential, err := s.searchCredential()
	if err != nil {
		return 0, err
	}
	token, err := credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{s.cloud.SearchScope().String()}})
	if err != nil {
		return 0, err
	}
	address := s.service + "/indexes('" + s.index + "')/docs/search.index?api-version=" + searchclient.DefaultAPIVersion
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(`{"value":[]}`))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+token.Token)
	got, err := s.send(s.HTTPClient, req)
	if err != nil {
		return 0, err
	}
	return got.status, nil
}

// searchDefinition reads the definition as whoever may: the set-up's admin key, else the server itself.
func searchDefinition(ctx context.Context, s *state) exam.Finding {
	keys := []string{s.Setting("SEARCH_ADMIN_KEY"), s.Setting("AZURE_SEARCH_KEY"), ""}
	for i, key := range keys {
		if key == "" && i < len(keys)-1 {
			continue
		}
		client, err := s.searchAs(key)
		if err != nil {
			continue
		}
		definition, err := client.Definition(ctx, s.index)
		if err == nil {
			s.definition = definition
			return exam.Good("%d fields", len(definition.Fields))
		}
	}
	return exam.Skip("no right to look at it: a query key and Search Index Data Reader have none", "Set SEARCH_ADMIN_KEY for this command alone, or give yourself the role Reader at the service")
}

func searchPermissions(_ context.Context, s *state) exam.Finding {
	switch s.definition.PermissionFilterOption {
	case search.PermissionsEnabled:
		return exam.Good("permissionFilterOption is enabled")
	case search.PermissionsDisabled:
		return exam.Failed("permissionFilterOption is disabled", "Everybody finds every document: the index has permissions and does not enforce them.", "Set permissionFilterOption to enabled: onbehalf setup index apply")
	}
	return exam.Failed("permissionFilterOption is not set", "Everybody finds every document: the index knows no permissions, or was updated through an API version that does not know them.", "Set permissionFilterOption to enabled, through "+searchclient.DefaultAPIVersion+": onbehalf setup index apply")
}

// aclFields are the fields that say who may read.
func (s *state) aclFields() []search.Field {
	return slices.DeleteFunc(slices.Clone(s.definition.Fields), func(f search.Field) bool { return f.PermissionFilter == "" })
}

func searchFields(_ context.Context, s *state) exam.Finding {
	var names []string
	for _, f := range s.aclFields() {
		names = append(names, f.Name+" ("+f.PermissionFilter+")")
	}
	if len(names) == 0 {
		return exam.Failed("none", "Nobody can be allowed anything: no field has the attribute permissionFilter.", "Add permissionFilter userIds, groupIds or rbacScope to the fields that hold object ids: onbehalf setup index apply")
	}
	return exam.Good("%s", clipped(strings.Join(names, ", ")))
}

func isTrue(b *bool, fallback bool) bool {
	if b == nil {
		return fallback
	}
	return *b
}

func searchTypes(_ context.Context, s *state) exam.Finding {
	var wrong []string
	for _, f := range s.aclFields() {
		want := "Collection(Edm.String)"
		if f.PermissionFilter == search.RBACScope {
			want = "Edm.String"
		}
		if f.Type != want {
			wrong = append(wrong, f.Name+" is "+f.Type+", not "+want)
		}
		if !isTrue(f.Filterable, true) {
			wrong = append(wrong, f.Name+" is not filterable")
		}
	}
	if len(wrong) > 0 {
		return exam.Failed(clipped(strings.Join(wrong, "; ")), "Permissions in these fields do not count.", "A type cannot be changed: make the index anew with onbehalf setup index apply, and push the documents again")
	}
	return exam.Good("as they should be")
}

// fieldsWith names the permission fields for which a test holds.
func (s *state) fieldsWith(test func(search.Field) bool) string {
	var names []string
	for _, f := range s.aclFields() {
		if test(f) {
			names = append(names, f.Name)
		}
	}
	return clipped(strings.Join(names, ", "))
}

func searchSearchable(_ context.Context, s *state) exam.Finding {
	if names := s.fieldsWith(func(f search.Field) bool { return isTrue(f.Searchable, true) }); names != "" {
		return exam.Warned(names+": searchable", "A search for somebody's object id finds the documents that this person may read.", "searchable cannot be taken away: make the index anew with searchable false for these fields")
	}
	return exam.Good("not searchable")
}

func searchRetrievable(_ context.Context, s *state) exam.Finding {
	if names := s.fieldsWith(func(f search.Field) bool { return isTrue(f.Retrievable, true) }); names != "" {
		return exam.Warned(names+": retrievable", "Each answer tells its reader, and the model, who else may read the document.", "Set retrievable to false for these fields; that needs no rebuild")
	}
	return exam.Good("not retrievable")
}

func searchNames(_ context.Context, s *state) exam.Finding {
	if names := s.fieldsWith(func(f search.Field) bool { return !slices.Contains(s.PermissionFields, f.Name) }); names != "" {
		return exam.Warned(names+": not known to the server", "The server refuses filters by "+strings.Join(s.PermissionFields, ", ")+" alone: it cannot read the definition with a query key. By others a caller finds out, question by question, who may read what she sees.", "Name the fields so, as onbehalf setup index apply does")
	}
	return exam.Good("known to the server")
}

func searchPerson(ctx context.Context, s *state) exam.Finding {
	got, err := s.searched.Search(ctx, search.ByToken{Token: s.searchToken}, &search.Query{Top: new(0), Count: true})
	var bad *searchclient.TokenError
	switch {
	case errors.As(err, &bad):
		return exam.Failed(bad.Reason, clipped(bad.Error())+".", "Report this: the exchange asked for "+s.cloud.SearchScope().String()+".")
	case errors.Is(err, search.ErrUnauthorized), errors.Is(err, search.ErrForbidden), errors.Is(err, search.ErrBadRequest):
		return exam.Failed(clipped(err.Error()), "The service refuses the person's token: it belongs to another tenant, or its audience is not one that the service takes.", portalSearch+" > Settings > Keys > API access control: Both; the service's subscription has to be in the tenant "+s.tenant.String())
	case err != nil:
		return exam.Failed(clipped(err.Error()), "The service could not establish what the person may see; it then shows nothing at all.", "Try again: it asks Microsoft Graph for the person's groups.")
	}
	seen := count(got)
	if seen <= s.publicCount {
		return exam.Warned(fmt.Sprintf("%s, %d of them open to everybody", plural(seen, "document", "documents"), s.publicCount), "No document names the person or one of her groups: there is none for her, or the permission fields hold names where object ids belong.", "Compare the documents' permission fields with the object id "+s.caller.Object.String()+" and the object ids of her groups.")
	}
	return exam.Good("%s, %d of them open to everybody", plural(seen, "document", "documents"), s.publicCount)
}

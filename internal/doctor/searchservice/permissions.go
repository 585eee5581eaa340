package searchservice

import (
	"context"
	"slices"
	"strings"

	"github.com/onbehalf/onbehalf/internal/doctor/check"
	"github.com/onbehalf/onbehalf/internal/doctor/exam"
	"github.com/onbehalf/onbehalf/search"
	"github.com/onbehalf/onbehalf/search/searchclient"
)

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
		definition, err := client.Definition(ctx, s.Index)
		if err == nil {
			s.definition = definition
			return exam.Good("%d fields", len(definition.Fields))
		}
	}
	return exam.Skip("no right to look at it: a query key and Search Index Data Reader have none", "Set SEARCH_ADMIN_KEY for this command alone, or give the server's identity the role Reader at the service.")
}

func searchPermissions(_ context.Context, s *state) exam.Finding {
	switch s.definition.PermissionFilterOption {
	case search.PermissionsEnabled:
		return exam.Good("permissionFilterOption is enabled")
	case search.PermissionsDisabled:
		return exam.Failed("permissionFilterOption is disabled", "Everybody finds every document: the index has permissions and does not enforce them.", "Set permissionFilterOption to enabled.").By(s.Onbehalf("setup index apply"))
	}
	return exam.Failed("permissionFilterOption is not set", "Everybody finds every document: the index knows no permissions, or was updated through an API version that does not know them.", "Set permissionFilterOption to enabled, through "+searchclient.DefaultAPIVersion+".").By(s.Onbehalf("setup index apply"))
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
		return exam.Failed("none", "Nobody can be allowed anything: no field has the attribute permissionFilter.", "Add permissionFilter userIds, groupIds or rbacScope to the fields that hold object ids.").By(s.Onbehalf("setup index apply"))
	}
	return exam.Good("%s", check.Clipped(strings.Join(names, ", ")))
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
		return exam.Failed(check.Clipped(strings.Join(wrong, "; ")), "Permissions in these fields do not count.", "A type cannot be changed: make the index anew, and push the documents again.").By(s.Onbehalf("setup index plan"))
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
	return check.Clipped(strings.Join(names, ", "))
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
		return exam.Warned(names+": not known to the server", "The server refuses filters by "+strings.Join(s.PermissionFields, ", ")+" alone: it cannot read the definition with a query key. By others a caller finds out, question by question, who may read what she sees.", "Name the fields so, as our set-up of an index does.").By(s.Onbehalf("setup index plan"))
	}
	return exam.Good("known to the server")
}

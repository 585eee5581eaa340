// Package elevated hands out the [search.User] that sees every document, whatever the ACLs say. It is for set-up and
// proof (internal/provision/acl); what serves people never imports it.
package elevated

import (
	"github.com/onbehalf/onbehalf/search"
	"github.com/onbehalf/onbehalf/search/searchclient/internal/elevation"
)

// DangerouslyReadEverything is a caller that ignores document permissions. The service refuses it (403) unless the
// application has the role Search Index Data Contributor, or a custom one with
// Microsoft.Search/searchServices/indexes/contentSecurity/elevatedOperations/read.
//
// https://learn.microsoft.com/azure/search/search-query-access-control-rbac-enforcement
func DangerouslyReadEverything() search.User { return elevation.User{} }

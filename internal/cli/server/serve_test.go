package server

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/onbehalf/onbehalf/internal/cli/shell"
)

func TestParseNetworks(t *testing.T) {
	got, err := parseNetworks([]string{"10.1.2.3/8", "192.0.2.7", "fd00::/8", "::1"})
	if err != nil {
		t.Fatal(err)
	}
	want := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.7/32"), netip.MustParsePrefix("fd00::/8"), netip.MustParsePrefix("::1/128")}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
		t.Errorf("networks (-want +got):\n%s", diff)
	}
	for _, bad := range []string{"", "*", "ingress.example", "10.0.0.0/33", "10.0.0.0-10.0.0.9", "fe80::1%eth0"} {
		if got, err := parseNetworks([]string{bad}); err == nil {
			t.Errorf("%q is read as %v", bad, got)
		}
	}
}

// Whoever may filter by a permission field finds out by trial who else may read a document.
func TestPermissionFieldsOfMicrosoftsExamples(t *testing.T) {
	r := registration{settings: shell.SettingsOf(map[string]string{"AZURE_SEARCH_ENDPOINT": "https://contoso.search.windows.net", "AZURE_SEARCH_INDEX": "i", "AZURE_SEARCH_KEY": "k"})}
	search, err := r.search()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"oid", "group", "UserIds", "GroupIds", "RbacScope"} {
		if !slices.Contains(search.PermissionFields, name) {
			t.Errorf("%s may be filtered by", name)
		}
	}
}

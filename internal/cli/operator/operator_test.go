package operator

import (
	"errors"
	"testing"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/internal/cli/server"
	"github.com/onbehalf/onbehalf/internal/cli/shell"
)

// Tokens of this machine's identity go to Microsoft's hosts, or from a local Entra to this machine, and nowhere else: whoever
// names the endpoint in a settings file would get them.
func TestWhoGetsTokens(t *testing.T) {
	public := entra.Clouds()[0]
	local, err := entra.CloudOf("https://localhost:8443/")
	if !errors.Is(err, entra.ErrUnknownCloud) {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"AZURE_TENANT_ID": "c0de7e4a-0000-4000-8000-000000000001", "AZURE_CLIENT_ID": "c0de7e4a-0000-4000-8000-000000000002", "AZURE_CLIENT_SECRET": "x"} {
		t.Setenv(name, value)
	}
	for _, tt := range []struct {
		cloud    entra.Cloud
		endpoint string
		gets     bool
	}{
		{public, "https://contoso.search.windows.net", true},
		{public, "https://CONTOSO.Search.Windows.net", true},
		{public, "https://contoso.search.azure.us", true},
		{public, "https://contoso.search.windows.net.evil.example", false},
		{public, "https://evilsearch.windows.net", false},
		{public, "https://search.evil.example", false},
		{public, "https://localhost:8444", false},
		{public, "contoso", false},
		{local, "https://localhost:8444", true},
		{local, "https://127.0.0.1:8444", true},
		{local, "https://contoso.search.windows.net", false},
		{local, "https://localhost.evil.example", false},
	} {
		o := &operator{settings: shell.SettingsOf(nil), cloud: tt.cloud}
		if _, err := o.identity(tt.endpoint, server.SearchHosts()...); (err == nil) != tt.gets {
			t.Errorf("authority %s, endpoint %s: %v; want a credential: %v", tt.cloud.Authority, tt.endpoint, err, tt.gets)
		}
	}
}

package entraserver

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"
	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/public"

	"github.com/onbehalf/onbehalf/internal/localhost"
)

// posing starts a server that poses as Microsoft's public cloud, and a client for which every host is this one: as with
// a hosts file, without one.
func posing(t *testing.T) (*Server, *http.Client) {
	t.Helper()
	hosts := []string{"login.microsoftonline.com", "graph.microsoft.com"}
	ca, err := localhost.NewPosingCA(time.Now(), hosts...)
	if err != nil {
		t.Fatal(err)
	}
	tls, err := ca.ServerTLS()
	if err != nil {
		t.Fatal(err)
	}
	s := newTestServer(t, func(c *Config) { c.PoseAs = hosts })
	web := httptest.NewUnstartedServer(s)
	web.TLS, web.EnableHTTP2 = tls, true
	web.StartTLS()
	t.Cleanup(web.Close)
	client := ca.Client()
	transport, ok := client.Transport.(*http.Transport)
	if !ok {
		t.Fatal("no transport")
	}
	transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", web.Listener.Addr().String())
	}
	return s, client
}

func getJSON(t *testing.T, client *http.Client, target, bearer string) map[string]any {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
	if err != nil {
		t.Fatal(err)
	}
	if bearer != "" {
		r.Header.Set("Authorization", "Bearer "+bearer)
	}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var out map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d %v %v", target, resp.StatusCode, out, err)
	}
	return out
}

// MSAL as it is used against Microsoft itself: the default authority, with instance discovery.
func TestPosesAsMicrosoft(t *testing.T) {
	s, web := posing(t)
	const authority = "https://login.microsoftonline.com/" + ContosoTenant
	app, err := public.New(ContosoWebClient, public.WithAuthority(authority), public.WithHTTPClient(web))
	if err != nil {
		t.Fatal(err)
	}
	code, err := app.AcquireTokenByDeviceCode(t.Context(), []string{"api://" + ContosoAPI + "/execute"})
	if err != nil {
		t.Fatal(err)
	}
	if code.Result.VerificationURL != "https://login.microsoftonline.com/devicelogin" {
		t.Errorf("sends people to %s", code.Result.VerificationURL)
	}
	if err = s.ApproveDevice(code.Result.UserCode, "alice"); err != nil {
		t.Fatal(err)
	}
	person, err := code.AuthenticationResult(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := claimsIn(t, person.AccessToken).text("iss"); got != authority+"/v2.0" {
		t.Errorf("the issuer of version 2 is %s", got)
	}

	secret, err := confidential.NewCredFromSecret(s.dir.ClientSecret(client(ContosoAPI)).Reveal())
	if err != nil {
		t.Fatal(err)
	}
	api, err := confidential.New(authority, ContosoAPI, secret, confidential.WithHTTPClient(web))
	if err != nil {
		t.Fatal(err)
	}
	search, err := api.AcquireTokenOnBehalfOf(t.Context(), person.AccessToken, []string{"https://search.azure.com/.default"})
	if err != nil {
		t.Fatal(err)
	}
	if got := claimsIn(t, search.AccessToken).text("iss"); got != "https://sts.windows.net/"+ContosoTenant+"/" {
		t.Errorf("the issuer of version 1 is %s", got)
	}
	graph, err := api.AcquireTokenOnBehalfOf(t.Context(), person.AccessToken, []string{"https://graph.microsoft.com/.default"})
	if err != nil {
		t.Fatal(err)
	}
	if me := getJSON(t, web, "https://graph.microsoft.com/v1.0/me", graph.AccessToken); me["id"] != Alice || !strings.HasPrefix(fmt.Sprint(me["@odata.context"]), "https://graph.microsoft.com/v1.0/$metadata") {
		t.Errorf("got %v", me)
	}
}

// Metadata names the host that was asked, and nobody else.
func TestPosedMetadata(t *testing.T) {
	s, web := posing(t)
	v2 := getJSON(t, web, "https://login.microsoftonline.com/"+ContosoTenant+"/v2.0/.well-known/openid-configuration", "")
	for name, want := range map[string]string{
		"issuer":         "https://login.microsoftonline.com/" + ContosoTenant + "/v2.0",
		"token_endpoint": "https://login.microsoftonline.com/" + ContosoTenant + "/oauth2/v2.0/token",
		"msgraph_host":   "graph.microsoft.com", "cloud_instance_name": "microsoftonline.com",
	} {
		if v2[name] != want {
			t.Errorf("%s: got %v, want %s", name, v2[name], want)
		}
	}
	if v1 := getJSON(t, web, "https://login.microsoftonline.com/"+ContosoTenant+"/.well-known/openid-configuration", ""); v1["issuer"] != "https://sts.windows.net/"+ContosoTenant+"/" {
		t.Errorf("got %v", v1["issuer"])
	}
	for host, want := range map[string]string{
		"localhost:8443":                "https://localhost:8443/" + ContosoTenant + "/v2.0",
		"evil.example":                  "https://localhost:8443/" + ContosoTenant + "/v2.0",
		"login.microsoftonline.us":      "https://localhost:8443/" + ContosoTenant + "/v2.0",
		"LOGIN.microsoftonline.com:443": "https://login.microsoftonline.com/" + ContosoTenant + "/v2.0",
	} {
		r := httptest.NewRequest(http.MethodGet, "https://localhost:8443/"+ContosoTenant+"/v2.0/.well-known/openid-configuration", nil)
		r.Host = host
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if !strings.Contains(w.Body.String(), `"issuer":"`+want+`"`) {
			t.Errorf("%s: got %s", host, w.Body)
		}
	}
	// Who does not pose knows no other name of his.
	r := httptest.NewRequest(http.MethodGet, "https://login.microsoftonline.com/"+ContosoTenant+"/v2.0/.well-known/openid-configuration", nil)
	w := httptest.NewRecorder()
	newTestServer(t, nil).ServeHTTP(w, r)
	if strings.Contains(w.Body.String(), "microsoftonline.com/") {
		t.Errorf("got %s", w.Body)
	}
}

func TestPoseAsWhom(t *testing.T) {
	for _, host := range []string{"", "localhost", "127.0.0.1", "host", "login.microsoftonline.com:443", "https://login.microsoftonline.com", "*.microsoftonline.com", "a.example/b"} {
		if _, err := New(Config{URL: "https://localhost:8443", PoseAs: []string{host}}); err == nil {
			t.Errorf("poses as %q", host)
		}
	}
}

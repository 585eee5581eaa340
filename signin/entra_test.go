package signin_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/entra/entraserver"
	"github.com/onbehalf/onbehalf/entra/entratest"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/signin"
)

// person is somebody with a terminal and a browser at the local Entra.
type person struct {
	*entratest.Entra
	name    string
	refuse  string // what the person answers "no" to: see [entratest.Browser]
	signIns int
}

func (p *person) prompt(_ context.Context, code signin.DeviceCode) error {
	p.signIns++
	return p.Server.ApproveDevice(code.UserCode, p.name)
}

func (p *person) open(_ context.Context, address string) error {
	p.signIns++
	browser := p.Browser(p.name)
	browser.Refuse = p.refuse
	_, err := browser.Open(address)
	return err
}

// startEntra returns the person and a client of hers, with the given method.
func startEntra(t *testing.T, method signin.Method) (*person, *signin.Client, signin.Request) {
	t.Helper()
	p := &person{Entra: entratest.Start(t, nil), name: "alice"}
	id, err := identity.ParseClientID(p.WebClient)
	if err != nil {
		t.Fatal(err)
	}
	cfg := signin.Config{Authority: p.URL, Tenant: p.Tenant, Client: id, HTTPClient: p.Client(), Method: method, Prompt: p.prompt, Open: p.open}
	request := signin.Request{Server: "https://server.example/mcp", Scopes: []entra.Scope{scope(t, "api://"+p.API+"/execute")}}
	return p, newClient(t, cfg), request
}

func TestAgainstTheLocalEntra(t *testing.T) {
	for _, method := range []signin.Method{signin.ByDeviceCode, signin.ByBrowser} {
		t.Run(method.String(), func(t *testing.T) {
			p, client, request := startEntra(t, method)
			first, err := client.Token(t.Context(), request)
			if err != nil {
				t.Fatal(err)
			}
			if first.Audience != p.API || first.Tenant.String() != p.Tenant || time.Until(first.Expires) < time.Minute {
				t.Errorf("token for %s in %s until %s", first.Audience, first.Tenant, first.Expires)
			}
			again, err := client.Token(t.Context(), request)
			if err != nil || again.Value.Reveal() != first.Value.Reveal() || p.signIns != 1 {
				t.Errorf("from the cache: %v, %d sign-ins", err, p.signIns)
			}
			request.Fresh = true
			fresh, err := client.Token(t.Context(), request)
			if err != nil || fresh.Value.Reveal() == first.Value.Reveal() || p.signIns != 1 {
				t.Errorf("refreshed: %v, %d sign-ins", err, p.signIns)
			}
			p.Policy(entraserver.Policies{Revoked: []string{"alice"}})
			after, err := client.Token(t.Context(), request)
			if err != nil || after.Object != first.Object || p.signIns != 2 {
				t.Errorf("after all sign-ins were revoked: %v, %d sign-ins, want a new one", err, p.signIns)
			}
		})
	}
}

func TestPoliciesOfTheLocalEntra(t *testing.T) {
	refusedWith := func(t *testing.T, err error, code int) *signin.Refused {
		t.Helper()
		refused := (*signin.Refused)(nil)
		if !errors.As(err, &refused) || refused.Err.Number() != code {
			t.Fatalf("got %v, want AADSTS%d", err, code)
		}
		return refused
	}
	block := func(p *person) {
		p.Policy(entraserver.Policies{Rules: []entraserver.Rule{{Resources: []string{"api://" + p.API}, Require: "block"}}})
	}
	t.Run("a policy blocks the device code", func(t *testing.T) {
		p, client, request := startEntra(t, signin.ByDeviceCode)
		block(p)
		_, err := client.Token(t.Context(), request)
		if other, blocked := refusedWith(t, err, 53003).Other(); !blocked || other != signin.ByBrowser {
			t.Errorf("offers %s, %t", other, blocked)
		}
	})
	t.Run("the person declines to consent", func(t *testing.T) {
		p, client, request := startEntra(t, signin.ByBrowser)
		p.refuse = "consent"
		p.Policy(entraserver.Policies{ConsentMissing: []entraserver.ConsentGap{{Client: p.WebClient, Resource: p.API}}})
		_, err := client.Token(t.Context(), request)
		if refused := refusedWith(t, err, 65004); refused.Err.Correlation == "" || refused.Err.Trace == "" {
			t.Errorf("no ids of what came by redirect: %+v", refused.Err)
		}
	})
	t.Run("a claims challenge is answered by a sign-in with MFA", func(t *testing.T) {
		p, client, request := startEntra(t, signin.ByBrowser)
		if _, err := client.Token(t.Context(), request); err != nil {
			t.Fatal(err)
		}
		p.Policy(entraserver.Policies{Rules: []entraserver.Rule{{ID: bob, Resources: []string{"api://" + p.API}, Require: "mfa"}}})
		request.Claims = `{"access_token":{"capolids":{"essential":true,"values":["` + bob + `"]}}}`
		if _, err := client.Token(t.Context(), request); err != nil || p.signIns != 2 {
			t.Errorf("got %v, %d sign-ins", err, p.signIns)
		}
	})
	t.Run("resource is enforced", func(t *testing.T) {
		p, client, request := startEntra(t, signin.ByBrowser)
		p.Policy(entraserver.Policies{Resource: entraserver.ResourceEnforced})
		request.Resource = "api://" + p.API
		if _, err := client.Token(t.Context(), request); err != nil {
			t.Errorf("the App ID URI: %v", err)
		}
		request.Resource, request.Anew = "https://server.example/mcp", true
		_, err := client.Token(t.Context(), request)
		_ = refusedWith(t, err, 9010010)
	})
}

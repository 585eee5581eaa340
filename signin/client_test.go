package signin_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/onbehalf/onbehalf/chain"
	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/signin"
)

func TestDeviceCodeThenCache(t *testing.T) {
	fake := startFake(t)
	fake.pending = 2
	var shown signin.DeviceCode
	cfg := fake.config()
	cfg.Prompt = func(ctx context.Context, code signin.DeviceCode) error {
		shown = code
		<-ctx.Done() // as a countdown does: it ends with the sign-in
		return ctx.Err()
	}
	client := newClient(t, cfg)
	ctx, call := chain.Begin(t.Context())
	request := signin.Request{Server: "https://server.example/mcp", Scopes: []entra.Scope{scope(t, "api://the-api/execute")}, Resource: "api://the-api"}
	first, err := client.Token(ctx, request)
	if err != nil {
		t.Fatal(err)
	}
	if shown.UserCode != "BPPVYQZMA" || shown.VerificationURL != fake.URL+"/devicelogin" || shown.Server != request.Server || shown.Expires.IsZero() {
		t.Errorf("the prompt got %+v", shown)
	}
	if first.Object.String() != alice || first.Tenant.String() != tenant || first.Audience != "the-api" || first.Expires.IsZero() {
		t.Errorf("token of %s in %s for %s until %s", first.Object, first.Tenant, first.Audience, first.Expires)
	}
	if got := fake.last(); got.Get("resource") != "api://the-api" || !strings.Contains(got.Get("claims"), "CP1") {
		t.Errorf("resource %q, claims %q: want the resource, and the capability CP1", got.Get("resource"), got.Get("claims"))
	}
	request.Silent = true
	again, err := client.Token(ctx, request)
	if err != nil || again.Value.Reveal() != first.Value.Reveal() {
		t.Errorf("the second token is not the cached one: %v", err)
	}
	if n := fake.sent(""); n != 1 {
		t.Errorf("%d device codes, want 1", n)
	}
	hops, _ := call.Hops()
	if len(hops) != 2 || hops[0].Decision != chain.Allowed || hops[1].Decision != chain.Cached || hops[1].Subject != alice {
		t.Errorf("hops %+v", hops)
	}
}

func TestTokensOfOneServerServeNoOther(t *testing.T) {
	fake := startFake(t)
	client := newClient(t, fake.config())
	request := signin.Request{Server: "https://one.example/mcp", Scopes: []entra.Scope{scope(t, "api://the-api/execute")}}
	if _, err := client.Token(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	request.Server, request.Silent = "https://other.example/mcp", true
	_, err := client.Token(t.Context(), request)
	if needed := (*signin.Needed)(nil); !errors.As(err, &needed) || needed.Cause != nil {
		t.Errorf("got %v, want that a sign-in is needed", err)
	}
}

func TestRefresh(t *testing.T) {
	request := signin.Request{Server: "https://one.example/mcp", Scopes: []entra.Scope{scope(t, "api://the-api/execute")}}
	for _, tt := range []struct {
		desc    string
		change  func(*fakeEntra, *signin.Request)
		signIns int  // device codes in all
		needed  bool // with Silent
	}{
		{desc: "the server refused the access token", change: func(_ *fakeEntra, r *signin.Request) { r.Fresh = true }, signIns: 1},
		{desc: "claims are answered by the refresh token", change: func(_ *fakeEntra, r *signin.Request) { r.Claims = `{"access_token":{}}` }, signIns: 1},
		{desc: "the refresh token was revoked", change: func(f *fakeEntra, r *signin.Request) {
			r.Fresh, f.refuse["refresh_token"] = true, 50173
		}, signIns: 2},
		{desc: "the refresh token was revoked, silently", change: func(f *fakeEntra, r *signin.Request) {
			r.Fresh, r.Silent, f.refuse["refresh_token"] = true, true, 50173
		}, signIns: 1, needed: true},
	} {
		t.Run(tt.desc, func(t *testing.T) {
			fake := startFake(t)
			client := newClient(t, fake.config())
			first, err := client.Token(t.Context(), request)
			if err != nil {
				t.Fatal(err)
			}
			second := request
			fake.set(func() { tt.change(fake, &second) })
			got, err := client.Token(t.Context(), second)
			needed := (*signin.Needed)(nil)
			if errors.As(err, &needed) != tt.needed {
				t.Fatalf("got error %v", err)
			}
			if err == nil && got.Value.Reveal() == first.Value.Reveal() {
				t.Error("the same token again")
			}
			if n := fake.sent(""); n != tt.signIns {
				t.Errorf("%d sign-ins, want %d", n, tt.signIns)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	request := signin.Request{Scopes: []entra.Scope{scope(t, "api://the-api/execute")}}
	t.Run("a policy blocks device codes", func(t *testing.T) {
		fake := startFake(t)
		fake.refuse["device_code"] = 53003
		_, err := newClient(t, fake.config()).Token(t.Context(), request)
		refused := (*signin.Refused)(nil)
		if !errors.As(err, &refused) {
			t.Fatalf("got %v, want a refusal", err)
		}
		if other, blocked := refused.Other(); !blocked || other != signin.ByBrowser {
			t.Errorf("offers %s, %t; want the browser", other, blocked)
		}
		if strings.Contains(err.Error(), "alice@") || refused.Err.Correlation != "c0ffee" {
			t.Errorf("error %q, correlation %q", err, refused.Err.Correlation)
		}
	})
	t.Run("the prompt fails", func(t *testing.T) {
		fake := startFake(t)
		fake.pending = 1000
		cfg := fake.config()
		cfg.Prompt = func(context.Context, signin.DeviceCode) error { return errors.New("no terminal") }
		if _, err := newClient(t, cfg).Token(t.Context(), request); err == nil || !strings.Contains(err.Error(), "no terminal") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("the person gives up", func(t *testing.T) {
		fake := startFake(t)
		fake.pending = 1000
		ctx, cancel := context.WithCancel(t.Context())
		cfg := fake.config()
		cfg.Prompt = func(context.Context, signin.DeviceCode) error { cancel(); return nil }
		if _, err := newClient(t, cfg).Token(ctx, request); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("the page to type the code at is not Microsoft's", func(t *testing.T) {
		fake := startFake(t)
		fake.deviceAt = "https://rnicrosoft.example/devicelogin"
		if _, err := newClient(t, fake.config()).Token(t.Context(), request); !errors.Is(err, signin.ErrNotTrusted) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("the authority is away", func(t *testing.T) {
		fake := startFake(t)
		fake.Close()
		_, err := newClient(t, fake.config()).Token(t.Context(), request)
		if err == nil || !strings.Contains(err.Error(), "cannot reach") {
			t.Errorf("got %v", err)
		}
	})
}

func TestWhichAuthority(t *testing.T) {
	fake := startFake(t)
	client := newClient(t, fake.config())
	for _, tt := range []struct {
		desc, authority, tenant string
		trusted                 bool
	}{
		{desc: "none named", trusted: true},
		{desc: "the configured one", authority: fake.URL, tenant: tenant, trusted: true},
		{desc: "any tenant", authority: fake.URL, tenant: "organizations", trusted: true},
		{desc: "another tenant", authority: fake.URL, tenant: bob},
		{desc: "an unknown one", authority: "https://login.evil.example/"},
		{desc: "Microsoft's, where another is configured", authority: "https://login.microsoftonline.com/"},
		{desc: "a tenant that climbs", authority: fake.URL, tenant: "../x"},
	} {
		_, err := client.Token(t.Context(), signin.Request{
			Scopes: []entra.Scope{scope(t, "api://the-api/execute")}, Authority: tt.authority, Tenant: tt.tenant,
		})
		if (err == nil) != tt.trusted {
			t.Errorf("%s: got %v", tt.desc, err)
		}
	}
}

func TestTwoAccounts(t *testing.T) {
	fake := startFake(t)
	client := newClient(t, fake.config())
	request := signin.Request{Scopes: []entra.Scope{scope(t, "api://the-api/execute")}}
	if _, err := client.Token(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	fake.set(func() { fake.who = bob })
	request.Account = "bob"
	if _, err := client.Token(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	for account, want := range map[string]string{"alice": alice, "BOB@contoso.example": bob, bob: bob} {
		request.Account, request.Silent = account, true
		if got, err := client.Token(t.Context(), request); err != nil || got.Object.String() != want {
			t.Errorf("account %q: got %s, %v; want %s", account, got.Object, err, want)
		}
	}
	request.Account = ""
	_, err := client.Token(t.Context(), request)
	ambiguous := (*signin.Ambiguous)(nil)
	if !errors.As(err, &ambiguous) || len(ambiguous.Accounts) != 2 || !strings.HasSuffix(err.Error(), ": alice@contoso.example, bob@contoso.example") {
		t.Errorf("got %v, want the two accounts", err)
	}
}

func TestConfigMistakesComeTogether(t *testing.T) {
	_, err := signin.New(signin.Config{Authority: "http://login.example", Tenant: "a b", Method: signin.ByBrowser})
	for _, want := range []string{"client id", "https://HOST/", "tenant", "browser"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not mention %q", err, want)
		}
	}
}

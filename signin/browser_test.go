package signin_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/signin"
)

// browse does what a browser does with the page of the authority: it posts the answer to the redirect address.
func (f *fakeEntra) browse(ctx context.Context, t *testing.T, address string, change func(url.Values)) (status int, page string) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := f.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer map[string]string
	if err = json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	form := url.Values{}
	for name, value := range answer {
		form.Set(name, value)
	}
	if change != nil {
		change(form)
	}
	query := req.URL.Query()
	back, err := http.PostForm(query.Get("redirect_uri"), form)
	if err != nil {
		t.Fatal(err)
	}
	defer back.Body.Close()
	text, err := io.ReadAll(back.Body)
	if err != nil {
		t.Fatal(err)
	}
	return back.StatusCode, string(text)
}

func TestBrowser(t *testing.T) {
	fake := startFake(t)
	cfg := fake.config()
	var asked url.Values
	cfg.Open = func(ctx context.Context, address string) error {
		u, err := url.Parse(address)
		asked = u.Query()
		// Other pages of the browser may send to the port what they like: it changes nothing.
		if status, _ := fake.browse(ctx, t, address, func(form url.Values) { form.Set("state", "guessed") }); status != 400 {
			t.Errorf("a guessed state: status %d, want 400", status)
		}
		resp, getErr := http.Get(asked.Get("redirect_uri") + "/?code=x&state=" + asked.Get("state"))
		if getErr == nil {
			resp.Body.Close()
		}
		if getErr != nil || resp.StatusCode != http.StatusNotFound {
			t.Errorf("a code in an address: %v, want 404", getErr)
		}
		status, page := fake.browse(ctx, t, address, nil)
		if status != 200 || !strings.Contains(page, "Signed in") || strings.Contains(page, "the-code") {
			t.Errorf("status %d, page %s", status, page)
		}
		return err
	}
	token, err := newClient(t, cfg).Token(t.Context(), signin.Request{
		Scopes: []entra.Scope{scope(t, "api://the-api/execute")}, Resource: "api://the-api", Account: "alice@contoso.example",
	})
	if err != nil || token.Object.String() != alice {
		t.Fatalf("got %s, %v", token.Object, err)
	}
	redeemed := fake.last()
	sum := sha256.Sum256([]byte(redeemed.Get("code_verifier")))
	for desc, check := range map[string]bool{
		"PKCE":             asked.Get("code_challenge_method") == "S256" && asked.Get("code_challenge") == base64.RawURLEncoding.EncodeToString(sum[:]),
		"form_post":        asked.Get("response_mode") == "form_post",
		"resource, twice":  asked.Get("resource") == "api://the-api" && redeemed.Get("resource") == "api://the-api",
		"login_hint":       asked.Get("login_hint") == "alice@contoso.example",
		"offline_access":   strings.Contains(asked.Get("scope"), "offline_access"),
		"same redirect":    asked.Get("redirect_uri") == redeemed.Get("redirect_uri") && strings.HasPrefix(asked.Get("redirect_uri"), "http://localhost:"),
		"long state":       len(asked.Get("state")) >= 40,
		"capability CP1":   strings.Contains(asked.Get("claims"), "CP1"),
		"the code is used": redeemed.Get("code") == "the-code",
	} {
		if !check {
			t.Errorf("%s: asked %v, redeemed %v", desc, asked, redeemed)
		}
	}
}

func TestBrowserRefusals(t *testing.T) {
	request := signin.Request{Scopes: []entra.Scope{scope(t, "api://the-api/execute")}}
	t.Run("a policy blocks the browser", func(t *testing.T) {
		fake := startFake(t)
		fake.refuse["authorize"] = 530032
		cfg := fake.config()
		cfg.Open = func(ctx context.Context, address string) error { fake.browse(ctx, t, address, nil); return nil }
		_, err := newClient(t, cfg).Token(t.Context(), request)
		refused := (*signin.Refused)(nil)
		if !errors.As(err, &refused) {
			t.Fatalf("got %v", err)
		}
		if other, blocked := refused.Other(); !blocked || other != signin.ByDeviceCode {
			t.Errorf("offers %s, %t; want the device code", other, blocked)
		}
	})
	t.Run("another authority answers", func(t *testing.T) {
		const other = "99999999-1111-4111-8111-111111111111"
		for _, tt := range []struct {
			tenant, issuer string // of the configuration, of the answer behind the authority
			fails          string // an error in the answer: it is not the authority's either
			good           bool
		}{
			{tenant: tenant, issuer: "https://evil.example/" + tenant + "/v2.0"},
			{tenant: tenant, issuer: "https://evil.example/" + tenant + "/v2.0", fails: "access_denied"},
			{tenant: tenant, issuer: "/" + other + "/v2.0"},
			{tenant: tenant, issuer: "/" + tenant + "/v2.0/"},
			{tenant: tenant, issuer: "/" + tenant + "/v2.0", good: true},
			{tenant: "organizations", issuer: "/" + other + "/v2.0", good: true},
			{tenant: "organizations", issuer: "/organizations/v2.0"},
		} {
			fake := startFake(t)
			cfg := fake.config()
			cfg.Tenant = tt.tenant
			issuer := tt.issuer
			if strings.HasPrefix(issuer, "/") {
				issuer = fake.URL + issuer
			}
			cfg.Open = func(ctx context.Context, address string) error {
				fake.browse(ctx, t, address, func(form url.Values) {
					form.Set("iss", issuer)
					if tt.fails != "" {
						form.Set("error", tt.fails)
					}
				})
				return nil
			}
			if _, err := newClient(t, cfg).Token(t.Context(), request); errors.Is(err, signin.ErrNotTrusted) == tt.good {
				t.Errorf("%+v: got %v", tt, err)
			}
		}
	})
	t.Run("no browser: the device code instead", func(t *testing.T) {
		fake := startFake(t)
		cfg := fake.config()
		cfg.Open = func(context.Context, string) error { return errors.New("no display") }
		if _, err := newClient(t, cfg).Token(t.Context(), request); err != nil || fake.sent("device_code") != 1 {
			t.Errorf("got %v and %d device codes", err, fake.sent("device_code"))
		}
		cfg.Method = signin.ByBrowser
		if _, err := newClient(t, cfg).Token(t.Context(), request); !errors.Is(err, signin.ErrNoBrowser) {
			t.Errorf("with the browser demanded: got %v", err)
		}
	})
	t.Run("somebody else signs in", func(t *testing.T) {
		fake := startFake(t)
		cfg := fake.config()
		wanted := request
		wanted.Account = "bob@contoso.example"
		if _, err := newClient(t, cfg).Token(t.Context(), wanted); err == nil || !strings.Contains(err.Error(), "alice@contoso.example") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("the person gives up", func(t *testing.T) {
		fake := startFake(t)
		ctx, cancel := context.WithCancel(t.Context())
		cfg := fake.config()
		cfg.Open = func(context.Context, string) error { cancel(); return nil }
		if _, err := newClient(t, cfg).Token(ctx, request); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}

func TestAccountsAndSignOut(t *testing.T) {
	fake := startFake(t)
	cfg, cache := fake.config(), &signin.Memory{}
	cfg.Cache = cache
	client := newClient(t, cfg)
	request := signin.Request{Server: "https://server.example/mcp", Scopes: []entra.Scope{scope(t, "api://the-api/execute")}}
	for _, who := range []string{alice, bob} {
		fake.set(func() { fake.who = who })
		request.Anew = true
		if _, err := client.Token(t.Context(), request); err != nil {
			t.Fatal(err)
		}
	}
	all, err := signin.Accounts(t.Context(), cache)
	if err != nil || len(all) != 2 || all[0].Name != "alice@contoso.example" || !all[1].Refreshable || all[0].Expires.IsZero() || all[0].For.Server != request.Server {
		t.Fatalf("got %+v, %v", all, err)
	}
	gone, err := signin.SignOut(t.Context(), cache, func(s signin.SignedIn) bool { return s.Is("alice") })
	if err != nil || len(gone) != 1 {
		t.Fatalf("signed out %+v, %v", gone, err)
	}
	request.Anew, request.Silent = false, true
	if got, err := client.Token(t.Context(), request); err != nil || got.Object.String() != bob {
		t.Errorf("who is left: %s, %v", got.Object, err)
	}
	if _, err := signin.SignOut(t.Context(), cache, func(signin.SignedIn) bool { return true }); err != nil {
		t.Fatal(err)
	}
	if keys, err := cache.Keys(t.Context()); err != nil || len(keys) != 0 {
		t.Errorf("left over: %v, %v", keys, err)
	}
}

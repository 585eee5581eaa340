package searchclient_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/google/go-cmp/cmp"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/search"
	"github.com/onbehalf/onbehalf/search/searchclient"
)

// credential is an application's identity that remembers what it was asked.
type credential struct {
	asked  []policy.TokenRequestOptions
	refuse error
}

func (c *credential) GetToken(_ context.Context, options policy.TokenRequestOptions) (azcore.AccessToken, error) {
	c.asked = append(c.asked, options)
	return azcore.AccessToken{Token: "application's-token", ExpiresOn: time.Now().Add(time.Hour)}, c.refuse
}

// The application authenticates with a token of its own, of the right cloud; the person's travels beside it.
func TestApplicationIdentity(t *testing.T) {
	for _, cloud := range entra.Clouds() {
		f := newFake(t, says(200, `{"value":[]}`))
		own := &credential{}
		client := f.client(t, func(c *searchclient.Config) { c.Key, c.Credential, c.Cloud = identity.Secret{}, own, cloud })
		person := byToken(t, jwt(t, map[string]any{"aud": cloud.SearchResource, "oid": alice, "tid": tenant}))
		for range 2 {
			if _, err := client.Index("x").Search(t.Context(), person, nil); err != nil {
				t.Fatalf("%s: %v", cloud.Name, err)
			}
		}
		want := []policy.TokenRequestOptions{{Scopes: []string{cloud.SearchResource + "/.default"}, EnableCAE: true}}
		if diff := cmp.Diff(want, own.asked); diff != "" {
			t.Errorf("%s: the credential was asked (-want +got):\n%s", cloud.Name, diff)
		}
		header := f.requests()[1].header
		if header.Get("Authorization") != "Bearer application's-token" || header.Get("x-ms-query-source-authorization") != person.Token.Value.Reveal() || header.Get("api-key") != "" {
			t.Errorf("%s: headers %v", cloud.Name, header)
		}
	}
}

func TestApplicationIdentityThatFails(t *testing.T) {
	f := newFake(t, says(200, `{"value":[]}`))
	wrong := errors.New("no identity here")
	client := f.client(t, func(c *searchclient.Config) { c.Key, c.Credential = identity.Secret{}, &credential{refuse: wrong} })
	_, err := client.Index("x").Search(t.Context(), asAlice(t), nil)
	if _, refused := errors.AsType[*search.Error](err); !errors.Is(err, wrong) || refused {
		t.Errorf("error %v, want the credential's own", err)
	}
	if n := len(f.requests()); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
}

// One person's token never reaches another person's request, nor one without a person.
func TestNoTokenIsKept(t *testing.T) {
	f := newFake(t, says(200, `{"value":[]}`))
	index := f.client(t, nil).Index("x")
	tokens := []string{}
	for range 3 {
		u := byToken(t, jwt(t, map[string]any{"aud": "https://search.azure.com", "oid": alice, "tid": tenant, "uti": len(tokens)}))
		tokens = append(tokens, u.Token.Value.Reveal())
		if _, err := index.Search(t.Context(), u, nil); err != nil {
			t.Fatal(err)
		}
		if _, err := index.Search(t.Context(), search.DangerouslyPublicOnly(), nil); err != nil {
			t.Fatal(err)
		}
	}
	for i, request := range f.requests() {
		want := ""
		if i%2 == 0 {
			want = tokens[i/2]
		}
		if got := request.header.Get("x-ms-query-source-authorization"); got != want {
			t.Errorf("request %d carries %q, want %q", i, got, want)
		}
	}
}

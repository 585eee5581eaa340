package obo

import (
	"encoding/base64"
	"testing"
	"time"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"

	"github.com/onbehalf/onbehalf/identity"
)

const (
	tenantA = "7f1d3f0e-6d8e-5d6f-9c41-0d9f4f6f2b10"
	alice   = "00000000-0000-4000-8000-00000000000a"
	bob     = "00000000-0000-4000-8000-00000000000b"
)

func callerOf(tb testing.TB, oid string) *identity.Caller {
	tb.Helper()
	tenant, err := identity.ParseTenantID(tenantA)
	if err != nil {
		tb.Fatal(err)
	}
	object, err := identity.ParseObjectID(oid)
	if err != nil {
		tb.Fatal(err)
	}
	return &identity.Caller{Tenant: tenant, Object: object, Expires: time.Now().Add(time.Hour)}
}

func jwtOf(payload string) string {
	return "e30." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + ".c2ln"
}

// personTable holds payloads and whether they speak for alice.
var personTable = []struct {
	desc    string
	payload string
	want    bool
}{
	{"alice's", `{"oid":"` + alice + `","tid":"` + tenantA + `","aud":"api","exp":99999999999}`, true},
	{"alice's, in capitals", `{"oid":"00000000-0000-4000-8000-00000000000A","tid":"` + tenantA + `"}`, true},
	{"bob's", `{"oid":"` + bob + `","tid":"` + tenantA + `"}`, false},
	{"another tenant's alice", `{"oid":"` + alice + `","tid":"00000000-6d8e-5d6f-9c41-0d9f4f6f2b10"}`, false},
	{"no tenant", `{"oid":"` + alice + `"}`, false},
	{"nobody's", `{}`, false},
	{"oid of another type", `{"oid":["` + alice + `"],"tid":"` + tenantA + `"}`, false},
	{"twice an oid, the last one bob's", `{"oid":"` + alice + `","oid":"` + bob + `","tid":"` + tenantA + `"}`, false},
	{"not JSON", `oid=` + alice, false},
}

func TestWhoseTokenItIs(t *testing.T) {
	for _, tt := range personTable {
		t.Run(tt.desc, func(t *testing.T) {
			token, err := tokenFor(callerOf(t, alice), &confidential.AuthResult{AccessToken: jwtOf(tt.payload), ExpiresOn: time.Now().Add(time.Hour)})
			if (err == nil) != tt.want || token.Value.IsZero() == tt.want {
				t.Errorf("got %+v, %v; want %t", token, err, tt.want)
			}
		})
	}
}

// An opaque token is judged by the ID token that came along.
func TestWhoseOpaqueTokenItIs(t *testing.T) {
	for _, tt := range []struct {
		desc, oid, tid string
		want           bool
	}{{"alice's", alice, tenantA, true}, {"bob's", bob, tenantA, false}, {"another tenant's", alice, bob, false}, {"nobody's", "", "", false}} {
		t.Run(tt.desc, func(t *testing.T) {
			result := &confidential.AuthResult{AccessToken: "opaque", ExpiresOn: time.Now().Add(time.Hour)}
			result.IDToken.Oid, result.IDToken.TenantID = tt.oid, tt.tid
			if _, err := tokenFor(callerOf(t, alice), result); (err == nil) != tt.want {
				t.Errorf("got %v, want %t", err, tt.want)
			}
		})
	}
}

func TestATokenFromASharedCacheSpeaksForItself(t *testing.T) {
	c := callerOf(t, alice)
	for _, tt := range []struct {
		desc    string
		value   string
		person  *identity.Caller
		aud     string
		expires time.Time
		want    bool
	}{
		{"alice's", jwtOf(personTable[0].payload), c, "api", time.Now().Add(time.Hour), true},
		{"said to be for another API", jwtOf(personTable[0].payload), c, "other", time.Now().Add(time.Hour), false},
		{"said to live longer", jwtOf(personTable[0].payload), c, "api", time.Unix(199999999999, 0), false},
		{"said to be bob's", jwtOf(personTable[0].payload), callerOf(t, bob), "api", time.Now().Add(time.Hour), false},
		{"bob's", jwtOf(personTable[2].payload), c, "", time.Now().Add(time.Hour), false},
		{"opaque", "opaque", c, "", time.Now().Add(time.Hour), true},
		{"garbage of three parts", "a.b.c", c, "", time.Now().Add(time.Hour), false},
		{"none", "", c, "", time.Now().Add(time.Hour), false},
	} {
		t.Run(tt.desc, func(t *testing.T) {
			token := identity.Token{Value: identity.NewSecret(tt.value), Tenant: tt.person.Tenant, Object: tt.person.Object, Audience: tt.aud, Expires: tt.expires}
			if got := speaksFor(token, c); got != tt.want {
				t.Errorf("got %t, want %t", got, tt.want)
			}
		})
	}
}

// Whatever comes back, a token for alice names alice.
func FuzzTokenFor(f *testing.F) {
	for _, tt := range personTable {
		f.Add(jwtOf(tt.payload))
	}
	f.Add("..")
	f.Add("opaque")
	f.Fuzz(func(t *testing.T, raw string) {
		c := callerOf(t, alice)
		if _, err := tokenFor(c, &confidential.AuthResult{AccessToken: raw, ExpiresOn: time.Now().Add(time.Hour)}); err != nil {
			return
		}
		claims, err := readClaims(raw)
		if err != nil || claims.Object != c.Object || claims.Tenant != c.Tenant {
			t.Errorf("%q was taken for alice's", raw)
		}
	})
}

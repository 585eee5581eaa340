package obo_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/obo"
	"github.com/onbehalf/onbehalf/search"
)

const stepUp = `{"access_token":{"acrs":{"essential":true,"value":"c1"}}}`

func unauthorized(claims string) error {
	return fmt.Errorf("get_documents: %w", &search.Error{Status: http.StatusUnauthorized, Claims: claims})
}

func TestDo(t *testing.T) {
	broken := errors.New("something else broke")
	for _, tt := range []struct {
		desc    string
		replies []error // of the downstream API, in order; the last one repeats
		spent   int
		asked   int64
		claims  string     // of the second request to Entra
		want    error      // nil: all is well
		kind    entra.Kind // of a refusal
	}{
		{"all is well", []error{nil}, 1, 1, "", nil, 0},
		{"a token rejected once", []error{unauthorized(""), nil}, 2, 2, "", nil, 0},
		{"a token rejected twice", []error{unauthorized("")}, 2, 2, "", search.ErrUnauthorized, 0},
		{"another failure is not tried again", []error{broken}, 1, 1, "", broken, 0},
		{"a challenge that Entra satisfies", []error{unauthorized(stepUp), nil}, 2, 2, stepUp, nil, 0},
		{"a challenge that no token satisfies", []error{unauthorized(stepUp)}, 2, 2, stepUp, search.ErrUnauthorized, entra.InteractionRequired},
		{"forbidden is not rejected", []error{&search.Error{Status: 403}}, 1, 1, "", search.ErrForbidden, 0},
	} {
		t.Run(tt.desc, func(t *testing.T) {
			a := startAuthority(t)
			var claims string
			a.answer = func(w http.ResponseWriter, r *http.Request) {
				claims = r.FormValue("claims")
				a.grant(w, r, nil)
			}
			var tokens []string
			err := obo.Do(t.Context(), newClient(t, a, nil), person(t, 1, 1), searchScope(t), func(token identity.Token) error {
				tokens = append(tokens, token.Value.Reveal())
				return tt.replies[min(len(tokens), len(tt.replies))-1]
			})
			if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			if len(tokens) != tt.spent || a.exchanges.Load() != tt.asked || claims != tt.claims {
				t.Errorf("spent %d tokens, asked %d times, with claims %q; want %d, %d, %q", len(tokens), a.exchanges.Load(), claims, tt.spent, tt.asked, tt.claims)
			}
			if len(tokens) == 2 && tokens[0] == tokens[1] {
				t.Error("the rejected token was spent again")
			}
			if tt.kind != 0 {
				if r := refusalOf(t, err); r.Kind != tt.kind || r.Claims != stepUp {
					t.Errorf("got %+v, want the challenge for the person", r)
				}
			}
		})
	}
}

func TestDoPassesEntrasChallengeOn(t *testing.T) {
	a := startAuthority(t)
	a.answer = func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("claims") == "" {
			a.grant(w, r, nil)
			return
		}
		refuse(400, "interaction_required", 50076, `,"claims":"{\"access_token\":{\"capolids\":{}}}"`)(w, r)
	}
	err := obo.Do(t.Context(), newClient(t, a, nil), person(t, 1, 1), searchScope(t), func(identity.Token) error { return unauthorized(stepUp) })
	if r := refusalOf(t, err); r.Kind != entra.InteractionRequired || r.Claims != `{"access_token":{"capolids":{}}}` {
		t.Errorf("got %+v, want Entra's own challenge", r)
	}
}

// A token that satisfied a challenge serves later calls, without a rejection each time.
func TestATokenThatSatisfiedAChallengeIsKept(t *testing.T) {
	a := startAuthority(t)
	client := newClient(t, a, nil)
	weak := map[string]bool{}
	spend := func(token identity.Token) error {
		if len(weak) == 0 || weak[token.Value.Reveal()] {
			weak[token.Value.Reveal()] = true
			return unauthorized(stepUp)
		}
		return nil
	}
	for range 5 {
		if err := obo.Do(t.Context(), client, person(t, 1, 1), searchScope(t), spend); err != nil {
			t.Fatal(err)
		}
	}
	if n := a.exchanges.Load(); n != 2 || len(weak) != 1 {
		t.Errorf("asked %d times, %d rejections; want 2 and 1", n, len(weak))
	}
}

// Many calls meet the same rejected token at once: one new token serves them all.
func TestManyRejectionsAreOneExchange(t *testing.T) {
	a := startAuthority(t)
	client := newClient(t, a, func(c *obo.Config) { c.MissesPerMinute = 1000 })
	bad := get(t, client, person(t, 1, 1), searchScope(t)).Value.Reveal()
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			err := obo.Do(t.Context(), client, person(t, 1, 1), searchScope(t), func(token identity.Token) error {
				if token.Value.Reveal() == bad {
					return unauthorized("")
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := a.exchanges.Load(); n > 3 {
		t.Errorf("asked %d times, want 2 (3 where calls overlap badly)", n)
	}
}

func TestRejectedReadsTheAnswerOfAnAPI(t *testing.T) {
	const claims = `{"access_token":{"nbf":{"essential":true,"value":"1"}}}`
	for _, test := range []struct {
		desc      string
		status    int
		challenge string
		rejected  bool
		claims    string
	}{
		{"good", 200, "", false, ""},
		{"forbidden is no matter of the token", 403, `Bearer error="insufficient_scope"`, false, ""},
		{"rejected", 401, "Bearer", true, ""},
		{"claims", 401, `Bearer realm="", error="insufficient_claims", claims="` + base64.StdEncoding.EncodeToString([]byte(claims)) + `"`, true, claims},
		{"claims that are none", 401, `Bearer claims="bm90IGpzb24="`, true, ""},
		{"too many claims", 401, `Bearer claims="` + base64.StdEncoding.EncodeToString([]byte(`"`+strings.Repeat("a", 9<<10)+`"`)) + `"`, true, ""},
	} {
		err := obo.Rejected(&http.Response{StatusCode: test.status, Header: http.Header{"Www-Authenticate": {test.challenge}}})
		r, ok := errors.AsType[obo.Rejecter](err)
		if ok != test.rejected || (err == nil) == test.rejected {
			t.Errorf("%s: %v", test.desc, err)
			continue
		}
		if !ok {
			continue
		}
		if got, rejected := r.Rejected(); got != test.claims || !rejected {
			t.Errorf("%s: claims %q, %v; want %q", test.desc, got, rejected, test.claims)
		}
	}
}

// Claims of a downstream API travel to Entra, and in a header to the person's client: what is no JSON object, or too
// large for a header, goes nowhere.
func TestClaimsThatAreNone(t *testing.T) {
	a := startAuthority(t)
	client := newClient(t, a, nil)
	huge := `{"access_token":{"acrs":{"value":"` + strings.Repeat("c", 9<<10) + `"}}}`
	for n, claims := range []string{"not json", "[]", `"text"`, `{} {}`, huge} {
		var refusal *obo.Refusal
		err := obo.Do(t.Context(), client, person(t, n, 1), searchScope(t), func(identity.Token) error { return unauthorized(claims) })
		if err == nil || errors.As(err, &refusal) {
			t.Errorf("%.20s: %v, want the API's own error", claims, err)
		}
		_, err = client.Exchange(t.Context(), person(t, n, 1), searchScope(t), claims)
		if !errors.As(err, &refusal) || refusal.Reason != "claims" || refusal.Claims != "" {
			t.Errorf("%.20s: %v, want a refusal for the claims", claims, err)
		}
	}
}

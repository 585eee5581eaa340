package signin_test

import (
	"testing"

	"github.com/onbehalf/onbehalf/signin"
)

func TestDemandInWords(t *testing.T) {
	for claims, want := range map[string]string{
		"": "",
		`{"access_token":{"capolids":{"essential":true,"values":["p1","p2"]}}}`:                             "to meet the Conditional Access policy p1, p2",
		`{"access_token":{"acrs":{"essential":true,"value":"c1"}}}`:                                         "in the authentication context c1",
		`{"access_token":{"nbf":{"essential":true,"value":"1764000000"}}}`:                                  "since earlier sign-ins no longer count",
		`{"access_token":{"polids":{"values":["x"]},"acrs":{"values":["c2"]},"xms_cc":{"values":["cp1"]}}}`: "to meet the policy x, in the authentication context c2",
		`{"access_token":{"xms_cc":{"values":["cp1"]}}}`:                                                    "with more than before",
		"no JSON": "with more than before",
	} {
		if got := (signin.Cause{Claims: claims}).Demand(); got != want {
			t.Errorf("%s: got %q, want %q", claims, got, want)
		}
	}
}

package hops_test

import (
	"strings"
	"testing"
	"time"

	"github.com/onbehalf/onbehalf/chain"
	"github.com/onbehalf/onbehalf/internal/web/hops"
)

// Of a hop that was refused, or to which nobody answered, nothing is said that only one that went well did.
func TestNothingIsSaidThatDidNotHappen(t *testing.T) {
	for _, station := range []chain.Station{chain.Verify, chain.Exchange, chain.Search, chain.Graph, chain.Tool} {
		well := hops.Of(chain.Hop{Station: station, Decision: chain.Allowed, Name: "t"}, time.Time{})
		for _, decision := range []chain.Decision{chain.Refused, chain.Failed} {
			got := hops.Of(chain.Hop{Station: station, Decision: decision, Name: "t"}, time.Time{})
			if got.Text == well.Text || got.Text == "" || strings.Contains(got.Text, "returned") {
				t.Errorf("%s, %s: %q", station, decision, got.Text)
			}
		}
	}
}

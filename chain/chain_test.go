package chain_test

import (
	"context"
	"sync"
	"testing"

	"github.com/onbehalf/onbehalf/chain"
)

func TestHopsOfOneCall(t *testing.T) {
	ctx, call := chain.Begin(t.Context())
	other, _ := chain.Begin(t.Context())
	var wg sync.WaitGroup
	for range chain.MaxHops + 3 {
		wg.Go(func() { chain.Add(ctx, chain.Hop{Station: chain.Verify, Decision: chain.Allowed}) })
	}
	wg.Wait()
	hops, dropped := call.Hops()
	if len(hops) != chain.MaxHops || dropped != 3 {
		t.Errorf("got %d hops and %d dropped, want %d and 3", len(hops), dropped, chain.MaxHops)
	}
	if got, _ := chain.FromContext(other).Hops(); len(got) != 0 {
		t.Errorf("the other call has %d hops, want none", len(got))
	}
	if len(call.ID()) != 32 || call.ID() == chain.FromContext(other).ID() {
		t.Errorf("id %q is not 128 random bits", call.ID())
	}
}

func TestAddWithoutCall(t *testing.T) {
	chain.Add(context.Background(), chain.Hop{})
}

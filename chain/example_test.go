package chain_test

import (
	"context"
	"fmt"

	"github.com/onbehalf/onbehalf/chain"
)

// A tool that calls an API of its own adds a hop, so that the call's record says so.
func ExampleAdd() {
	ctx, call := chain.Begin(context.Background()) // in a handler of package onbehalf: done already
	chain.Add(ctx, chain.Hop{Station: "bookings", Decision: chain.Allowed, Audience: "api://bookings", Status: 200, Count: 3})
	hops, dropped := call.Hops()
	fmt.Println(len(call.ID()), len(hops), dropped, hops[0].Station, hops[0].Decision)
	// Output:
	// 32 1 0 bookings allowed
}

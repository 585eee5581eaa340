package flat_test

import (
	"io"
	"testing"

	"github.com/onbehalf/onbehalf/search/searchengine/internal/flat"
)

func BenchmarkWrite(b *testing.B) {
	numbers, lists := make([]uint32, 100_000), make([][]uint32, 10_000)
	for i := range lists {
		lists[i] = numbers[i : i+10]
	}
	b.ReportAllocs()
	for b.Loop() {
		w := flat.NewWriter(io.Discard)
		flat.Numbers(w, numbers)
		flat.Lists(w, lists)
		if err := w.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

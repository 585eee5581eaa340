package column

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/onbehalf/onbehalf/search/searchengine/internal/bitset"
)

func TestBetween(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	ints, floats := newInts(0), newFloats(0)
	values := []int64{math.MinInt64, -3, -1, 0, 1, 2, math.MaxInt64}
	const rows = 1000
	for row := range uint32(rows) {
		v := Value{Set: r.IntN(5) > 0, Int: values[r.IntN(len(values))]}
		v.Float = float64(v.Int)
		ints.append(row, &v)
		floats.append(row, &v)
	}
	for _, density := range []float64{0, 0.02, 0.3, 1} {
		within := bitset.New(rows)
		for row := range uint32(rows) {
			if r.Float64() < density {
				within.Add(row)
			}
		}
		for _, low := range values {
			for _, high := range values {
				gotInts, gotFloats := ints.Between(low, high, within), floats.Between(float64(low), float64(high), within)
				for row := range uint32(rows) {
					v := ints.Values[row]
					want := within.Has(row) && !ints.Nulls.Has(row) && v >= low && v <= high
					if gotInts.Has(row) != want || gotFloats.Has(row) != want {
						t.Fatalf("density %v, %d from %d to %d: got %v and %v; want %v", density, v, low, high, gotInts.Has(row), gotFloats.Has(row), want)
					}
				}
			}
		}
	}
}

func BenchmarkBetween(b *testing.B) {
	const rows = 100_000
	r := rand.New(rand.NewPCG(1, 1))
	c := newInts(0)
	for row := range uint32(rows) {
		c.append(row, &Value{Set: true, Int: r.Int64N(1_000_000)})
	}
	for _, percent := range []int{1, 18, 77, 100} {
		within := bitset.New(rows)
		for row := range uint32(rows) {
			if r.IntN(100) < percent {
				within.Add(row)
			}
		}
		b.Run(fmt.Sprintf("visible=%d%%", percent), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.Between(200_000, 600_000, within)
			}
		})
	}
}

package main

import (
	"fmt"
	"strings"
	"testing"
)

// All peers give the same answers: totals, pages and facets.
func TestAnswersAgree(t *testing.T) {
	var out strings.Builder
	if err := run(t.Context(), options{docs: 400, queries: 6, quick: true, out: &out}); err != nil {
		t.Fatal(err)
	}
	for _, p := range peers() {
		if !strings.Contains(out.String(), "| "+p.name+" |") {
			t.Errorf("no line for %s in\n%s", p.name, out.String())
		}
	}
	for line := range strings.Lines(out.String()) {
		if cells := strings.Split(line, " | "); len(cells) == 7 && !strings.HasPrefix(line, "|---") && !strings.HasPrefix(line, "| |") && cells[6] != "0, 0, 0 |\n" {
			t.Errorf("answers differ: %s", line)
		}
	}
}

// The corpus of 10,000 documents, each kind of query, callers in 200 and 2,000 groups.
func BenchmarkPeers(b *testing.B) {
	c := madeCorpus(10_000)
	for _, p := range peers() {
		b.Run(p.name, func(b *testing.B) {
			x, err := p.open(b.TempDir())
			if err != nil {
				b.Fatal(err)
			}
			if err := x.load(b.Context(), c); err != nil {
				b.Fatal(err)
			}
			for _, groups := range []int{200, 2000} {
				callers := c.callers(1, groups)
				for _, k := range kinds() {
					queries := c.queries(k, 50)
					b.Run(fmt.Sprintf("%s/%d groups", k, groups), func(b *testing.B) {
						b.ReportAllocs()
						for i := 0; b.Loop(); i++ {
							if _, err := x.ask(b.Context(), callers[0], queries[i%len(queries)]); err != nil {
								b.Fatal(err)
							}
						}
					})
				}
			}
			if err := x.close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}

package main

import (
	"fmt"
	"runtime"
	"strings"
	"time"
)

// report prints the tables as Markdown: ratios first, because they hold on other machines too.
func (b *bench) report() error {
	var s strings.Builder
	fmt.Fprintf(&s, "%d documents, %s, %d processors, %d queries a figure\n", b.docs, runtime.Version(), runtime.GOMAXPROCS(0), b.queries)
	if len(b.results) > 1 {
		s.WriteString("\n### How many times longer than onbehalf, p50\n\n")
		b.latencyTable(&s, b.results[1:], func(r *result, at cell) string {
			ours := percentile(b.results[0].latencies[at], 50)
			return fmt.Sprintf("%.3g", float64(percentile(r.latencies[at], 50))/float64(ours))
		})
	}
	s.WriteString("\n### p50 in ms (p99)\n\n")
	b.latencyTable(&s, b.results, func(r *result, at cell) string {
		return ms(percentile(r.latencies[at], 50)) + " (" + ms(percentile(r.latencies[at], 99)) + ")"
	})
	s.WriteString("\n### Queries a second of the mix (p99 in ms), by goroutines and groups\n\n")
	b.rateTable(&s)
	s.WriteString("\n### Loading, size, answers\n\n| | documents/s, durable | disk MB | heap MB | open + first query | first query of a caller in some / many groups, worst of 5 | answers that differ: all, two terms, filter + facet |\n|---|---|---|---|---|---|---|\n")
	for _, r := range b.results {
		reopen := "-"
		if r.reopen > 0 {
			reopen = ms(r.reopen) + " ms"
		}
		fmt.Fprintf(&s, "| %s | %.0f | %d | %d | %s | %s / %s ms | %d, %d, %d |\n", r.name, float64(b.docs)/r.load.Seconds(), r.disk>>20, r.heap>>20,
			reopen, ms(r.cold[b.corpus.groupSizes[1]]), ms(r.cold[b.corpus.groupSizes[2]]), b.differ(r, matchAll), b.differ(r, twoTerms), b.differ(r, filterFacet))
	}
	_, err := fmt.Fprint(b.out, s.String())
	return err
}

// differ counts the answers to a kind of task that are not those of the first peer.
func (b *bench) differ(r *result, k kind) int {
	n := 0
	for _, groups := range b.corpus.groupSizes {
		n += r.differ[cell{k, groups}]
	}
	return n
}

func (b *bench) latencyTable(s *strings.Builder, results []*result, show func(r *result, at cell) string) {
	var cells []cell
	var heads []string
	for _, k := range kinds() {
		for _, groups := range b.corpus.groupSizes {
			cells = append(cells, cell{k, groups})
			heads = append(heads, fmt.Sprintf("%s, %d groups", k, groups))
		}
	}
	head(s, heads)
	for _, r := range results {
		s.WriteString("| " + r.name)
		for _, at := range cells {
			s.WriteString(" | " + show(r, at))
		}
		s.WriteString(" |\n")
	}
}

func (b *bench) rateTable(s *strings.Builder) {
	heads := make([]string, len(b.rates()))
	for i, at := range b.rates() {
		heads[i] = fmt.Sprintf("%d gor., %d gr.", at.goroutines, at.groups)
	}
	head(s, heads)
	for _, r := range b.results {
		s.WriteString("| " + r.name)
		for _, at := range b.rates() {
			fmt.Fprintf(s, " | %.0f (%s)", r.rates[at].perSecond, ms(r.rates[at].p99))
		}
		s.WriteString(" |\n")
	}
}

// head writes the head of a table.
func head(s *strings.Builder, columns []string) {
	s.WriteString("| | " + strings.Join(columns, " | ") + " |\n|---|" + strings.Repeat("---|", len(columns)) + "\n")
}

func ms(d time.Duration) string {
	v := float64(d) / float64(time.Millisecond)
	if v >= 100 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.2g", v)
}

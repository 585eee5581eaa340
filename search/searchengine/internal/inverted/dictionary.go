package inverted

import (
	"slices"
	"sync"
)

// dictionary keeps the terms of a field in order, for prefixes and patterns. Sorting is put off until somebody asks.
type dictionary struct {
	all []string // in order of arrival

	mu     sync.Mutex // readers sort
	sorted []string   // the first len(sorted) of all
}

func (d *dictionary) add(term string) { d.all = append(d.all, term) }

// inOrder returns all terms sorted by their bytes. The result must not be changed.
func (d *dictionary) inOrder() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if n := len(d.sorted); n < len(d.all) {
		fresh := slices.Clone(d.all[n:])
		slices.Sort(fresh)
		d.sorted = merge(d.sorted, fresh)
	}
	return d.sorted
}

func merge(a, b []string) []string {
	out := make([]string, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		if a[0] < b[0] {
			out, a = append(out, a[0]), a[1:]
		} else {
			out, b = append(out, b[0]), b[1:]
		}
	}
	return append(append(out, a...), b...)
}

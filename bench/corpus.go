package main

import (
	"encoding/json"
	"fmt"
	"iter"
	"math/rand"
	"slices"
	"strings"
	"time"
)

// corpus is what all peers load, with who asks and for what.
type corpus struct {
	size           int
	documents      iter.Seq[*document]
	users, groups  []string
	groupSizes     []int    // in how many groups callers are
	frequent, rare []string // words to ask for
}

// The made corpus consists of random words with the frequencies of real ones: some 100 words a document, a skewed
// category, a date, a number, and who may read it. The same numbers give the same corpus.
const (
	vocabulary = 30_000
	userCount  = 20_000
	groupCount = 5_000
	categories = 40
)

type document struct {
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	Content  string    `json:"content"`
	Category string    `json:"category"`
	Created  time.Time `json:"created"`
	Number   int64     `json:"number"`
	Users    []string  `json:"users"`
	Groups   []string  `json:"groups"`
}

func (d *document) json() []byte {
	b, err := json.Marshal(d)
	if err != nil {
		panic(err) // strings and numbers always encode
	}
	return b
}

func madeCorpus(size int) *corpus {
	r := rand.New(rand.NewSource(7))
	syllables := strings.Fields("ba ke li mo nu ra se ti vo zu dar fen gil hos jun pra ste tri wol cha")
	var words []string
	seen := map[string]bool{}
	for len(words) < vocabulary {
		var b strings.Builder
		for range 2 + r.Intn(3) {
			b.WriteString(syllables[r.Intn(len(syllables))])
		}
		if w := b.String(); !seen[w] {
			seen[w] = true
			words = append(words, w)
		}
	}
	ids := func(n int) []string {
		out := make([]string, n)
		for i := range out {
			out[i] = fmt.Sprintf("%08x-%04x-4%03x-%04x-%012x", r.Uint32(), r.Intn(1<<16), r.Intn(1<<12), 0x8000|r.Intn(1<<14), r.Int63()&0xffffffffffff)
		}
		return out
	}
	c := &corpus{size: size, users: ids(userCount), groups: ids(groupCount), groupSizes: []int{3, 200, 2000}, frequent: words[20:500], rare: words[500:5000]}
	c.documents = c.make(words)
	return c
}

// make makes documents, in an order that is not that of their ids.
func (c *corpus) make(words []string) iter.Seq[*document] {
	return func(yield func(*document) bool) {
		r := rand.New(rand.NewSource(1))
		word := rand.NewZipf(r, 1.07, 2.7, vocabulary-1)
		category := rand.NewZipf(r, 1.2, 3, categories-1)
		pick := func(from []string, n int) []string {
			out := make([]string, n)
			for i := range out {
				out[i] = from[r.Intn(len(from))]
			}
			return out
		}
		for i := range c.size {
			content := make([]string, 60+r.Intn(81))
			for k := range content {
				content[k] = words[word.Uint64()]
			}
			d := &document{
				ID:       fmt.Sprintf("doc-%07d", i*7919%c.size),
				Name:     strings.Join(pick(words, 3), " "),
				Content:  strings.Join(content, " "),
				Category: fmt.Sprintf("cat-%02d", category.Uint64()),
				Created:  epoch().Add(time.Duration(r.Int63n(10*365*86400)) * time.Second),
				Number:   r.Int63n(1_000_000),
				Users:    pick(c.users, 1+r.Intn(5)),
				Groups:   pick(c.groups, r.Intn(11)),
			}
			if !yield(d) {
				return
			}
		}
	}
}

func epoch() time.Time { return time.Date(2015, 1, 1, 0, 0, 0, 0, time.UTC) }

// batches cuts the documents into batches.
func (c *corpus) batches(size int) iter.Seq[[]*document] {
	return func(yield func([]*document) bool) {
		var batch []*document
		for d := range c.documents {
			if batch = append(batch, d); len(batch) == size {
				if !yield(batch) {
					return
				}
				batch = nil
			}
		}
		if len(batch) > 0 {
			yield(batch)
		}
	}
}

// caller is somebody who asks: in how many groups she is decides how much she sees.
type caller struct {
	user   string
	groups []string
}

// everyone stands where documents are for all.
const everyone = "all"

func (c *caller) principals() []string { return append([]string{c.user, everyone}, c.groups...) }

func (c *corpus) callers(n, groups int) []*caller {
	r := rand.New(rand.NewSource(int64(100 + groups)))
	out := make([]*caller, n)
	for i := range out {
		out[i] = &caller{user: c.users[r.Intn(len(c.users))]}
		for _, g := range r.Perm(len(c.groups))[:groups] {
			out[i].groups = append(out[i].groups, c.groups[g])
		}
	}
	return out
}

// task is one of three kinds. All are answered with the total, and the 50 first documents in full.
type task struct {
	kind  kind
	words [2]string // twoTerms: a frequent and a rarer one, either of which may match
	least int64     // filterFacet: of number
	from  time.Time // filterFacet: of created
	to    time.Time
}

type kind string

const (
	matchAll    kind = "all, by id"
	twoTerms    kind = "two terms, by score"
	filterFacet kind = "filter + facet, by id"
)

func kinds() []kind { return []kind{matchAll, twoTerms, filterFacet} }

func (c *corpus) queries(k kind, n int) []*task {
	r := rand.New(rand.NewSource(55))
	out := make([]*task, n)
	for i := range out {
		from := epoch().Add(time.Duration(r.Int63n(5*365*86400)) * time.Second)
		out[i] = &task{
			kind: k, words: [2]string{c.frequent[r.Intn(len(c.frequent))], c.rare[r.Intn(len(c.rare))]},
			least: r.Int63n(500_000), from: from, to: from.Add(4 * 365 * 24 * time.Hour),
		}
	}
	return out
}

const pageSize = 50

// answer is what the peers must agree on.
type answer struct {
	total int
	ids   []string // of the page
	bytes int      // of its documents
	facet map[string]int
}

// same compares what is certain: the ids of a page by score depend on the formula.
func (a *answer) same(b *answer, k kind) bool {
	if a.total != b.total || k != twoTerms && !slices.Equal(a.ids, b.ids) {
		return false
	}
	for value, n := range a.facet {
		if b.facet[value] != n {
			return false
		}
	}
	return len(a.facet) == len(b.facet)
}

// difference says how another answer is not the same.
func (a *answer) difference(b *answer) string {
	ids := 0
	for ids < min(len(a.ids), len(b.ids)) && a.ids[ids] == b.ids[ids] {
		ids++
	}
	return fmt.Sprintf("%d instead of %d documents, the first %d ids alike, facets %v instead of %v", b.total, a.total, ids, b.facet, a.facet)
}

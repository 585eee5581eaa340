package searchengine_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/onbehalf/onbehalf/search"
	"github.com/onbehalf/onbehalf/search/searchengine"
)

// corpus makes documents like those of a company, the same at every run: 60 to 140 words of a vocabulary in which few are
// common and most are rare, and permissions of a few people and groups each.
type corpus struct {
	*rand.Rand
	words         []string
	users, groups []string
	total, made   int
	word          *rand.Zipf
	category      *rand.Zipf
}

const (
	corpusWords      = 30_000
	corpusUsers      = 20_000
	corpusGroups     = 5_000
	corpusCategories = 40
)

func newCorpus(total int) *corpus {
	r := rand.New(rand.NewPCG(1, 2))
	c := &corpus{
		Rand: r, total: total,
		word:     rand.NewZipf(r, 1.07, 2.7, corpusWords-1),
		category: rand.NewZipf(r, 1.2, 3, corpusCategories-1),
	}
	syllables := strings.Fields("an bel cor du est fir gan hol im jas ket lo mur nis op pra quo rin sel tam und vex wil yor zan")
	seen := map[string]bool{}
	for len(c.words) < corpusWords {
		parts := make([]string, 2+r.IntN(3))
		for i := range parts {
			parts[i] = syllables[r.IntN(len(syllables))]
		}
		word := strings.Join(parts, "")
		if !seen[word] {
			seen[word] = true
			c.words = append(c.words, word)
		}
	}
	for range corpusUsers {
		c.users = append(c.users, c.id())
	}
	for range corpusGroups {
		c.groups = append(c.groups, c.id())
	}
	return c
}

// id is like an object id.
func (c *corpus) id() string {
	return fmt.Sprintf("%08x-%04x-4%03x-a%03x-%012x", c.Uint32(), c.IntN(1<<16), c.IntN(1<<12), c.IntN(1<<12), c.Int64N(1<<48))
}

const corpusIndex = `{"name":"corpus","permissionFilterOption":"enabled","fields":[
	{"name":"id","type":"Edm.String","key":true},
	{"name":"name","type":"Edm.String","filterable":false,"sortable":false,"facetable":false},
	{"name":"content","type":"Edm.String","filterable":false,"sortable":false,"facetable":false},
	{"name":"category","type":"Edm.String","searchable":false},
	{"name":"created","type":"Edm.DateTimeOffset"},
	{"name":"number","type":"Edm.Int64"},
	{"name":"userIds","type":"Collection(Edm.String)","permissionFilter":"userIds","searchable":false},
	{"name":"groupIds","type":"Collection(Edm.String)","permissionFilter":"groupIds","searchable":false}]}`

// next makes a document of about 1.4 KB.
func (c *corpus) next(tb testing.TB) search.Action {
	tb.Helper()
	content := make([]string, 60+c.IntN(81))
	for i := range content {
		content[i] = c.words[c.word.Uint64()]
	}
	some := func(of []string, n int) []string {
		out := make([]string, n)
		for i := range out {
			out[i] = of[c.IntN(len(of))]
		}
		return out
	}
	doc, err := json.Marshal(map[string]any{
		"id":       fmt.Sprintf("doc-%07d", c.made*7919%c.total), // not in their order
		"name":     strings.Join(some(c.words, 3), " "),
		"content":  strings.Join(content, " "),
		"category": fmt.Sprintf("cat-%02d", c.category.Uint64()),
		"created":  time.Date(2015, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(c.IntN(10*365*24*3600)) * time.Second),
		"number":   c.IntN(1_000_000),
		"userIds":  some(c.users, 1+c.IntN(5)),
		"groupIds": some(c.groups, c.IntN(11)),
	})
	if err != nil {
		tb.Fatal(err)
	}
	c.made++
	return search.Action{Document: doc}
}

// batches makes so many documents, in batches of 1,000.
func (c *corpus) batches(tb testing.TB, n int) [][]search.Action {
	tb.Helper()
	var out [][]search.Action
	for range n {
		if len(out) == 0 || len(out[len(out)-1]) == 1000 {
			out = append(out, make([]search.Action, 0, 1000))
		}
		last := len(out) - 1
		out[last] = append(out[last], c.next(tb))
	}
	return out
}

func (c *corpus) fill(tb testing.TB, e *searchengine.Engine, n int) {
	tb.Helper()
	define(tb, e, corpusIndex)
	for _, batch := range c.batches(tb, n) {
		if _, err := e.Write(tb.Context(), "corpus", batch); err != nil {
			tb.Fatal(err)
		}
	}
}

// caller is somebody in so many groups.
func (c *corpus) caller(tb testing.TB, groups int) search.User {
	tb.Helper()
	p := person(tb, c.users[c.IntN(len(c.users))])
	for _, n := range c.Perm(len(c.groups))[:groups] {
		p.Groups = append(p.Groups, c.groups[n])
	}
	return p
}

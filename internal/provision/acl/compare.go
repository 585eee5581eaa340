package acl

import (
	"iter"
)

// Difference is a document that the service returns and the permissions do not allow, or the other way round.
type Difference struct {
	Key      string `json:"document"`
	Allowed  bool   `json:"allowed"`
	Returned bool   `json:"returned"`
}

// Comparison is what came of one person.
type Comparison struct {
	Allowed, Returned int
	Leaks             int // returned, and not allowed
	Missing           int // allowed, and not returned
	Undecided         int // not allowed by what is known, returned or not: something else may allow them
	Differences       []Difference
}

// Same reports that every document is as the permissions say.
func (c *Comparison) Same() bool { return c.Leaks == 0 && c.Missing == 0 }

// maxDifferences bounds how many differences are kept; all are counted.
const maxDifferences = 1000

// Compare holds ascending lists of keys against one another, without keeping them: what is allowed, what was returned, and what
// something else may allow, of which nothing can be said.
func Compare(allowed, returned, undecided iter.Seq2[string, error]) (*Comparison, error) {
	c := &Comparison{Differences: []Difference{}}
	lists := [3]*list{pull(allowed), pull(returned), pull(undecided)}
	for _, l := range lists {
		defer l.stop()
	}
	for {
		key, more := "", false
		for _, l := range lists {
			if l.err != nil {
				return c, l.err
			}
			if l.more && (!more || l.key < key) {
				key, more = l.key, true
			}
		}
		if !more {
			return c, nil
		}
		c.count(key, lists[0].take(key), lists[1].take(key), lists[2].take(key))
	}
}

// count counts a document.
func (c *Comparison) count(key string, allowed, returned, undecided bool) {
	if allowed {
		c.Allowed++
	}
	if returned {
		c.Returned++
	}
	switch {
	case allowed && !returned:
		c.Missing++
	case !allowed && undecided:
		c.Undecided++
		return
	case returned && !allowed:
		c.Leaks++
	default:
		return
	}
	if len(c.Differences) < maxDifferences {
		c.Differences = append(c.Differences, Difference{Key: key, Allowed: allowed, Returned: returned})
	}
}

// list is a list of keys and its next one.
type list struct {
	next func() (string, error, bool)
	stop func()
	key  string
	err  error
	more bool
}

func pull(keys iter.Seq2[string, error]) *list {
	l := &list{}
	l.next, l.stop = iter.Pull2(keys)
	l.key, l.err, l.more = l.next()
	return l
}

// take goes on when the next key is this one, and reports whether it was.
func (l *list) take(key string) bool {
	if !l.more || l.key != key {
		return false
	}
	l.key, l.err, l.more = l.next()
	return true
}

// Nothing is an empty list.
func Nothing() iter.Seq2[string, error] { return func(func(string, error) bool) {} }

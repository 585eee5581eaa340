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
	Differences       []Difference
}

// Same reports that every document is as the permissions say.
func (c *Comparison) Same() bool { return c.Leaks == 0 && c.Missing == 0 }

// maxDifferences bounds how many differences are kept; all are counted.
const maxDifferences = 1000

// Compare holds two ascending lists of keys against one another, without keeping either.
func Compare(allowed, returned iter.Seq2[string, error]) (*Comparison, error) {
	c := &Comparison{Differences: []Difference{}}
	nextA, stopA := iter.Pull2(allowed)
	defer stopA()
	nextR, stopR := iter.Pull2(returned)
	defer stopR()
	a, errA, moreA := nextA()
	r, errR, moreR := nextR()
	for moreA || moreR {
		switch {
		case errA != nil:
			return c, errA
		case errR != nil:
			return c, errR
		case moreA && moreR && a == r:
			c.Allowed++
			c.Returned++
			a, errA, moreA = nextA()
			r, errR, moreR = nextR()
		case moreA && (!moreR || a < r):
			c.Allowed++
			c.Missing++
			c.note(Difference{Key: a, Allowed: true})
			a, errA, moreA = nextA()
		default:
			c.Returned++
			c.Leaks++
			c.note(Difference{Key: r, Returned: true})
			r, errR, moreR = nextR()
		}
	}
	return c, nil
}

func (c *Comparison) note(d Difference) {
	if len(c.Differences) < maxDifferences {
		c.Differences = append(c.Differences, d)
	}
}

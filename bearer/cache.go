package bearer

import (
	"sync"
	"time"

	"github.com/onbehalf/onbehalf/identity"
)

// cacheFor bounds how long a verified token is believed without another look: what continuous access evaluation
// revokes must not live on here.
const cacheFor = time.Minute

// cache remembers verified tokens by the SHA-256 of their text, never by the text. It holds two generations: when the
// young one is full or a minute old it becomes the old one, and the old one is forgotten whole. That bounds memory at
// a constant cost, without a list to keep in order.
type cache struct {
	half int // entries of one generation

	mu         sync.RWMutex
	young, old map[[32]byte]cached
	turned     time.Time
}

type cached struct {
	caller *identity.Caller
	checks []string // that it passed
	until  time.Time
}

func newCache(size int) *cache {
	if size == 0 {
		size = defaultCache
	}
	return &cache{half: max(0, size) / 2, young: map[[32]byte]cached{}}
}

// get returns the caller of a token that was verified less than a minute ago and has not expired, and what was checked.
func (c *cache) get(digest *[32]byte, now time.Time) (*identity.Caller, []string) {
	c.mu.RLock()
	entry, ok := c.young[*digest]
	if !ok {
		entry = c.old[*digest]
	}
	c.mu.RUnlock()
	if entry.caller == nil || !now.Before(entry.until) {
		return nil, nil
	}
	return entry.caller, entry.checks
}

func (c *cache) put(caller *identity.Caller, checks []string, now time.Time) {
	until := now.Add(cacheFor)
	if caller.Expires.Before(until) {
		until = caller.Expires
	}
	if c.half == 0 || !now.Before(until) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.young) >= c.half || now.Sub(c.turned) > cacheFor {
		c.old, c.young, c.turned = c.young, make(map[[32]byte]cached), now
	}
	c.young[caller.Digest] = cached{caller, checks, until}
}

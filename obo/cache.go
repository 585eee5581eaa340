package obo

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"sync"
	"time"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
)

// digest names a wish: SHA-256 over everything that makes one token differ from another.
type digest [sha256.Size]byte

// key returns the digest of the wish. Each part is preceded by its length, so that no two wishes read the same.
func (w *wish) key(client identity.ClientID) digest {
	var space [512]byte
	b := space[:0]
	cae := byte(0)
	if w.cae {
		cae = 1
	}
	b = append(b, 1, cae) // version of this layout
	for _, part := range [...]string{w.caller.Tenant.String(), client.String(), w.scope.Resource(), w.scope.Name(), w.claims} {
		b = binary.AppendUvarint(b, uint64(len(part)))
		b = append(b, part...)
	}
	b = append(b, w.assertion[:]...)
	return sha256.Sum256(b)
}

// who is a person: tenant and object.
type who struct {
	tenant identity.TenantID
	object identity.ObjectID
}

// person is what the cache knows of somebody.
type person struct {
	who
	entries []*entry    // at most perPerson
	misses  []time.Time // of the last minute, at most perMinute
	held    *Refusal    // Entra asked this person to wait,
	until   time.Time   // until then
}

// entry is a token, a refusal that is remembered, or (neither) the mark that the shared cache held a rejected token.
//
// What a hit reads and writes stands first, and together: with many people each line of memory is a cold one.
type entry struct {
	seen      int64 // when it was used last, nanoseconds of Unix time
	who       who   // its owner's
	until     time.Time
	refreshAt time.Time
	refusal   *Refusal
	token     identity.Token

	key          digest
	owner        *person
	placed       int64 // what seen was when it took its place in the line
	newer, older *entry
}

// cache keeps tokens and refusals, bounded in all and for each person; who was not used the longest leaves first. Of a
// person's own entries that is exactly so. Among all it is the one that waited longest without being used: a hit only
// notes the time, and who is used meanwhile goes to the end of the line when its turn to leave has come (the second
// chance of "A Paging Experiment with the Multics System", Corbató 1968). Moving it at each hit would touch its neighbours.
type cache struct {
	total, perPerson, perMinute int
	refreshAhead                time.Duration

	mu             sync.Mutex
	entries        map[digest]*entry
	newest, oldest *entry
	people         map[who]*person
	sweepAt        int
	paused         *Refusal // Entra asked everybody to wait,
	pausedUntil    time.Time
}

// refreshPause is how long after an attempt to renew a token the next one may start.
const refreshPause = 30 * time.Second

const minSweep = 1024

func newCache(total, perPerson, perMinute int, refreshAhead time.Duration) *cache {
	return &cache{
		total: total, perPerson: perPerson, perMinute: perMinute, refreshAhead: refreshAhead,
		entries: map[digest]*entry{}, people: map[who]*person{}, sweepAt: minSweep,
	}
}

// found is what a look-up brought.
type found struct {
	token     identity.Token
	refusal   *Refusal
	refresh   bool // the token should be renewed, by this call
	untrusted bool // the shared cache may still hold a token that was rejected
}

// get returns the token or refusal that is kept for the wish.
func (ca *cache) get(key digest, c *identity.Caller, now time.Time) (found, bool) {
	ca.mu.Lock()
	defer ca.mu.Unlock()
	e, ok := ca.entries[key]
	if !ok {
		return found{}, false
	}
	if !now.Before(e.until) || e.who != (who{c.Tenant, c.Object}) {
		ca.remove(e)
		return found{}, false
	}
	e.seen = now.UnixNano()
	if e.refusal == nil && e.token.Value.IsZero() {
		return found{untrusted: true}, false
	}
	refresh := e.refusal == nil && !now.Before(e.refreshAt) && c.Expires.After(e.token.Expires)
	if refresh {
		e.refreshAt = now.Add(refreshPause)
	}
	return found{token: e.token, refusal: e.refusal, refresh: refresh}, true
}

// put keeps a token until it or the assertion it was made from expires, whichever is earlier.
func (ca *cache) put(key digest, c *identity.Caller, token identity.Token, now time.Time) {
	until := token.Expires.Add(-minimumLife)
	if c.Expires.Before(until) {
		until = c.Expires
	}
	ca.insert(entry{key: key, token: token, until: until, refreshAt: token.Expires.Add(-ca.refreshAhead)}, c, now)
}

// putRefusal remembers a refusal for a while.
func (ca *cache) putRefusal(key digest, c *identity.Caller, refusal *Refusal, until, now time.Time) {
	ca.insert(entry{key: key, refusal: refusal, until: until}, c, now)
}

// forgetRefusal drops what putRefusal remembered. A token stays.
func (ca *cache) forgetRefusal(key digest) {
	ca.mu.Lock()
	defer ca.mu.Unlock()
	if e, ok := ca.entries[key]; ok && e.refusal != nil {
		ca.remove(e)
	}
}

func (ca *cache) insert(e entry, c *identity.Caller, now time.Time) {
	if !now.Before(e.until) {
		return
	}
	ca.mu.Lock()
	defer ca.mu.Unlock()
	if old, ok := ca.entries[e.key]; ok {
		ca.remove(old)
	}
	for range 2 { // those who were not used for long are mostly expired
		if ca.oldest != nil && !now.Before(ca.oldest.until) {
			ca.remove(ca.oldest)
		}
	}
	e.owner = ca.person(c, now)
	e.who, e.seen = e.owner.who, now.UnixNano()
	if len(e.owner.entries) >= ca.perPerson {
		ca.remove(e.owner.leastRecent())
	}
	if len(ca.entries) >= ca.total {
		ca.remove(ca.leastRecent())
	}
	e.owner.entries = append(e.owner.entries, &e)
	ca.entries[e.key] = &e
	ca.push(&e)
}

// admit takes one miss out of the person's budget, or refuses.
func (ca *cache) admit(c *identity.Caller, now time.Time) *Refusal {
	ca.mu.Lock()
	defer ca.mu.Unlock()
	if now.Before(ca.pausedUntil) {
		return ca.paused.waiting(ca.pausedUntil.Sub(now))
	}
	p := ca.person(c, now)
	if now.Before(p.until) {
		return p.held.waiting(p.until.Sub(now))
	}
	p.forget(now)
	if len(p.misses) >= ca.perMinute {
		return refuse("budget", entra.Advice{
			Kind: entra.Throttled, Cause: "You have asked for too many different tokens within a minute.", Who: entra.You, Fix: "Wait a moment, then try again.",
		}, nil).waiting(p.misses[0].Add(time.Minute).Sub(now))
	}
	p.misses = append(p.misses, now)
	return nil
}

// hold makes the person wait; pause makes everybody wait.
func (ca *cache) hold(c *identity.Caller, r *Refusal, until, now time.Time) {
	ca.mu.Lock()
	defer ca.mu.Unlock()
	p := ca.person(c, now)
	p.held, p.until = r, until
}

func (ca *cache) pause(r *Refusal, until time.Time) {
	ca.mu.Lock()
	defer ca.mu.Unlock()
	ca.paused, ca.pausedUntil = r, until
}

// holds reports whether the cache keeps this very token or none for the key: false means that a newer one is there.
func (ca *cache) holds(key digest, token identity.Token) bool {
	ca.mu.Lock()
	defer ca.mu.Unlock()
	e, ok := ca.entries[key]
	return !ok || e.token.Value.Reveal() == token.Value.Reveal()
}

// drop forgets the person's entries that hold the token, and leaves a mark under the keys that the shared cache must
// not be asked for.
func (ca *cache) drop(c *identity.Caller, token identity.Token, keys []digest, now time.Time) {
	ca.mu.Lock()
	if p, ok := ca.people[who{c.Tenant, c.Object}]; ok {
		for _, e := range slices.Clone(p.entries) {
			if e.token.Value.Reveal() == token.Value.Reveal() {
				ca.remove(e)
			}
		}
	}
	ca.mu.Unlock()
	for _, key := range keys {
		ca.insert(entry{key: key, until: now.Add(time.Minute)}, c, now)
	}
}

// dropPerson forgets every token of the person, for good reason: the sign-ins were revoked.
func (ca *cache) dropPerson(c *identity.Caller) {
	ca.mu.Lock()
	defer ca.mu.Unlock()
	if p, ok := ca.people[who{c.Tenant, c.Object}]; ok {
		for _, e := range slices.Clone(p.entries) {
			ca.remove(e)
		}
	}
}

// clear forgets everything.
func (ca *cache) clear() {
	ca.mu.Lock()
	defer ca.mu.Unlock()
	clear(ca.entries)
	clear(ca.people)
	ca.newest, ca.oldest = nil, nil
}

// person finds or makes what is known of the caller; idle people are swept out as their number grows.
func (ca *cache) person(c *identity.Caller, now time.Time) *person {
	name := who{c.Tenant, c.Object}
	if p, ok := ca.people[name]; ok {
		return p
	}
	if len(ca.people) >= ca.sweepAt {
		ca.sweep(func(p *person) bool { return p.idle(now) })
		if len(ca.people) > 2*ca.total { // a flood of people: who has nothing here loses the count of her misses
			ca.sweep(func(p *person) bool { return len(p.entries) == 0 })
		}
		ca.sweepAt = max(minSweep, min(2*len(ca.people), 2*ca.total+1))
	}
	p := &person{who: name}
	ca.people[name] = p
	return p
}

func (ca *cache) sweep(leaves func(*person) bool) {
	for name, p := range ca.people {
		if leaves(p) {
			delete(ca.people, name)
		}
	}
}

func (p *person) forget(now time.Time) {
	recent := slices.IndexFunc(p.misses, func(at time.Time) bool { return now.Sub(at) < time.Minute })
	if recent < 0 {
		recent = len(p.misses)
	}
	p.misses = slices.Delete(p.misses, 0, recent)
}

func (p *person) idle(now time.Time) bool {
	p.forget(now)
	return len(p.entries) == 0 && len(p.misses) == 0 && !now.Before(p.until)
}

// leastRecent returns the person's entry that was not used the longest.
func (p *person) leastRecent() *entry {
	return slices.MinFunc(p.entries, func(a, b *entry) int { return cmp.Compare(a.seen, b.seen) })
}

// leastRecent returns the first of the line that was not used since it took its place. Each entry is passed over once at
// most: then its place is as new as its use.
func (ca *cache) leastRecent() *entry {
	for e := ca.oldest; e.seen > e.placed; e = ca.oldest {
		ca.unlink(e)
		ca.push(e)
	}
	return ca.oldest
}

func (ca *cache) push(e *entry) {
	e.placed = e.seen
	e.older, e.newer = ca.newest, nil
	if ca.newest != nil {
		ca.newest.newer = e
	}
	ca.newest = e
	if ca.oldest == nil {
		ca.oldest = e
	}
}

func (ca *cache) unlink(e *entry) {
	if e.newer != nil {
		e.newer.older = e.older
	} else {
		ca.newest = e.older
	}
	if e.older != nil {
		e.older.newer = e.newer
	} else {
		ca.oldest = e.newer
	}
}

func (ca *cache) remove(e *entry) {
	ca.unlink(e)
	delete(ca.entries, e.key)
	if at := slices.Index(e.owner.entries, e); at >= 0 {
		e.owner.entries = slices.Delete(e.owner.entries, at, at+1)
	}
}

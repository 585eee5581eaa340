package searchserver

import (
	"context"
	"slices"
	"sync"
	"time"
)

// maxPeople bounds how many people's groups are remembered.
const maxPeople = 10_000

// groupCache remembers for a while who is in which groups: the service does so too.
type groupCache struct {
	ask  func(ctx context.Context, oid string) ([]string, error)
	life time.Duration
	now  func() time.Time

	mu     sync.Mutex
	people map[string]membership
}

type membership struct {
	groups []string
	until  time.Time
}

func newGroupCache(ask func(context.Context, string) ([]string, error), life time.Duration, now func() time.Time) *groupCache {
	return &groupCache{ask: ask, life: life, now: now, people: map[string]membership{}}
}

// of returns the person's groups, from memory or by asking. An error is not remembered.
func (g *groupCache) of(ctx context.Context, oid string) ([]string, error) {
	if g.ask == nil {
		return nil, nil
	}
	now := g.now()
	g.mu.Lock()
	known, ok := g.people[oid]
	g.mu.Unlock()
	if ok && now.Before(known.until) {
		return known.groups, nil
	}
	groups, err := g.ask(ctx, oid)
	if err != nil {
		return nil, err
	}
	groups = slices.Clone(groups)
	if g.life > 0 {
		g.remember(oid, membership{groups, now.Add(g.life)}, now)
	}
	return groups, nil
}

func (g *groupCache) remember(oid string, m membership, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.people) >= maxPeople {
		for other, old := range g.people {
			if !now.Before(old.until) {
				delete(g.people, other)
			}
		}
	}
	if len(g.people) >= maxPeople {
		clear(g.people)
	}
	g.people[oid] = m
}

func (g *groupCache) reset() {
	g.mu.Lock()
	defer g.mu.Unlock()
	clear(g.people)
}

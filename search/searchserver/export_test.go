package searchserver

import (
	"context"
	"time"
)

// GroupCacheForTest shows the cache to tests from outside.
type GroupCacheForTest struct{ cache *groupCache }

// NewGroupCacheForTest makes one.
func NewGroupCacheForTest(ask func(context.Context, string) ([]string, error), life time.Duration, now func() time.Time) GroupCacheForTest {
	return GroupCacheForTest{newGroupCache(ask, life, now)}
}

// Of returns a person's groups.
func (g GroupCacheForTest) Of(ctx context.Context, oid string) ([]string, error) {
	return g.cache.of(ctx, oid)
}

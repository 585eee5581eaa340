package network

import (
	"context"

	"github.com/onbehalf/onbehalf/internal/doctor/check"
	"github.com/onbehalf/onbehalf/internal/doctor/exam"
)

// cacheChecks look at what replicas share.
func cacheChecks() []areaCheck {
	return []areaCheck{
		{ID: "cache.redis", Title: "the shared token cache answers", Needs: []string{"settings.cache"}, Run: cacheRedis},
	}
}

func cacheRedis(ctx context.Context, s *state) exam.Finding {
	if s.Setting("REDIS_URL") == "" {
		return exam.Good("not used")
	}
	if s.Redis == nil {
		return exam.Skip("not tried", "")
	}
	if err := s.Redis(ctx); err != nil {
		return exam.Warned("no answer: "+check.Reason(err), "The server works without it, and exchanges each token once per replica.", "REDIS_URL: check address, password and TLS (rediss://)")
	}
	return exam.Good("answers")
}

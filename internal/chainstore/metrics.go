package chainstore

import (
	"context"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/onbehalf/onbehalf/chain"
)

// Metrics counts hops and calls for Prometheus.
type Metrics struct {
	hops    *prometheus.CounterVec
	seconds *prometheus.HistogramVec
	calls   *prometheus.CounterVec

	mu     sync.Mutex
	values map[string]struct{}
}

// maxValues bounds how many reasons and tools get a time series of their own; later ones are counted as "other".
const maxValues = 300

// NewMetrics registers onbehalf_hops_total, onbehalf_hop_seconds and onbehalf_calls_total.
func NewMetrics(registry prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{
		hops: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "onbehalf_hops_total", Help: "Hops of calls, by station, decision and reason.",
		}, []string{"station", "decision", "reason"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "onbehalf_hop_seconds", Help: "How long hops took.",
			Buckets: []float64{.0001, .001, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 15},
		}, []string{"station", "decision"}),
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "onbehalf_calls_total", Help: "Finished calls, by tool and decision.",
		}, []string{"tool", "decision"}),
		values: map[string]struct{}{},
	}
	for _, collector := range []prometheus.Collector{m.hops, m.seconds, m.calls} {
		if err := registry.Register(collector); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// Record implements [chain.Recorder].
func (m *Metrics) Record(_ context.Context, recorded *chain.Call) {
	call := summarize(recorded)
	for i := range call.Hops {
		hop := &call.Hops[i]
		m.hops.WithLabelValues(string(hop.Station), string(hop.Decision), m.bounded(hop.Reason)).Inc()
		m.seconds.WithLabelValues(string(hop.Station), string(hop.Decision)).Observe(hop.Took.Seconds())
	}
	m.calls.WithLabelValues(m.bounded(call.Tool), string(call.Decision)).Inc()
}

// bounded lets the first 300 values through: names of tools and codes of Entra come from outside.
func (m *Metrics) bounded(value string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, known := m.values[value]; known {
		return value
	}
	if len(m.values) >= maxValues {
		return "other"
	}
	m.values[value] = struct{}{}
	return value
}

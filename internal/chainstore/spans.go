package chainstore

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/onbehalf/onbehalf/chain"
)

// Spans sends each call as a trace of OpenTelemetry: the call's id is the trace id, each hop is a span below the call's.
// It speaks OTLP over HTTP in its JSON encoding, which every collector takes. (Microsoft's and OpenTelemetry's own
// exporters bring protobuf and gRPC along: 8 MB and 115 packages for these few fields.)
//
// https://opentelemetry.io/docs/specs/otlp/#otlphttp
type Spans struct {
	url     string
	service string
	http    *http.Client
	log     *slog.Logger

	queue chan Record
	done  chan struct{}

	mu      sync.Mutex
	closed  bool
	dropped int
	failing bool
}

const (
	maxQueue  = 2048 // calls that wait to be sent; later ones are dropped
	maxBatch  = 128
	batchWait = 2 * time.Second
	sendLimit = 5 * time.Second
)

// NewSpans starts an exporter to a collector's base URL such as "http://localhost:4318"; traces go to /v1/traces below
// it. A nil logger logs nothing. Close ends it.
func NewSpans(endpoint, service string, hc *http.Client, log *slog.Logger) (*Spans, error) {
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return nil, fmt.Errorf("OpenTelemetry endpoint %q: want http://HOST:4318 or https://HOST", endpoint)
	}
	target := strings.TrimSuffix(u.String(), "/")
	if !strings.HasSuffix(target, "/v1/traces") {
		target += "/v1/traces"
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	s := &Spans{url: target, service: service, http: hc, log: log, queue: make(chan Record, maxQueue), done: make(chan struct{})}
	go s.run()
	return s, nil
}

// Record implements [chain.Recorder]. It never waits.
func (s *Spans) Record(_ context.Context, recorded *chain.Call) {
	call := summarize(recorded)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	select {
	case s.queue <- call:
	default:
		s.dropped++
	}
}

// Close sends what is left, for at most some seconds.
func (s *Spans) Close() error {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.queue)
	}
	s.mu.Unlock()
	<-s.done
	return nil
}

func (s *Spans) run() {
	defer close(s.done)
	for {
		batch, open := s.collect()
		if len(batch) > 0 {
			s.report(s.send(batch))
		}
		if !open {
			return
		}
	}
}

// collect waits for a call, then a little for more.
func (s *Spans) collect() (batch []Record, open bool) {
	call, open := <-s.queue
	if !open {
		return nil, false
	}
	batch = append(batch, call)
	timer := time.NewTimer(batchWait)
	defer timer.Stop()
	for len(batch) < maxBatch {
		select {
		case call, open = <-s.queue:
			if !open {
				return batch, false
			}
			batch = append(batch, call)
		case <-timer.C:
			return batch, true
		}
	}
	return batch, true
}

func (s *Spans) send(batch []Record) error {
	body, err := json.Marshal(s.export(batch))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), sendLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := s.http.Do(req)
	if err != nil {
		return errors.New("the collector cannot be reached")
	}
	defer func() { _ = resp.Body.Close() }()
	const enough = 4 << 10
	_, _ = io.CopyN(io.Discard, resp.Body, enough)
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the collector answers HTTP %d", resp.StatusCode)
	}
	return nil
}

// report says once that traces are lost, and once that they arrive again.
func (s *Spans) report(err error) {
	s.mu.Lock()
	was, dropped := s.failing, s.dropped
	s.failing = err != nil
	s.mu.Unlock()
	switch {
	case err != nil && !was:
		s.log.Warn("traces are lost", slog.Any("error", err), slog.Int("dropped", dropped))
	case err == nil && was:
		s.log.Info("traces arrive again", slog.Int("dropped", dropped))
	}
}

// The JSON encoding of opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest: ids in hexadecimal, 64-bit
// numbers as strings.
type (
	otlpExport struct {
		ResourceSpans []otlpResourceSpans `json:"resourceSpans"`
	}
	otlpResourceSpans struct {
		Resource   otlpResource     `json:"resource"`
		ScopeSpans []otlpScopeSpans `json:"scopeSpans"`
	}
	otlpResource struct {
		Attributes []otlpAttribute `json:"attributes"`
	}
	otlpScopeSpans struct {
		Scope otlpScope  `json:"scope"`
		Spans []otlpSpan `json:"spans"`
	}
	otlpScope struct {
		Name string `json:"name"`
	}
	otlpSpan struct {
		TraceID    string          `json:"traceId"`
		SpanID     string          `json:"spanId"`
		ParentID   string          `json:"parentSpanId,omitempty"`
		Name       string          `json:"name"`
		Kind       int             `json:"kind"` // 1 internal, 2 server, 3 client
		Start      string          `json:"startTimeUnixNano"`
		End        string          `json:"endTimeUnixNano"`
		Attributes []otlpAttribute `json:"attributes,omitempty"`
		Status     otlpStatus      `json:"status"`
	}
	otlpStatus struct {
		Code    int    `json:"code,omitempty"` // 1 ok, 2 error
		Message string `json:"message,omitempty"`
	}
	otlpAttribute struct {
		Key   string    `json:"key"`
		Value otlpValue `json:"value"`
	}
	otlpValue struct {
		String *string `json:"stringValue,omitempty"`
		Int    *string `json:"intValue,omitempty"`
	}
)

func (s *Spans) export(batch []Record) otlpExport {
	var spans []otlpSpan
	for i := range batch {
		call := &batch[i]
		root := otlpSpan{
			TraceID: call.ID, SpanID: spanID(), Name: "call", Kind: 2, Start: nanos(call.Start), End: nanos(call.Start.Add(call.Took)), Status: statusOf(call.Decision, call.Reason),
			Attributes: attributes("onbehalf.tool", call.Tool, "onbehalf.decision", string(call.Decision), "enduser.id", call.owner.object),
		}
		spans = append(spans, root)
		for j := range call.Hops {
			spans = append(spans, hopSpan(&call.Hops[j], call.ID, root.SpanID))
		}
	}
	return otlpExport{[]otlpResourceSpans{{
		Resource:   otlpResource{attributes("service.name", s.service)},
		ScopeSpans: []otlpScopeSpans{{otlpScope{"github.com/onbehalf/onbehalf/chain"}, spans}},
	}}}
}

func hopSpan(hop *chain.Hop, trace, parent string) otlpSpan {
	kind := 1
	if hop.Station == chain.Exchange || hop.Station == chain.Search || hop.Station == chain.Graph {
		kind = 3
	}
	span := otlpSpan{
		TraceID: trace, SpanID: spanID(), ParentID: parent, Name: strings.TrimSpace(string(hop.Station) + " " + hop.Name), Kind: kind,
		Start: nanos(hop.Start), End: nanos(hop.Start.Add(hop.Took)), Status: statusOf(hop.Decision, hop.Reason),
		Attributes: attributes("onbehalf.decision", string(hop.Decision), "onbehalf.reason", hop.Reason, "onbehalf.audience", hop.Audience, "onbehalf.arguments", string(hop.Arguments),
			"onbehalf.client", hop.Client, "onbehalf.correlation_id", hop.CorrelationID, "onbehalf.trace_id", hop.TraceID, "onbehalf.request_id", hop.RequestID),
	}
	if hop.Status != 0 {
		status := strconv.Itoa(hop.Status)
		span.Attributes = append(span.Attributes, otlpAttribute{"http.response.status_code", otlpValue{Int: &status}})
	}
	return span
}

// attributes takes keys and values by turns; empty values are left out.
func attributes(pairs ...string) []otlpAttribute {
	var out []otlpAttribute
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			out = append(out, otlpAttribute{pairs[i], otlpValue{String: &pairs[i+1]}})
		}
	}
	return out
}

func statusOf(decision chain.Decision, reason string) otlpStatus {
	if decision == chain.Refused || decision == chain.Failed {
		return otlpStatus{2, reason}
	}
	return otlpStatus{Code: 1}
}

func nanos(t time.Time) string {
	if t.IsZero() {
		return "0"
	}
	return strconv.FormatInt(t.UnixNano(), 10)
}

func spanID() string {
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails since Go 1.24
	return hex.EncodeToString(id[:])
}

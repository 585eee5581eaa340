package chainstore_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/onbehalf/onbehalf/chain"
	"github.com/onbehalf/onbehalf/internal/chainstore"
)

// aCall is one call that was refused at the exchange.
func aCall() *chain.Call {
	ctx, call := chain.Begin(context.Background())
	at := time.Date(2026, 11, 23, 15, 0, 0, 0, time.UTC)
	chain.Add(ctx, chain.Hop{Station: chain.Verify, Decision: chain.Allowed, Tenant: tenant, Subject: alice, Checks: []string{"signature"}, Start: at, Took: time.Millisecond})
	chain.Add(ctx, chain.Hop{Station: chain.Exchange, Decision: chain.Refused, Reason: "AADSTS50076", Status: 400, CorrelationID: "corr-1", Start: at.Add(time.Millisecond), Took: 20 * time.Millisecond})
	chain.Add(ctx, chain.Hop{Station: chain.Tool, Decision: chain.Refused, Name: "get_documents", Start: at.Add(time.Millisecond), Took: 21 * time.Millisecond})
	return call
}

// mended is a call in which a token was rejected, and the next one taken.
func mended() *chain.Call {
	ctx, call := chain.Begin(context.Background())
	for _, hop := range []chain.Hop{
		{Station: chain.Verify, Decision: chain.Cached, Tenant: tenant, Subject: alice},
		{Station: chain.Search, Decision: chain.Refused, Reason: "unauthorized"},
		{Station: chain.Search, Decision: chain.Allowed, Count: 3},
		{Station: chain.Tool, Decision: chain.Allowed, Name: "get_documents"},
	} {
		chain.Add(ctx, hop)
	}
	return call
}

func TestAuditIsJSONLines(t *testing.T) {
	var out bytes.Buffer
	audit := chainstore.NewAudit(slog.New(slog.NewJSONHandler(&out, nil)))
	first := aCall()
	audit.Record(t.Context(), first)
	audit.Record(t.Context(), mended())
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2 {
		t.Fatalf("got %d lines", len(lines))
	}
	var got []struct {
		Level, Msg, ID, Subject, Tool, Decision, Reason string
		Hops                                            []chain.Hop
	}
	if err := json.Unmarshal([]byte("["+strings.Join(lines, ",")+"]"), &got); err != nil {
		t.Fatal(err)
	}
	if got[0].ID != first.ID() || got[0].Subject != alice || got[0].Tool != "get_documents" || got[0].Decision != "refused" || got[0].Reason != "AADSTS50076" || len(got[0].Hops) != 3 || got[0].Level != "WARN" {
		t.Errorf("got %s", lines[0])
	}
	if got[1].Decision != "allowed" || got[1].Reason != "" || got[1].Level != "INFO" {
		t.Errorf("got %s", lines[1])
	}
}

func TestMetrics(t *testing.T) {
	registry := prometheus.NewRegistry()
	metrics, err := chainstore.NewMetrics(registry)
	if err != nil {
		t.Fatal(err)
	}
	metrics.Record(t.Context(), aCall())
	metrics.Record(t.Context(), mended())
	want := `
# HELP onbehalf_calls_total Finished calls, by tool and decision.
# TYPE onbehalf_calls_total counter
onbehalf_calls_total{decision="allowed",tool="get_documents"} 1
onbehalf_calls_total{decision="refused",tool="get_documents"} 1
`
	if err = testutil.GatherAndCompare(registry, strings.NewReader(want), "onbehalf_calls_total"); err != nil {
		t.Error(err)
	}
	for i := range 1000 { // codes come from outside
		ctx, call := chain.Begin(t.Context())
		chain.Add(ctx, chain.Hop{Station: chain.Exchange, Decision: chain.Refused, Reason: fmt.Sprintf("AADSTS%d", i)})
		metrics.Record(ctx, call)
	}
	if n, errCount := testutil.GatherAndCount(registry, "onbehalf_hops_total"); errCount != nil || n > 320 {
		t.Errorf("%d series, %v; want them bounded", n, errCount)
	}
	if _, err = chainstore.NewMetrics(registry); err == nil {
		t.Error("registered twice")
	}
}

// collector keeps what it is sent.
type collector struct {
	mu     sync.Mutex
	traces []*tracev1.ResourceSpans
	broken bool
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var data tracev1.TracesData // has the members of ExportTraceServiceRequest
	if err == nil {
		err = protojson.Unmarshal(body, &data)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil || c.broken || r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/json" {
		http.Error(w, "no", http.StatusServiceUnavailable)
		return
	}
	c.traces = append(c.traces, data.GetResourceSpans()...)
}

func TestSpansAsOpenTelemetryReadsThem(t *testing.T) {
	c := &collector{}
	server := httptest.NewServer(c)
	defer server.Close()
	spans, err := chainstore.NewSpans(server.URL, "onbehalf-server", server.Client(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	call := aCall()
	spans.Record(t.Context(), call)
	if err = spans.Close(); err != nil {
		t.Fatal(err)
	}
	spans.Record(t.Context(), aCall()) // too late, but no harm
	if len(c.traces) != 1 || len(c.traces[0].GetScopeSpans()) != 1 {
		t.Fatalf("got %v", c.traces)
	}
	got := c.traces[0].GetScopeSpans()[0].GetSpans()
	if len(got) != 4 {
		t.Fatalf("got %d spans, want the call and three hops", len(got))
	}
	for i, span := range got {
		// the JSON encoding of OTLP writes ids in hexadecimal where protojson reads base64
		if i > 0 && (string(span.GetParentSpanId()) != string(got[0].GetSpanId()) || len(span.GetSpanId()) == 0) {
			t.Errorf("span %d is not below the call's", i)
		}
		if span.GetEndTimeUnixNano() < span.GetStartTimeUnixNano() || span.GetStartTimeUnixNano() == 0 {
			t.Errorf("span %d has no time", i)
		}
	}
	if id := call.ID(); len(id) != hex.EncodedLen(16) {
		t.Errorf("the call's id %q is no trace id", id)
	}
	if got[0].GetStatus().GetCode() != tracev1.Status_STATUS_CODE_ERROR || got[2].GetStatus().GetMessage() != "AADSTS50076" || got[3].GetName() != "tool get_documents" {
		t.Errorf("got %v", got)
	}
}

func TestACollectorThatIsDownIsSaidOnce(t *testing.T) {
	c := &collector{broken: true}
	server := httptest.NewServer(c)
	defer server.Close()
	var log bytes.Buffer
	for range 3 {
		spans, err := chainstore.NewSpans(server.URL, "s", server.Client(), slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		for range 500 { // more than a batch
			spans.Record(t.Context(), aCall())
		}
		_ = spans.Close()
	}
	if n := strings.Count(log.String(), "traces are lost"); n != 3 {
		t.Errorf("said %d times, want once for each exporter:\n%s", n, log.String())
	}
	if _, err := chainstore.NewSpans("collector:4317", "s", server.Client(), slog.Default()); err == nil {
		t.Error("an endpoint without scheme was taken")
	}
}

func TestNobodyPushesTheOthersOut(t *testing.T) {
	store := chainstore.New(1000)
	id := record(store, bob, chain.Allowed)
	for range 5000 {
		record(store, alice, chain.Allowed)
	}
	var got chainstore.Record
	if code := get(t, store, bob, "/api/chain/"+id, &got); code != 200 {
		t.Errorf("bob's call was pushed out: %d", code)
	}
}

func TestACallOfTwoPeopleIsShownToNobody(t *testing.T) {
	store := chainstore.New(10)
	ctx, call := chain.Begin(t.Context())
	for _, oid := range []string{alice, bob} {
		chain.Add(ctx, chain.Hop{Station: chain.Verify, Decision: chain.Allowed, Tenant: tenant, Subject: oid})
	}
	store.Record(ctx, call)
	for _, oid := range []string{alice, bob} {
		if code := get(t, store, oid, "/api/chain/"+call.ID(), nil); code != 404 {
			t.Errorf("got %d, want 404", code)
		}
	}
}

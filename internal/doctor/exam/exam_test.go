package exam_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/onbehalf/onbehalf/internal/doctor/exam"
)

type patient struct{ running, most atomic.Int32 }

func says(f exam.Finding) func(context.Context, *patient) exam.Finding {
	return func(context.Context, *patient) exam.Finding { return f }
}

func run(t *testing.T, checks []exam.Check[*patient]) (report *exam.Report, seen []string) {
	t.Helper()
	report = exam.Run(t.Context(), checks, &patient{}, exam.Limits{}, time.Now, func(r exam.Result) {
		line := r.ID + " " + string(r.Verdict)
		if r.Because != "" {
			line += " because of " + r.Because
		}
		seen = append(seen, line)
	})
	return report, seen
}

func TestOneMistakeIsToldOnce(t *testing.T) {
	report, seen := run(t, []exam.Check[*patient]{
		{ID: "a", Run: says(exam.Failed("x", "y", "z"))},
		{ID: "b", Needs: []string{"a"}, Run: says(exam.Good("never"))},
		{ID: "c", Needs: []string{"b"}, Run: says(exam.Good("never"))},
		{ID: "d", Unless: []string{"a"}, Run: says(exam.Failed("the same again", "", ""))},
		{ID: "e", Run: says(exam.Warned("x", "y", "z"))},
		{ID: "f", Needs: []string{"e"}, Run: says(exam.Good("a warning stops nobody"))},
		{ID: "g", Run: says(exam.Skip("no rights", "ask"))},
		{ID: "h", Needs: []string{"g"}, Run: says(exam.Good("never"))},
		{ID: "i", Unless: []string{"g"}, Run: says(exam.Good("runs"))},
	})
	want := []string{
		"a fail", "b skipped because of a", "c skipped because of a", "d skipped because of a", "e warn", "f ok",
		"g skipped", "h skipped because of g", "i ok",
	}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Error(diff)
	}
	if got, want := report.Summary(), "9 checks: 2 ok, 1 warn, 1 fail, 5 skipped"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	text, err := json.Marshal(report)
	if err != nil || !strings.Contains(string(text), `"fail":1`) || !strings.Contains(string(text), `"because":"a"`) {
		t.Errorf("got %s, %v", text, err)
	}
}

func TestChecksRunTogetherWithinBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &patient{}
		wait := func(ctx context.Context, p *patient) exam.Finding {
			p.most.Store(max(p.most.Load(), p.running.Add(1)))
			defer p.running.Add(-1)
			select {
			case <-ctx.Done():
				return exam.Failed("no answer in time", "", "")
			case <-time.After(time.Second):
				return exam.Good("")
			}
		}
		var checks []exam.Check[*patient]
		for id := range strings.FieldsSeq("a b c d e f") {
			checks = append(checks, exam.Check[*patient]{ID: id, Run: wait})
		}
		start := time.Now()
		report := exam.Run(t.Context(), checks, p, exam.Limits{Together: 3}, time.Now, nil)
		if took := time.Since(start); took != 2*time.Second || p.most.Load() != 3 || report.Count(exam.OK) != 6 {
			t.Errorf("took %v, at most %d at a time, %s", took, p.most.Load(), report.Summary())
		}
		report = exam.Run(t.Context(), checks, p, exam.Limits{Check: time.Millisecond}, time.Now, nil)
		if report.Count(exam.Fail) != 6 {
			t.Errorf("a check without an answer: %s", report.Summary())
		}
		report = exam.Run(t.Context(), checks, p, exam.Limits{All: 500 * time.Millisecond, Together: 3}, time.Now, nil)
		if report.Count(exam.Fail) != 3 || report.Count(exam.Skipped) != 3 {
			t.Errorf("checks whose turn never came: %s", report.Summary())
		}
		report = exam.Run(t.Context(), checks, p, exam.Limits{All: 1500 * time.Millisecond, Together: 3}, time.Now, nil)
		if report.Count(exam.OK) != 3 || report.Count(exam.Fail) != 3 {
			t.Errorf("a run without an end: %s", report.Summary())
		}
	})
}

// Of a run that is interrupted, nothing more is said: a check that was broken off found nothing.
func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var seen []string
	exam.Run(ctx, []exam.Check[*patient]{
		{ID: "a", Run: says(exam.Good(""))},
		{ID: "b", Needs: []string{"a"}, Run: func(context.Context, *patient) exam.Finding { cancel(); return exam.Failed("broken off", "", "") }},
	}, &patient{}, exam.Limits{}, time.Now, func(r exam.Result) { seen = append(seen, r.ID) })
	if slices.Contains(seen, "b") {
		t.Errorf("told of %q", seen)
	}
}

// A check that hangs or breaks down is told as one that failed, and what needs it is skipped.
func TestChecksThatMisbehave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		forever := make(chan struct{})
		defer close(forever)
		report, seen := run(t, []exam.Check[*patient]{
			{ID: "hangs", Run: func(context.Context, *patient) exam.Finding { <-forever; return exam.Good("too late") }},
			{ID: "needs", Needs: []string{"hangs"}, Run: says(exam.Good("never"))},
			{ID: "panics", Run: func(context.Context, *patient) exam.Finding { panic("oh") }},
			{ID: "well", Run: says(exam.Good(""))},
		})
		if diff := cmp.Diff([]string{"hangs fail", "needs skipped because of hangs", "panics fail", "well ok"}, seen); diff != "" {
			t.Error(diff)
		}
		for _, r := range report.Results {
			if r.Verdict == exam.Fail && (r.Cause == "" || r.Fix == "" || r.Took > 12*time.Second) {
				t.Errorf("%+v", r)
			}
		}
	})
}

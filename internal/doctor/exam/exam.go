// Package exam runs checks that depend on one another: each as soon as those that it needs are through, together, within
// bounded time; and none when one that it needs has failed, so that one mistake is told once. What is checked is not its
// business: see package doctor.
package exam

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"
)

// Verdict is what came of a check.
type Verdict string

// The verdicts.
const (
	OK      Verdict = "ok"
	Warn    Verdict = "warn" // works, and should be mended all the same
	Fail    Verdict = "fail"
	Skipped Verdict = "skipped"
)

// Finding is what a check found: what was seen, and, unless all is well, the cause, and what mends it: in words, such as a
// place in a portal, and where there is one by a command to copy.
type Finding struct {
	Verdict Verdict `json:"verdict"`
	Seen    string  `json:"seen"`
	Cause   string  `json:"cause,omitempty"`
	Fix     string  `json:"fix,omitempty"`
	Command string  `json:"command,omitempty"`
	Because string  `json:"because,omitempty"` // the check for whose sake this one was skipped
}

// Good says that all is well, and what was seen.
func Good(format string, args ...any) Finding {
	return Finding{Verdict: OK, Seen: fmt.Sprintf(format, args...)}
}

// Skip says that there is nothing to check, or no right to look.
func Skip(seen, fix string) Finding { return Finding{Verdict: Skipped, Seen: seen, Fix: fix} }

// Warned says what should be mended although it works.
func Warned(seen, cause, fix string) Finding {
	return Finding{Verdict: Warn, Seen: seen, Cause: cause, Fix: fix}
}

// Failed says what does not work.
func Failed(seen, cause, fix string) Finding {
	return Finding{Verdict: Fail, Seen: seen, Cause: cause, Fix: fix}
}

// By adds the command that mends it.
func (f Finding) By(command string) Finding {
	f.Command = command
	return f
}

// maxText bounds each text of a finding, in bytes: what a server or a setting says in it may have any length.
const maxText = 1500

// credentials are a name and a password in a URL.
var credentials = regexp.MustCompile(`(://[^\s/@:]*):[^\s/@]+@`)

// bounded bounds the texts, and takes the passwords out of URLs in them.
func (f Finding) bounded() Finding {
	for _, text := range []*string{&f.Seen, &f.Cause, &f.Fix, &f.Command} {
		*text = credentials.ReplaceAllString(*text, "$1:xxxxx@")
		if len(*text) > maxText {
			*text = strings.ToValidUTF8((*text)[:maxText], "") + "…"
		}
	}
	return f
}

// Check is one check of an S, which all checks share: what a check leaves there is for those that need it.
type Check[S any] struct {
	ID    string // "registration.version"
	Title string // what is checked, in a few words

	// Needs are checks, earlier ones, without which this one cannot run: when one has failed or was skipped, so is this.
	Needs []string
	// Unless are checks, earlier ones, whose failure this one would only tell once more. It runs when they were skipped.
	Unless []string

	Run func(ctx context.Context, s S) Finding
}

// In reports whether a name is that of the check, or of the area that its id begins with.
func (c Check[S]) In(name string) bool { return name == c.ID || name == areaOf(c.ID) }

// Result is what came of one check.
type Result struct {
	ID    string `json:"id"`
	Title string `json:"title"`
	Finding
	Took time.Duration `json:"took"` // nanoseconds
}

// Limits bound a run. Zero values mean 10 s, 45 s and 8.
type Limits struct {
	Check, All time.Duration
	Together   int // checks that run at one time
}

func (l Limits) filled() Limits {
	if l.Check <= 0 {
		l.Check = 10 * time.Second
	}
	if l.All <= 0 {
		l.All = 45 * time.Second
	}
	if l.Together <= 0 {
		l.Together = 8
	}
	return l
}

// Run runs the checks and returns what came of them, in their order. Observe, which may be nil, is told of each result
// in that order as soon as all before it are known, until ctx ends. now is the clock of how long each took.
func Run[S any](ctx context.Context, checks []Check[S], s S, limits Limits, now func() time.Time, observe func(Result)) *Report {
	limits = limits.filled()
	whole := ctx
	ctx, cancel := context.WithTimeout(ctx, limits.All)
	defer cancel()
	r := &run[S]{state: s, limits: limits, now: now, results: make([]Result, len(checks)), index: map[string]int{}, turn: make(chan struct{}, limits.Together)}
	for i, c := range checks {
		r.index[c.ID] = i
		r.done = append(r.done, make(chan struct{}))
	}
	var group sync.WaitGroup
	for i, c := range checks {
		group.Go(func() {
			defer close(r.done[i])
			r.results[i] = r.one(ctx, c)
		})
	}
	for i := range checks {
		<-r.done[i]
		if observe != nil && whole.Err() == nil { // of a run that was interrupted, the rest says nothing
			observe(r.results[i])
		}
	}
	group.Wait()
	return &Report{Results: r.results}
}

type run[S any] struct {
	state   S
	limits  Limits
	now     func() time.Time
	results []Result // each is written before its done is closed, and read afterwards
	done    []chan struct{}
	index   map[string]int
	turn    chan struct{}
}

func (r *run[S]) one(ctx context.Context, c Check[S]) Result {
	result := Result{ID: c.ID, Title: c.Title}
	if because := r.blocked(c); because != "" {
		result.Finding = Finding{Verdict: Skipped, Seen: "because of " + because, Because: because}
		return result
	}
	r.turn <- struct{}{}
	defer func() { <-r.turn }()
	if ctx.Err() != nil {
		result.Finding = Skip(fmt.Sprintf("not tried: the checks before it took longer than %s", r.limits.All), "")
		return result
	}
	ctx, cancel := context.WithTimeout(ctx, r.limits.Check)
	defer cancel()
	start := r.now()
	result.Finding = r.within(ctx, c).bounded()
	result.Took = r.now().Sub(start)
	return result
}

// grace is how long a check may take to notice that its time is over, and to say it in its own words.
const grace = time.Second

// within runs a check, and ends in time whatever that does. What it leaves behind is read by nobody: those that need it are
// skipped.
func (r *run[S]) within(ctx context.Context, c Check[S]) Finding {
	found := make(chan Finding, 1)
	go func() {
		defer func() {
			if reason := recover(); reason != nil {
				found <- Failed(fmt.Sprintf("the check broke down: %v", reason), "That is a mistake in the check, and tells nothing about the set-up.", "Report it, with the output of onbehalf version.")
			}
		}()
		found <- c.Run(ctx, r.state)
	}()
	select {
	case f := <-found:
		return f
	case <-ctx.Done():
	}
	select {
	case f := <-found:
		return f
	case <-time.After(grace):
		return Failed("no answer in time", fmt.Sprintf("The check did not end within %s.", r.limits.Check), "Run it again; with --log-level debug it says what it waits for.")
	}
}

// blocked waits for what a check needs and returns the check for whose sake it cannot run: the first in the chain.
func (r *run[S]) blocked(c Check[S]) string {
	for _, need := range c.Needs {
		switch before := r.wait(need); before.Verdict {
		case Fail:
			return need
		case Skipped:
			if before.Because != "" {
				return before.Because
			}
			return need
		case OK, Warn:
		}
	}
	for _, said := range c.Unless {
		if r.wait(said).Verdict == Fail {
			return said
		}
	}
	return ""
}

func (r *run[S]) wait(id string) Result {
	i := r.index[id]
	<-r.done[i]
	return r.results[i]
}

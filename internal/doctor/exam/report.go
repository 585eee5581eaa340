package exam

import (
	"encoding/json"
	"fmt"
)

// Report is what came of all checks.
type Report struct {
	Results []Result `json:"checks"`
}

// Count returns how many checks had a verdict.
func (r *Report) Count(v Verdict) (n int) {
	for _, result := range r.Results {
		if result.Verdict == v {
			n++
		}
	}
	return n
}

// IDs returns the checks that had a verdict.
func (r *Report) IDs(v Verdict) []string {
	var ids []string
	for _, result := range r.Results {
		if result.Verdict == v {
			ids = append(ids, result.ID)
		}
	}
	return ids
}

// Summary says in one line what came of all checks.
func (r *Report) Summary() string {
	return fmt.Sprintf("%d checks: %d ok, %d warn, %d fail, %d skipped", len(r.Results), r.Count(OK), r.Count(Warn), r.Count(Fail), r.Count(Skipped))
}

// MarshalJSON implements [json.Marshaler]: the checks and how many had each verdict.
func (r *Report) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Results []Result `json:"checks"`
		OK      int      `json:"ok"`
		Warn    int      `json:"warn"`
		Fail    int      `json:"fail"`
		Skipped int      `json:"skipped"`
	}{r.Results, r.Count(OK), r.Count(Warn), r.Count(Fail), r.Count(Skipped)})
}

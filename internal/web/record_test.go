package web

import (
	"strings"
	"testing"

	"github.com/onbehalf/onbehalf/internal/agent/dialog"
	"github.com/onbehalf/onbehalf/internal/web/refusal"
)

// What a server wants to see again may hold what it has read. Where only ids are kept it is not: the call begins anew.
func TestWhatAServerWantsToSeeAgainIsNotKept(t *testing.T) {
	c := &dialog.Conversation{Messages: []dialog.Message{{ID: "m", Role: dialog.Assistant, State: dialog.Waiting, Calls: []dialog.Call{{
		ID: "c", Server: "docs", Tool: "get", State: dialog.Refused, Refusal: &dialog.Refusal{Kind: refusal.Link, Resumable: true},
		Back: &dialog.Continuation{State: "what it read", Links: []string{"consent"}},
	}}}}}
	for idsOnly, want := range map[bool]bool{true: false, false: true} {
		body, err := pack(c, nil, idsOnly)
		if err != nil || strings.Contains(string(body), "what it read") != want {
			t.Errorf("ids only is %t: %v: %s", idsOnly, err, body)
		}
		again, _, err := unpack(body)
		if err != nil || again.Resume("c") != nil {
			t.Errorf("ids only is %t: the call does not go on: %v", idsOnly, err)
		}
	}
	if c.Messages[0].Calls[0].Back == nil {
		t.Error("what is not kept is lost to who waits as well")
	}
}

package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"

	"github.com/onbehalf/onbehalf/internal/agent/dialog"
)

// record is a conversation as it is kept.
type record struct {
	Version      int                  `json:"v"`
	Conversation *dialog.Conversation `json:"c"`
	Thin         []string             `json:"thin,omitempty"` // ids of messages whose text was not kept
}

const recordVersion = 1

// pack makes what is kept of a conversation. With idsOnly nothing is kept that came from a document but the documents'
// ids: not what tools returned, and not the answers that rest on it. What was thin stays so. The person's questions and
// the calls' arguments are kept.
func pack(c *dialog.Conversation, thin map[string]bool, idsOnly bool) ([]byte, error) {
	r := record{Version: recordVersion, Conversation: c}
	for id := range thin {
		r.Thin = append(r.Thin, id)
	}
	if idsOnly {
		r.Conversation = c.Clone()
		r.Thin = append(r.Thin, thinOut(r.Conversation)...)
	}
	slices.Sort(r.Thin)
	r.Thin = slices.Compact(r.Thin)
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false) // it would make documents of markup six times as long
	err := encoder.Encode(r)
	return out.Bytes(), err
}

// thinOut removes what came from documents and returns the messages that lost their text by it: every answer that came
// with a result or after one, since it may rest on it.
func thinOut(c *dialog.Conversation) (thin []string) {
	read := false
	for i := range c.Messages {
		m := &c.Messages[i]
		for j := range m.Calls {
			call := &m.Calls[j]
			read = read || call.Result != nil || len(call.Sources) > 0
			call.Result = nil
			call.Back = nil                            // what a server wants to see again may hold what it has read: the call begins anew
			if call.Error != "" && call.Attempts > 0 { // the server may have had its word in it
				call.Error = "It failed; why is not kept."
			}
			for k := range call.Sources {
				call.Sources[k] = dialog.Source{N: call.Sources[k].N, ID: call.Sources[k].ID}
			}
			call.Sources = slices.DeleteFunc(call.Sources, func(s dialog.Source) bool { return s.ID == "" })
		}
		if m.Role == dialog.Assistant && read && m.Text != "" {
			m.Text = ""
			thin = append(thin, m.ID)
		}
	}
	return thin
}

func unpack(body []byte) (*dialog.Conversation, map[string]bool, error) {
	r := record{Conversation: &dialog.Conversation{}}
	if len(body) == 0 {
		return r.Conversation, nil, nil
	}
	if err := json.Unmarshal(body, &r); err != nil || r.Conversation == nil {
		return nil, nil, errors.New("a kept conversation cannot be read")
	}
	if r.Version != recordVersion {
		return nil, nil, errors.New("a conversation was kept by another version of this program")
	}
	thin := make(map[string]bool, len(r.Thin))
	for _, id := range r.Thin {
		thin[id] = true
	}
	return r.Conversation, thin, nil
}

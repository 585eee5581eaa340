//go:build e2e

package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// scripted is a server of models by OpenAI's protocol that does what the question's first word says. An answer that is held
// goes on when it is told to.
func scripted(t *testing.T) string {
	t.Helper()
	url, _ := scriptedAndHeld(t)
	return url
}

func scriptedAndHeld(t *testing.T) (url string, goOn func()) {
	t.Helper()
	held := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			Messages []struct {
				Role    string
				Content any
			}
		}
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil || len(in.Messages) == 0 {
			http.Error(w, "what?", http.StatusBadRequest)
			return
		}
		question, result := "", false
		for _, m := range in.Messages {
			switch m.Role {
			case "user":
				question, result = fmt.Sprint(m.Content), false
			case "tool":
				result = true
			}
		}
		word, rest, _ := strings.Cut(question, " ")
		perform(w, r, word, rest, result, held)
	}))
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return server.URL, func() {
		t.Helper()
		select {
		case held <- struct{}{}:
		case <-time.After(patience):
			t.Fatal("no answer is held")
		}
	}
}

func perform(w http.ResponseWriter, r *http.Request, word, rest string, result bool, goOn <-chan struct{}) {
	if word == "fail" {
		http.Error(w, `{"error":{"message":"the secret reason","type":"server_error"}}`, http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	calls := !result && (word == "look" || word == "ghost" || word == "wiki")
	switch {
	case word == "look" && calls:
		call(w, "docs__get_documents", map[string]string{"query": rest})
	case word == "look":
		say(w, "It is in the first document [1].")
	case word == "wiki" && calls:
		call(w, "wiki__search", map[string]string{"query": rest})
	case word == "wiki":
		say(w, "The wiki answered.")
	case word == "ghost" && calls:
		call(w, "docs__delete_everything", map[string]string{"sure": "yes"})
	case word == "ghost":
		say(w, "There is no such tool.")
	case word == "hang":
		say(w, "One moment, ")
		<-r.Context().Done()
		return
	case word == "held":
		for i := range 10 {
			say(w, fmt.Sprintf("word%d ", i))
		}
		select {
		case <-goOn:
		case <-r.Context().Done():
			return
		}
		for i := range 20 {
			say(w, fmt.Sprintf("word%d ", i+10))
		}
	case word == "slow":
		for i := range 30 {
			say(w, fmt.Sprintf("word%d ", i))
			time.Sleep(20 * time.Millisecond)
		}
	default:
		say(w, rest)
	}
	reason := "stop"
	if calls {
		reason = "tool_calls"
	}
	chunk(w, map[string]any{}, reason)
	fmt.Fprint(w, "data: [DONE]\n\n")
}

func chunk(w http.ResponseWriter, delta map[string]any, reason any) {
	text, err := json.Marshal(map[string]any{
		"id": "chat1", "object": "chat.completion.chunk", "created": 1, "model": "scripted",
		"choices": []any{map[string]any{"index": 0, "delta": delta, "finish_reason": reason}},
	})
	if err != nil {
		return
	}
	fmt.Fprintf(w, "data: %s\n\n", text)
	_ = http.NewResponseController(w).Flush()
}

func say(w http.ResponseWriter, text string) { chunk(w, map[string]any{"content": text}, nil) }

func call(w http.ResponseWriter, tool string, arguments map[string]string) {
	text, err := json.Marshal(arguments)
	if err != nil {
		return
	}
	chunk(w, map[string]any{"tool_calls": []any{map[string]any{
		"index": 0, "id": "wire1", "type": "function", "function": map[string]any{"name": tool, "arguments": string(text)},
	}}}, nil)
}

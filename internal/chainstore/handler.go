package chainstore

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/onbehalf/onbehalf/identity"
)

// mostRecent is how many calls the list shows.
const mostRecent = 50

// Handler serves a store below /api/chain, behind the verification of the caller, whom callerFrom finds:
//
//	GET /api/chain        {"calls": [Record, …]}   the caller's newest calls, newest first
//	GET /api/chain/{id}   Record                   404 also for a call of somebody else
func Handler(store *Store, callerFrom func(*http.Request) (*identity.Caller, bool)) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/chain", func(w http.ResponseWriter, r *http.Request) {
		caller, ok := callerFrom(r)
		if !ok {
			answer(w, http.StatusForbidden, problem{"no verified caller"})
			return
		}
		records := store.Recent(caller, mostRecent)
		if records == nil {
			records = []*Record{}
		}
		answer(w, http.StatusOK, map[string]any{"calls": records})
	})
	mux.HandleFunc("GET /api/chain/{id}", func(w http.ResponseWriter, r *http.Request) {
		caller, ok := callerFrom(r)
		if !ok {
			answer(w, http.StatusForbidden, problem{"no verified caller"})
			return
		}
		record, found := store.Find(caller, strings.ToLower(r.PathValue("id")))
		if !found {
			answer(w, http.StatusNotFound, problem{"no such call of yours; the newest are kept"})
			return
		}
		answer(w, http.StatusOK, record)
	})
	return mux
}

type problem struct {
	Error string `json:"error"`
}

func answer(w http.ResponseWriter, status int, body any) {
	text, err := json.Marshal(body)
	if err != nil {
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(text)
}

package chainstore

import (
	"encoding/json"
	"net/http"

	"github.com/onbehalf/onbehalf/identity"
)

// mostRecent is how many calls the list shows.
const mostRecent = 50

// Handler serves a store below /api/chain, behind the verification of the caller:
//
//	GET /api/chain        {"calls": [Record, …]}   the caller's newest calls, newest first
//	GET /api/chain/{id}   Record                   404 also for a call of somebody else
func Handler(store *Store, callerFrom func(*http.Request) (*identity.Caller, bool)) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/chain", func(w http.ResponseWriter, r *http.Request) {
		caller, ok := callerFrom(r)
		if !ok {
			http.Error(w, "no verified caller", http.StatusForbidden)
			return
		}
		records := store.Recent(caller.Key(), mostRecent)
		if records == nil {
			records = []*Record{}
		}
		writeJSON(w, map[string]any{"calls": records})
	})
	mux.HandleFunc("GET /api/chain/{id}", func(w http.ResponseWriter, r *http.Request) {
		caller, ok := callerFrom(r)
		if !ok {
			http.Error(w, "no verified caller", http.StatusForbidden)
			return
		}
		record, found := store.Find(caller.Key(), r.PathValue("id"))
		if !found {
			http.Error(w, "no such call of yours", http.StatusNotFound)
			return
		}
		writeJSON(w, record)
	})
	return mux
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(v) // the client is gone
}
